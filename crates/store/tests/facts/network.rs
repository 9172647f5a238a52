//! A network between the store and Postgres that can stop carrying anything, without a word to either.

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

pub(crate) struct Network {
    /// The database's URL through this network.
    pub(crate) url: String,
    carries: watch::Sender<bool>,
}

impl Network {
    /// Between whoever uses its URL and the server of this one.
    pub(crate) async fn to(url: &str) -> Result<Network> {
        let (before, rest) = url.split_once('@').context("a URL with a user")?;
        let (server, database) = rest.split_once('/').context("a URL with a database")?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("{before}@{}/{database}", listener.local_addr()?);
        let (carries, _) = watch::channel(true);
        tokio::spawn(serve(listener, server.to_owned(), carries.subscribe()));
        Ok(Network { url, carries })
    }

    pub(crate) fn stall(&self) {
        self.carries.send_replace(false);
    }

    pub(crate) fn heal(&self) {
        self.carries.send_replace(true);
    }
}

async fn serve(listener: TcpListener, server: String, carries: watch::Receiver<bool>) -> Result<()> {
    loop {
        let (client, _) = listener.accept().await?;
        let (client_reads, client_writes) = client.into_split();
        let (server_reads, server_writes) = TcpStream::connect(&server).await?.into_split();
        tokio::spawn(carry(client_reads, server_writes, carries.clone()));
        tokio::spawn(carry(server_reads, client_writes, carries.clone()));
    }
}

async fn carry(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut carries: watch::Receiver<bool>,
) -> Result<()> {
    let mut bytes = vec![0; 64 * 1024];
    loop {
        let length = from.read(&mut bytes).await?;
        carries.wait_for(|carries| *carries).await?;
        if length == 0 {
            return Ok(());
        }
        to.write_all(&bytes[..length]).await?;
    }
}
