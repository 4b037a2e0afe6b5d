//! Event subscribers with scripted reactions.
#![allow(clippy::expect_used, reason = "a test service that cannot start has failed")]

use std::net::{Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};

use kernel::{Role, UserId};
use proto::events::v1::subscriber_service_server::{SubscriberService, SubscriberServiceServer};
use proto::events::v1::{AccountEnded, DeliverRequest, DeliverResponse, Event, account_ended};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic::{Code, Request, Response, Status};

/// Returns the event of an account's end.
#[must_use]
pub fn account_ended(role: Role, id: UserId) -> AccountEnded {
    let role = match role {
        Role::Client => account_ended::Role::Client,
        Role::Therapist => account_ended::Role::Therapist,
    };
    AccountEnded { user_id: id.to_string(), role: role.into() }
}

/// A subscriber's reaction to an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reaction {
    /// Acknowledges the event.
    Take,
    /// Fails with a code that is not retried at once.
    Fail,
    /// Never answers, unless [`Deliveries::release`] makes it fail.
    Hang,
}

/// One delivery of one event.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// Name of the subscriber.
    pub to: &'static str,
    /// Delivered event.
    pub event: Event,
    /// Reaction of the subscriber.
    pub reaction: Reaction,
}

/// Deliveries to several subscribers, in order.
#[derive(Debug, Clone, Default)]
pub struct Deliveries {
    all: Arc<Mutex<Vec<Delivery>>>,
    release: Arc<Notify>,
}

/// A running subscriber on its own port. It stops when dropped.
#[derive(Debug)]
pub struct Subscriber {
    address: SocketAddr,
    task: JoinHandle<()>,
}

struct Service<F> {
    name: &'static str,
    deliveries: Deliveries,
    react: F,
}

impl Deliveries {
    /// Starts a subscriber whose deliveries are recorded here.
    ///
    /// # Panics
    /// If no port is free.
    #[allow(clippy::disallowed_methods, reason = "the task ends with the subscriber")]
    pub async fn subscriber<F>(&self, name: &'static str, react: F) -> Subscriber
    where
        F: Fn(&Event) -> Reaction + Send + Sync + 'static,
    {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port is free");
        let address = listener.local_addr().expect("the port is known");
        let service = SubscriberServiceServer::new(Service { name, deliveries: self.clone(), react });
        let serve = Server::builder().add_service(service).serve_with_incoming(TcpListenerStream::new(listener));
        Subscriber { address, task: tokio::spawn(async move { serve.await.expect("the subscriber serves") }) }
    }

    /// Returns all deliveries.
    #[must_use]
    pub fn all(&self) -> Vec<Delivery> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Makes the deliveries fail that hang now.
    pub fn release(&self) {
        self.release.notify_waiters();
    }

    /// Returns the events that a subscriber acknowledged.
    #[must_use]
    pub fn taken_by(&self, name: &str) -> Vec<Event> {
        let taken = |it: &Delivery| it.to == name && it.reaction == Reaction::Take;
        self.all().into_iter().filter(taken).map(|it| it.event).collect()
    }
}

impl Subscriber {
    /// Returns the address as `http://host:port`.
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
        let mut released = pin!(self.deliveries.release.notified());
        // Before others see the delivery, so that none misses its release.
        released.as_mut().enable();
        self.deliveries.all.lock().unwrap_or_else(PoisonError::into_inner).push(Delivery {
            to: self.name,
            event,
            reaction,
        });
        match reaction {
            Reaction::Take => return Ok(Response::new(DeliverResponse {})),
            Reaction::Fail => {}
            Reaction::Hang => released.await,
        }
        Err(Status::new(Code::Internal, "the test says so"))
    }
}
