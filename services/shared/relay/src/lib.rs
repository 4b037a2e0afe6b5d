//! Delivers the events of a service to those who subscribe to them, at least once.
//!
//! An event rides in the item that it belongs to: the write that makes it happen puts a [`Mark`] there, so that there is
//! never one without the other. The mark is in the index [`pending`] until every subscriber has taken the event. It is
//! delivered at once by who wrote it ([`Relay::deliver`]), and again by a background task ([`Relay::recover`]) for as long as
//! the mark is there: so no crash and no outage loses it. The id and the time of an event are fixed by its first write, and
//! a subscriber that is told twice is told the same.
//!
//! An item holds one event at a time. Who writes the next one over an event that is still pending makes it one that says all
//! that the subscribers must know.

mod config;
mod deliver;
mod mark;

pub use config::Config;
pub use deliver::{Events, Relay, Subscriber};
pub use mark::{Mark, pending};
