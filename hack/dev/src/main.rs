//! The tool behind `make up`, `down`, `demo`, `submit`, `bench` and `test`: runs the real thing on this machine.

mod bench;
mod client;
mod cluster;
mod demo;
mod dot_dev;
mod down;
mod http_load;
mod settings;
mod sources;
mod submit;
mod up;
mod with_servers;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::settings::Settings;

/// Runs Assay on this machine.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Starts everything and leaves it running; .dev/env says how to reach it.
    Up(Settings),
    /// Stops what `up` started and removes .dev.
    Down,
    /// Scores real source files from nothing: starts everything, shows the scores, stops it.
    Demo {
        #[command(flatten)]
        settings: Settings,
        /// The folder with the source files; by default this repository.
        #[arg(long, env = "SUBMISSIONS")]
        submissions: Option<PathBuf>,
    },
    /// Submits each source file of a folder to the running stack and prints the scores.
    Submit {
        /// The folder.
        #[arg(long, env = "DIR")]
        dir: PathBuf,
    },
    /// Measures POST rate and drain on a stack of its own.
    Bench(bench::Options),
    /// Runs a command with one Postgres, one Redis and one control plane for tests.
    WithServers {
        /// The command and its arguments.
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<String>,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Cli::parse().command).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Up(settings) => up::up(&settings).await.map(|up| {
            up.print();
            ExitCode::SUCCESS
        }),
        Command::Down => down::down().await.map(|()| ExitCode::SUCCESS),
        Command::Demo { settings, submissions } => demo::demo(&settings, submissions.as_deref()).await,
        Command::Submit { dir } => submit::submit(&dir).await,
        Command::Bench(options) => bench::bench(&options).await.map(|()| ExitCode::SUCCESS),
        Command::WithServers { command } => with_servers::with_servers(&command).await,
    }
}
