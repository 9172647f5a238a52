//! `make chaos`: random faults against a whole Assay, and proof that nothing was lost and nothing done twice.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use e2e::chaos::{self, Plan, Size};

/// Runs real processes under random faults, and compares everything afterwards.
#[derive(Parser)]
struct Arguments {
    /// Jobs that clients ask for.
    #[arg(long, env = "JOBS", default_value_t = 2_000)]
    jobs: usize,
    /// Faults.
    #[arg(long, env = "FAULTS", default_value_t = 30)]
    faults: usize,
    /// Seeds, separated by commas, a run each; drawn by chance unless given.
    #[arg(long, env = "SEED", value_delimiter = ',')]
    seed: Vec<u64>,
    /// Instead of random faults: Postgres, Redis and the API server away for so many seconds each.
    #[arg(long, env = "OUTAGES")]
    outages: Option<u64>,
    /// Where logs and data go, in a folder for each seed.
    #[arg(long, env = "CHAOS_DIR", default_value = "target/chaos")]
    folder: PathBuf,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<()> {
    let Arguments { jobs, faults, seed: seeds, outages, folder } = arguments;
    let seeds = if seeds.is_empty() { vec![rand::random_range(1..1_000_000)] } else { seeds };
    for seed in seeds {
        let folder = folder.join(format!("seed-{seed}"));
        if folder.exists() {
            std::fs::remove_dir_all(&folder).with_context(|| format!("empty {}", folder.display()))?;
        }
        std::fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
        let folder = folder.canonicalize()?;
        let plan = match outages {
            None => Plan::of(Size { jobs, faults, seed }),
            Some(seconds) => Plan::of_outages(Duration::from_secs(seconds)),
        };
        let size = Size { jobs, faults: plan.faults.len(), seed };
        println!("Seed {seed}: {jobs} jobs, {} faults; logs in {}", size.faults, folder.display());
        let report = chaos::run(&plan, size, &folder).await?;
        println!("{report}");
    }
    Ok(())
}
