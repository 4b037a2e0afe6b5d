//! When an answer must have ended, whether or not the service has ended it.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::refusal::Refusal;

/// The end of an answer: its deadline, and for a stream also the front's own end, which a drain would otherwise wait for.
#[derive(Debug)]
pub(crate) struct End {
    late: Pin<Box<Sleep>>,
    stopped: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
}

impl End {
    /// Of an answer that the front waits for when it stops.
    pub(crate) fn at(deadline: Instant) -> Self {
        Self { late: Box::pin(sleep_until(deadline)), stopped: None }
    }

    /// Of a stream.
    pub(crate) fn of_stream(deadline: Instant, stop: &CancellationToken) -> Self {
        Self { stopped: Some(Box::pin(stop.clone().cancelled_owned())), ..Self::at(deadline) }
    }

    /// Why the answer must end, once it must.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Refusal> {
        if let Some(stopped) = &mut self.stopped
            && stopped.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(Refusal::stopping());
        }
        self.late.as_mut().poll(cx).map(|()| Refusal::out_of_time())
    }
}
