//! A short run of `make chaos`.

use anyhow::Result;
use e2e::chaos::{self, Plan, Size};
use testkit::TempFolder;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_jobs_under_thirty_faults_lose_nothing_and_do_nothing_twice() -> Result<()> {
    let _alone = e2e::world::alone().await?;
    let size = Size { jobs: 2_000, faults: 30, seed: 4 };
    let folder = TempFolder::new()?;
    let report = chaos::run(&Plan::of(size), size, folder.path()).await?;
    println!("{report}");
    Ok(())
}
