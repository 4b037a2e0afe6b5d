//! Connections of the mesh on both sides: the listener with its bounds, the channels to other services, and what both
//! fronts and services share on the way from a connection to a request.

mod budget;
mod channel;
#[cfg(test)]
mod fuzz;
pub mod listener;
mod proxies;
mod reader;
mod slots;
mod source;
mod status;

pub use budget::{Budget, Held, Holder, Holders};
pub use channel::{Channel, channel, channel_of_streams, is_out_of_time};
pub use proxies::{FORWARDED_FOR, TrustedProxies};
pub use reader::{RETRY_DELAY, Reader, Unread, too_large, too_many};
pub use source::SourceNetwork;
pub use status::public_status;
