//! Prints docs/values.md, made from the chart's values and the services' settings.

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    print!("{}", e2e::chart::values::document().await?);
    Ok(())
}
