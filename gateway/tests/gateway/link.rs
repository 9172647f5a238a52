//! A stretch of network to a server that can be cut, or muted so that the server hears and is not heard.

use std::sync::Arc;

use anyhow::Result;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What the network does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weather {
    /// All arrives.
    Fair,
    /// The server's answers get lost.
    Mute,
    /// Connections break, and new ones too.
    Cut,
}

/// A loopback port that leads to another one, through the weather.
pub(crate) struct Link {
    pub(crate) port: u16,
    state: Arc<watch::Sender<State>>,
}

#[derive(Clone, Copy)]
struct State {
    weather: Weather,
    /// How often the link was cut, for connections that would otherwise miss a short cut.
    cuts: usize,
}

impl Link {
    /// A link to a loopback port.
    pub(crate) async fn to(port: u16, weather: Weather) -> Result<Link> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let state = Arc::new(watch::Sender::new(State { weather, cuts: 0 }));
        let link = Link { port: listener.local_addr()?.port(), state: state.clone() };
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let state = state.subscribe();
                tokio::spawn(async move {
                    // A connection that breaks is what this is about.
                    let _ = carry(client, port, state).await;
                });
            }
        });
        Ok(link)
    }

    /// Changes the weather, also for connections that are open.
    pub(crate) fn set(&self, weather: Weather) {
        self.state.send_modify(|state| {
            state.weather = weather;
            state.cuts += usize::from(weather == Weather::Cut);
        });
    }
}

async fn carry(client: TcpStream, port: u16, mut state: watch::Receiver<State>) -> Result<()> {
    let State { weather, cuts } = *state.borrow();
    if weather == Weather::Cut {
        return Ok(());
    }
    let server = TcpStream::connect(("127.0.0.1", port)).await?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let answers = state.clone();
    tokio::select! {
        _ = state.wait_for(|state| state.cuts > cuts) => Ok(()),
        result = async {
            tokio::try_join!(
                copy(from_client, to_server, || true),
                copy(from_server, to_client, || answers.borrow().weather != Weather::Mute)
            )
        } => result.map(drop),
    }
}

async fn copy(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    arrives: impl Fn() -> bool,
) -> Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let length = from.read(&mut buffer).await?;
        if length == 0 {
            to.shutdown().await?;
            return Ok(());
        }
        if arrives() {
            to.write_all(&buffer[..length]).await?;
        }
    }
}
