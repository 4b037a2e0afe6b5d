//! Ends answers at their deadline or at shutdown, even if the service has not ended them.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::rest_error::RestError;

/// Deadline of an answer, and for a stream also the front's shutdown, whose drain would otherwise wait for the stream.
#[derive(Debug)]
pub(crate) struct Deadline {
    timer: Pin<Box<Sleep>>,
    shutdown: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
}

impl Deadline {
    /// Creates the deadline of an answer that the drain waits for.
    pub(crate) fn at(deadline: Instant) -> Self {
        Self { timer: Box::pin(sleep_until(deadline)), shutdown: None }
    }

    /// Creates the deadline of a stream, which also ends at shutdown.
    pub(crate) fn of_stream(deadline: Instant, stop: &CancellationToken) -> Self {
        Self { shutdown: Some(Box::pin(stop.clone().cancelled_owned())), ..Self::at(deadline) }
    }

    /// Waits for the deadline or the shutdown, and returns the error that ends the answer.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<RestError> {
        if let Some(shutdown) = &mut self.shutdown
            && shutdown.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(RestError::stopping());
        }
        self.timer.as_mut().poll(cx).map(|()| RestError::deadline_exceeded())
    }
}
