use std::sync::Arc;
use std::time::Duration;

use kernel::{Error, Kind};
use tokio::sync::Semaphore;

use crate::access::is_infrastructure;
use crate::stage::{Inner, Request, Response, Stage, forward};
use crate::status;

/// At most so many requests at once; what comes on top is refused at once, before it costs anything.
#[derive(Debug, Clone)]
pub(crate) struct LimitStage {
    free: Arc<Semaphore>,
}

impl LimitStage {
    /// A limit of `most` requests at once.
    #[must_use]
    pub(crate) fn new(most: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS))) }
    }
}

impl Stage for LimitStage {
    const NAME: &'static str = "limit";

    async fn handle<S: Inner>(self, request: Request, inner: S) -> Response {
        // A busy service is not a sick one: its health is answered also under load.
        if is_infrastructure(request.uri().path()) {
            return forward(inner, request).await;
        }
        match self.free.try_acquire() {
            Ok(_permit) => forward(inner, request).await,
            Err(_) => status::of(overloaded()).into_http(),
        }
    }
}

fn overloaded() -> Error {
    Error::new(Kind::Unavailable, "OVERLOADED", "too many requests at once; try again")
        .retry_after(Duration::from_secs(1))
}
