use std::time::Duration;

use kernel::{Error, Kind};
use telemetry::grpc_timeout;
use tokio::time::Instant;

use crate::context::Deadline;
use crate::stage::{Inner, Request, Response, Stage, forward};
use crate::status::to_status;

/// Gives every call a deadline: the caller's (`grpc-timeout`), bounded, or the default.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DeadlineStage {
    /// Timeout of a call that asks for none.
    pub(crate) default: Duration,
    /// Maximum timeout of a call.
    pub(crate) most: Duration,
}

impl Stage for DeadlineStage {
    const NAME: &'static str = "deadline";

    async fn handle<S: Inner>(self, mut request: Request, inner: S) -> Response {
        let timeout = grpc_timeout(request.headers()).unwrap_or(self.default).min(self.most);
        let deadline = Instant::now() + timeout;
        // A timeout of zero is over before anything is tried; a timer would try first.
        if timeout.is_zero() {
            return to_status(exceeded()).into_http();
        }
        request.extensions_mut().insert(Deadline(deadline));
        match tokio::time::timeout_at(deadline, forward(inner, request)).await {
            Ok(response) => response,
            Err(_) => to_status(exceeded()).into_http(),
        }
    }
}

/// The error of a call whose time is over.
pub(crate) fn exceeded() -> Error {
    Error::new(Kind::DeadlineExceeded, "DEADLINE_EXCEEDED", "the time given to the call is over")
}
