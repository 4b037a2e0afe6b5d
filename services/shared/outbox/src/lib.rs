//! Delivers the events of a service to those who subscribe to them, at least once.
//!
//! An event is stored with the change that causes it, so that there is never one without the other: as a [`Mark`] in the
//! changed item, or in an item of its own that the same transaction puts and the outbox deletes ([`Events::keeps`]).
//! The mark is in the index [`pending`] until every subscriber has acknowledged the event. The writer delivers it at
//! once ([`Outbox::deliver`], or [`Courier::deliver`] without waiting for it), and a background task
//! ([`Outbox::recover`]) redelivers it while the mark exists: so no crash and no outage loses it. The first write fixes
//! the id and the time of an event, so redeliveries are identical.
//!
//! An item holds one event at a time. An event that overwrites a pending one must contain everything that the
//! subscribers need to know.

mod config;
mod courier;
mod deliver;
mod mark;
mod metrics;

pub use config::Config;
pub use courier::Courier;
pub use deliver::{Events, Outbox, Subscriber};
pub use mark::{Mark, Topic, pending};
