//! Tower layers that measure RPCs: [`RpcTelemetry`] on the server's side, [`RpcClientTelemetry`] on the client's.
//!
//! Each call is a span and one value in a histogram of durations, with the method and the status it ended with, which
//! is read from the trailers or, in an answer that has no body, from the headers. A call ends with its body, not with
//! its headers: so a stream is measured whole, and a client that hangs up shows as CANCELLED.
//!
//! Methods are those of [`proto::RPCS`], of health and of reflection; every other path counts as `_OTHER`.

mod body;
mod call;
mod client;
mod method;
mod server;

pub use body::RpcBody;
pub use client::{RpcClient, RpcClientTelemetry};
pub use server::{CallerSlot, ResponseFuture, RpcServer, RpcTelemetry};
