//! True health (grpc.health.v1): a service is SERVING while the probe that it brings succeeds.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use kernel::Error;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

/// How long a probe may take before it counts as failed.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// What a service looks at to know that it can serve: its table.
#[derive(Clone)]
pub struct Probe(Arc<dyn Fn() -> Look + Send + Sync>);

type Look = Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;

impl Probe {
    /// A probe that runs `look`.
    pub fn new<F, Fut>(look: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), Error>> + Send + 'static,
    {
        Self(Arc::new(move || Box::pin(look())))
    }

    async fn succeeds(&self) -> bool {
        match tokio::time::timeout(PROBE_TIMEOUT, (self.0)()).await {
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                tracing::warn!(%error, cause = std::error::Error::source(&error), "the health probe failed");
                false
            }
            Err(_) => {
                tracing::warn!("the health probe took too long");
                false
            }
        }
    }
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
    pub(crate) async fn set(&self, serving: bool) {
        let status = if serving { ServingStatus::Serving } else { ServingStatus::NotServing };
        for service in self.services.iter() {
            self.reporter.set_service_status(service, status).await;
        }
    }

    /// Probes once, and reports.
    pub(crate) async fn look(&self, probe: &Probe) {
        self.set(probe.succeeds().await).await;
    }

    /// Probes again and again.
    pub(crate) async fn watch(&self, probe: Probe, interval: Duration) {
        loop {
            tokio::time::sleep(interval).await;
            self.look(&probe).await;
        }
    }
}
