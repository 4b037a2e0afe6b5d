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

/// Declares a test in each environment for every named function: `async fn rule(env: TestEnv)` becomes the tests
/// `rule::embedded` and `rule::dynamodb_local` through the embedded front, and `rule::envoy` through Envoy. A function
/// that isn't listed is dead code, which the lints refuse.
#[macro_export]
macro_rules! on_each_env {
    ($($rule:ident),* $(,)?) => {$(
        mod $rule {
            #[tokio::test]
            async fn embedded() {
                $crate::wait::in_time(super::$rule($crate::engine::Engine::Embedded.into())).await;
            }

            #[tokio::test]
            async fn dynamodb_local() {
                $crate::wait::in_time(super::$rule($crate::engine::Engine::DynamoDbLocal.into())).await;
            }

            #[tokio::test]
            async fn envoy() {
                $crate::wait::in_time(super::$rule($crate::test_env::TestEnv::ENVOY)).await;
            }
        }
    )*};
}

/// Declares a test through each front, over the embedded engine, for every named function: for rules that don't depend
/// on the engine.
#[macro_export]
macro_rules! through_each_front {
    ($($rule:ident),* $(,)?) => {$(
        mod $rule {
            #[tokio::test]
            async fn embedded() {
                $crate::wait::in_time(super::$rule($crate::engine::Engine::Embedded.into())).await;
            }

            #[tokio::test]
            async fn envoy() {
                $crate::wait::in_time(super::$rule($crate::test_env::TestEnv::ENVOY)).await;
            }
        }
    )*};
}
