//! The gateway: HTTP in front of the record, and the relay behind it.

use clap::Parser;
use gateway::{Listeners, Settings};
use runtime::Shutdown;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let settings = Settings::parse();
    settings.telemetry.start()?;
    let listeners = Listeners::bind(&settings).await?;
    gateway::run(settings, listeners, Shutdown::on_signals()?).await
}
