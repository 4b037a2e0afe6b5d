//! The processes that this binary runs of itself.

use std::io::Write as _;

use axum::serve::ListenerExt as _;
use clap::ValueEnum;
use proto::journals::v1::journal_service_server::JournalServiceServer;
use tokio::net::TcpListener;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

use super::plain;
use super::upstream::Journal;
use crate::Result;

/// What a process of this binary serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Served {
    /// The tonic service.
    Upstream,
    /// The axum handler.
    Plain,
}

/// Serves until it is killed. Says its address in the first line.
pub(crate) async fn serve(what: Served) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    writeln!(std::io::stdout(), "{}", listener.local_addr()?)?;
    match what {
        Served::Upstream => {
            let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
            let service = JournalServiceServer::new(Journal::new());
            // Envoy asks whether there is anybody.
            let (_, health) = tonic_health::server::health_reporter();
            Server::builder().add_service(health).add_service(service).serve_with_incoming(incoming).await?;
        }
        Served::Plain => {
            let listener = listener.tap_io(|stream| {
                // If it fails, it is only slower.
                let _ = stream.set_nodelay(true);
            });
            axum::serve(listener, plain::router()).await?;
        }
    }
    Ok(())
}
