//! `gateway check`: whether something answers at a URL, for images that have no other program.

use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use domain::duration;
use reqwest::{Client, Url, redirect};
use runtime::in_full;
use tokio::time::{Instant, sleep};

/// How long one attempt may take, and how long to wait before the next.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(500);

/// What to ask.
#[derive(Args, Clone, Debug)]
pub struct CheckFlags {
    /// The URL that is to answer 200, such as http://assay-gateway/readyz.
    url: Url,
    /// How long to go on asking until it does.
    #[arg(long, default_value = "30s", value_parser = duration::parse)]
    within: Duration,
    /// Takes any certificate, since only the answer matters.
    #[arg(long)]
    any_certificate: bool,
}

impl CheckFlags {
    /// Asks until the answer is 200, and returns its body.
    ///
    /// # Errors
    /// With the last answer, when time is over.
    pub async fn check(&self) -> anyhow::Result<String> {
        runtime::use_ring();
        let client = Client::builder()
            .timeout(ATTEMPT_TIMEOUT)
            .redirect(redirect::Policy::none())
            .no_proxy()
            .tls_danger_accept_invalid_certs(self.any_certificate)
            .build()
            .context("cannot make requests")?;
        let deadline = Instant::now() + self.within;
        loop {
            let said = match ask(&client, &self.url).await {
                Ok((200, body)) => return Ok(body),
                Ok((status, body)) => format!("{status} {}", body.trim()),
                Err(error) => in_full(&error),
            };
            if Instant::now() + PAUSE > deadline {
                bail!("{} did not answer 200 within {:?}, at last: {said}", self.url, self.within);
            }
            sleep(PAUSE).await;
        }
    }
}

async fn ask(client: &Client, url: &Url) -> reqwest::Result<(u16, String)> {
    let answer = client.get(url.clone()).send().await?;
    Ok((answer.status().as_u16(), answer.text().await?))
}
