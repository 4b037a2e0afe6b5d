//! Test environments of a mesh: combinations of an engine and a front.

use crate::engine::Engine;

/// An engine and a front.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TestEnv {
    /// Engine that holds the tables.
    pub engine: Engine,
    /// Front that users call.
    pub front: Front,
}

/// A front of the mesh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Front {
    /// The crate `gateway`, in the process of the mesh.
    Embedded,
    /// Envoy, configured as in production.
    Envoy,
}

impl TestEnv {
    /// Envoy, the front of production, over the embedded engine.
    pub const ENVOY: Self = Self { engine: Engine::Embedded, front: Front::Envoy };
}

/// An engine alone is combined with the embedded front.
impl From<Engine> for TestEnv {
    fn from(engine: Engine) -> Self {
        Self { engine, front: Front::Embedded }
    }
}

/// Returns the embedded engine behind the embedded front.
#[must_use]
pub fn embedded() -> TestEnv {
    Engine::Embedded.into()
}

/// Returns DynamoDB Local behind the embedded front.
#[must_use]
pub fn dynamodb_local() -> TestEnv {
    Engine::DynamoDbLocal.into()
}

/// Returns the embedded engine behind Envoy.
#[must_use]
pub fn envoy() -> TestEnv {
    TestEnv::ENVOY
}

/// Declares a test in each environment for every named function: `async fn rule(env: TestEnv)` becomes the tests
/// `rule::embedded` and `rule::dynamodb_local` through the embedded front, and `rule::envoy` through Envoy. After
/// `fronts:` it becomes one through each front, over the embedded engine: for rules that don't depend on the engine. A
/// function that isn't listed is dead code, which the lints refuse.
#[macro_export]
macro_rules! on_each_env {
    (@declare $rule:ident [$($env:ident),+]) => {
        mod $rule {
            $(
                #[tokio::test]
                async fn $env() {
                    $crate::wait::in_time(super::$rule($crate::test_env::$env())).await;
                }
            )+
        }
    };
    (fronts: $($rule:ident),+ $(,)?) => {
        $($crate::on_each_env!(@declare $rule [embedded, envoy]);)+
    };
    ($($rule:ident),+ $(,)?) => {
        $($crate::on_each_env!(@declare $rule [embedded, dynamodb_local, envoy]);)+
    };
}
