//! The load: 32 connections, each with one call at a time.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::contestant::{Contestant, Protocol};
use super::work::Work;
use super::{grpc, rest};
use crate::Result;

pub(super) const CONNECTIONS: u32 = 32;
/// Warm-up calls on each connection.
const WARM_UP: u32 = 20;

/// Results of a turn.
pub(super) struct Turn {
    pub(super) requests: u64,
    pub(super) time: Duration,
    /// CPU time of the contestant.
    pub(super) cpu: Duration,
}

/// A persistent connection.
pub(super) enum Connection {
    Rest(rest::Connection),
    Grpc(grpc::Connection),
}

impl Connection {
    /// Makes a call and waits for its answer.
    pub(super) async fn call(&mut self) -> Result<()> {
        match self {
            Self::Rest(connection) => connection.call().await,
            Self::Grpc(connection) => connection.call().await,
        }
    }
}

/// Opens and warms up connections. Returns them with their driver tasks.
pub(super) async fn connect(contestant: &Contestant, work: Work) -> Result<(Vec<Connection>, JoinSet<()>)> {
    let mut tasks = JoinSet::new();
    let mut connections = Vec::new();
    let mut shared = None;
    for _ in 0..CONNECTIONS {
        let mut connection = match (contestant.protocol, &shared) {
            (Protocol::Rest, _) => {
                Connection::Rest(rest::Connection::open(contestant.address, work, &contestant.target).await?)
            }
            (Protocol::GrpcShared, Some(shared)) => Connection::Grpc(grpc::Connection::clone(shared)),
            (Protocol::Grpc | Protocol::GrpcShared, _) => {
                let opened = grpc::Connection::open(contestant.address, work, &contestant.target, &mut tasks).await?;
                shared = Some(opened.clone());
                Connection::Grpc(opened)
            }
        };
        for _ in 0..WARM_UP {
            connection.call().await?;
        }
        connections.push(connection);
    }
    Ok((connections, tasks))
}

/// Makes calls without pause for this long.
pub(super) async fn turn(contestant: &Contestant, work: Work, time: Duration) -> Result<Turn> {
    let (connections, _tasks) = connect(contestant, work).await?;
    let mut calling = JoinSet::new();
    let (started, before) = (Instant::now(), contestant.cpu()?);
    for mut connection in connections {
        calling.spawn(async move {
            let mut answered = 0_u64;
            while started.elapsed() < time {
                connection.call().await?;
                answered += 1;
            }
            Result::Ok(answered)
        });
    }
    let mut requests = 0;
    while let Some(answered) = calling.join_next().await {
        requests += answered??;
    }
    Ok(Turn { requests, time: started.elapsed(), cpu: contestant.cpu()?.saturating_sub(before) })
}
