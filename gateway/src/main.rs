//! The gateway: HTTP in front of the record, and the relay behind it. Or makes a token for development, describes the API,
//! or asks whether a gateway answers.

use clap::Parser;
use gateway::{CheckFlags, Listeners, MintFlags, Settings};
use runtime::Shutdown;

/// Makes a token for development, signed with the gateway's secret, and prints it.
#[derive(Parser)]
#[command(name = "gateway token")]
struct Token {
    #[command(flatten)]
    flags: MintFlags,
}

/// Asks whether something answers 200 at a URL, and prints what it says.
#[derive(Parser)]
#[command(name = "gateway check")]
struct Check {
    #[command(flatten)]
    flags: CheckFlags,
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
    if words.get(1).is_some_and(|word| word == "check") {
        return check(&Check::parse_from(&words[1..]).flags);
    }
    serve(Settings::parse_from(words))
}

#[tokio::main]
async fn check(flags: &CheckFlags) -> anyhow::Result<()> {
    print!("{}", flags.check().await?);
    Ok(())
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
