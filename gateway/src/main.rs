//! The gateway: HTTP in front of the record, and the relay behind it. Or makes a token for development, or
//! describes the API.

use clap::Parser;
use gateway::{Listeners, MintFlags, Settings};
use runtime::Shutdown;

/// Makes a token for development, signed with the gateway's secret, and prints it.
#[derive(Parser)]
#[command(name = "gateway token")]
struct Token {
    #[command(flatten)]
    flags: MintFlags,
}

fn main() -> anyhow::Result<()> {
    let words: Vec<_> = std::env::args_os().collect();
    // A parser of its own rather than a subcommand: what serving needs is required, but not for this.
    if words.get(1).is_some_and(|word| word == "token") {
        println!("{}", Token::parse_from(&words[1..]).flags.mint()?);
        return Ok(());
    }
    if words.get(1).is_some_and(|word| word == "openapi") {
        print!("{}", gateway::openapi::text());
        return Ok(());
    }
    serve(Settings::parse_from(words))
}

#[tokio::main]
async fn serve(settings: Settings) -> anyhow::Result<()> {
    settings.telemetry.start()?;
    let traces = settings.telemetry.export_traces("assay-gateway", env!("CARGO_PKG_VERSION"))?;
    let listeners = Listeners::bind(&settings).await?;
    let ended = gateway::run(settings, listeners, Shutdown::on_signals()?).await;
    traces.flush().await;
    ended
}
