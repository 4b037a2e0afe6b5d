use telemetry::request_id;

use crate::stage::{Inner, Request, Response, Stage, forward};

/// Names the request in its answer, whoever answers: `x-request-id` is the caller's, if that is well-formed, else a new one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RequestIdStage;

impl Stage for RequestIdStage {
    const NAME: &'static str = "request_id";

    async fn handle<S: Inner>(self, request: Request, inner: S) -> Response {
        let mut response = forward(inner, request).await;
        if let Some(id) = request_id::current() {
            request_id::insert(&id, response.headers_mut());
        }
        response
    }
}
