//! Reports health (grpc.health.v1): a service is SERVING while its probe succeeds.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use kernel::{BoxError, Error};
use tonic_health::ServingStatus;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus as Answer;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::server::HealthReporter;
use transport::channel;

/// Name under which a service is SERVING as long as it answers at all, whatever its probe says. Liveness probes ask for
/// this one, because a restart mends no table.
pub const LIVENESS: &str = "liveness";

/// Time after which a probe counts as failed.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// Check that a service can serve: that its table answers.
#[derive(Clone)]
pub struct Probe(Arc<dyn Fn() -> ProbeFuture + Send + Sync>);

type ProbeFuture = Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;

impl Probe {
    /// Creates a probe that runs `check`.
    pub fn new<F, Fut>(check: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), Error>> + Send + 'static,
    {
        Self(Arc::new(move || Box::pin(check())))
    }

    /// Returns a probe that succeeds if both do.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self::new(move || {
            let (one, other) = ((self.0)(), (other.0)());
            async { one.await.and(other.await) }
        })
    }

    /// Returns the reason why a service can't serve, if it can't.
    async fn fault(&self) -> Option<String> {
        match tokio::time::timeout(PROBE_TIMEOUT, (self.0)()).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(match std::error::Error::source(&error) {
                Some(cause) => format!("{error}: {cause}"),
                None => error.to_string(),
            }),
            Err(_) => Some("it took too long".to_owned()),
        }
    }
}

/// Asks the server at `address` (`http://host:port`) whether it is SERVING.
///
/// # Errors
/// A sentence, if it isn't, can't be reached, or doesn't answer within two seconds.
pub async fn ask(address: &str) -> Result<(), BoxError> {
    let mut health = HealthClient::new(channel(address)?);
    let answer = tokio::time::timeout(PROBE_TIMEOUT, health.check(HealthCheckRequest::default())).await;
    let answer = answer.map_err(|_| format!("{address} does not answer within {PROBE_TIMEOUT:?}"))?;
    let answer = answer.map_err(|status| format!("{address} does not answer: {}", origin(&status)))?.into_inner();
    match answer.status() {
        Answer::Serving => Ok(()),
        other @ (Answer::Unknown | Answer::NotServing | Answer::ServiceUnknown) => {
            Err(format!("{address} answers {}", other.as_str_name()).into())
        }
    }
}

/// Returns the root cause of an error: tonic tells that of a connection only so.
fn origin(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source()).last().map(ToString::to_string).unwrap_or_default()
}

impl fmt::Debug for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Probe")
    }
}

/// Reports what the probe says, for the whole server and for each of its services.
#[derive(Clone)]
pub(crate) struct Reporter {
    pub(crate) reporter: HealthReporter,
    pub(crate) services: Arc<[String]>,
}

impl Reporter {
    /// Reports that the server answers, which it does from now on.
    pub(crate) async fn alive(&self) {
        self.reporter.set_service_status(LIVENESS, ServingStatus::Serving).await;
    }

    pub(crate) async fn set(&self, serving: bool) {
        let status = if serving { ServingStatus::Serving } else { ServingStatus::NotServing };
        for service in self.services.iter() {
            self.reporter.set_service_status(service, status).await;
        }
    }

    /// Probes once, and reports. Logs what is other than before, and returns the fault.
    pub(crate) async fn update(&self, probe: &Probe, before: Option<String>) -> Option<String> {
        let fault = probe.fault().await;
        match (&fault, before) {
            (Some(fault), before) if before.as_ref() != Some(fault) => tracing::warn!(fault, "the health probe failed"),
            (None, Some(_)) => tracing::info!("the health probe succeeds again"),
            _ => {}
        }
        self.set(fault.is_none()).await;
        fault
    }

    /// Probes again and again.
    pub(crate) async fn watch(&self, probe: Probe, interval: Duration, mut fault: Option<String>) {
        loop {
            tokio::time::sleep(interval).await;
            fault = self.update(&probe, fault).await;
        }
    }
}
