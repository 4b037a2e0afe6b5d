//! Servers that run as child processes of this binary.

use std::io::Write as _;
use std::net::SocketAddr;

use axum::Router;
use axum::serve::ListenerExt as _;
use clap::ValueEnum;
use proto::journals::v1::journal_service_client::JournalServiceClient;
use tokio::net::TcpListener;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Server};

use super::upstream::Journal;
use super::{by_hand, plain};
use crate::Result;

/// The server that a child process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Served {
    /// The tonic service.
    Upstream,
    /// The axum handlers without a service.
    Plain,
    /// The axum handlers that call the service.
    ByHand,
}

/// Serves until it is killed. `before` is the address of the service behind the handlers that need one. Prints its own
/// address in the first line.
pub(crate) async fn serve(what: Served, before: Option<SocketAddr>) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    writeln!(std::io::stdout(), "{}", listener.local_addr()?)?;
    match what {
        Served::Upstream => {
            let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
            // For Envoy's health checks.
            let (_, health) = tonic_health::server::health_reporter();
            Server::builder().add_service(health).add_service(Journal::new()).serve_with_incoming(incoming).await?;
        }
        Served::Plain => rest(listener, plain::router()).await?,
        Served::ByHand => {
            let service = before.ok_or("no service to be in front of")?;
            let channel = Channel::from_shared(format!("http://{service}"))?.tcp_nodelay(true).connect().await?;
            rest(listener, by_hand::router(JournalServiceClient::new(channel))).await?;
        }
    }
    Ok(())
}

async fn rest(listener: TcpListener, router: Router) -> Result<()> {
    let listener = listener.tap_io(|stream| {
        // A failure only costs latency.
        let _ = stream.set_nodelay(true);
    });
    Ok(axum::serve(listener, router).await?)
}
