//! Services that are told of events, and do with them what a test says.
#![allow(clippy::expect_used, reason = "a test service that cannot start has failed")]

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use proto::events::v1::subscriber_service_server::{SubscriberService, SubscriberServiceServer};
use proto::events::v1::{DeliverRequest, DeliverResponse, Event};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic::{Code, Request, Response, Status};

/// What a subscriber does with an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reaction {
    /// It takes it.
    Take,
    /// It fails, in a way that is not repeated at once.
    Fail,
    /// It says nothing.
    Hang,
}

/// One telling of one event.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// The subscriber that was told.
    pub to: &'static str,
    /// What it was told.
    pub event: Event,
    /// What it did.
    pub reaction: Reaction,
}

/// What several subscribers were told, in order.
#[derive(Debug, Clone, Default)]
pub struct Told(Arc<Mutex<Vec<Delivery>>>);

/// A subscriber on a port of its own; it ends with this value.
#[derive(Debug)]
pub struct Subscriber {
    address: SocketAddr,
    task: JoinHandle<()>,
}

struct Service<F> {
    name: &'static str,
    told: Told,
    react: F,
}

impl Told {
    /// A new subscriber that reacts so.
    ///
    /// # Panics
    /// If no port can be had.
    #[allow(clippy::disallowed_methods, reason = "the task ends with the subscriber")]
    pub async fn subscriber<F>(&self, name: &'static str, react: F) -> Subscriber
    where
        F: Fn(&Event) -> Reaction + Send + Sync + 'static,
    {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port is free");
        let address = listener.local_addr().expect("the port is known");
        let service = SubscriberServiceServer::new(Service { name, told: self.clone(), react });
        let serve = Server::builder().add_service(service).serve_with_incoming(TcpListenerStream::new(listener));
        Subscriber { address, task: tokio::spawn(async move { serve.await.expect("the subscriber serves") }) }
    }

    /// All of it.
    #[must_use]
    pub fn all(&self) -> Vec<Delivery> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The events that a subscriber has taken.
    #[must_use]
    pub fn taken_by(&self, name: &str) -> Vec<Event> {
        let taken = |it: &Delivery| it.to == name && it.reaction == Reaction::Take;
        self.all().into_iter().filter(taken).map(|it| it.event).collect()
    }
}

impl Subscriber {
    /// Where it listens, as `http://host:port`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[tonic::async_trait]
impl<F: Fn(&Event) -> Reaction + Send + Sync + 'static> SubscriberService for Service<F> {
    async fn deliver(&self, request: Request<DeliverRequest>) -> Result<Response<DeliverResponse>, Status> {
        let event = request.into_inner().event.ok_or_else(|| Status::new(Code::InvalidArgument, "no event"))?;
        let reaction = (self.react)(&event);
        self.told.0.lock().unwrap_or_else(PoisonError::into_inner).push(Delivery { to: self.name, event, reaction });
        match reaction {
            Reaction::Take => Ok(Response::new(DeliverResponse {})),
            Reaction::Fail => Err(Status::new(Code::Internal, "the test says so")),
            Reaction::Hang => std::future::pending().await,
        }
    }
}
