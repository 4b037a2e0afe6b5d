//! Where a whole mesh is tested: the engine below it and the front before it.

use crate::engine::Engine;

/// An engine and a front.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stand {
    /// What the tables are in.
    pub engine: Engine,
    /// What people speak to.
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

impl Stand {
    /// The front of production, over the embedded engine.
    pub const ENVOY: Self = Self { engine: Engine::Embedded, front: Front::Envoy };
}

/// An engine alone is below the embedded front.
impl From<Engine> for Stand {
    fn from(engine: Engine) -> Self {
        Self { engine, front: Front::Embedded }
    }
}

/// Makes a test on each stand of every function that is named: `async fn rule(stand: Stand)` becomes the tests
/// `rule::embedded` and `rule::dynamodb_local` through the embedded front, and `rule::envoy` through Envoy. A function
/// that is forgotten is dead code, which the lints refuse.
#[macro_export]
macro_rules! on_each_stand {
    ($($rule:ident),* $(,)?) => {$(
        mod $rule {
            #[tokio::test]
            async fn embedded() {
                super::$rule($crate::engine::Engine::Embedded.into()).await;
            }

            #[tokio::test]
            async fn dynamodb_local() {
                super::$rule($crate::engine::Engine::DynamoDbLocal.into()).await;
            }

            #[tokio::test]
            async fn envoy() {
                super::$rule($crate::stand::Stand::ENVOY).await;
            }
        }
    )*};
}

/// Makes a test through each front, over the embedded engine, of every function that is named: for rules that no engine
/// has a part in.
#[macro_export]
macro_rules! through_each_front {
    ($($rule:ident),* $(,)?) => {$(
        mod $rule {
            #[tokio::test]
            async fn embedded() {
                super::$rule($crate::engine::Engine::Embedded.into()).await;
            }

            #[tokio::test]
            async fn envoy() {
                super::$rule($crate::stand::Stand::ENVOY).await;
            }
        }
    )*};
}
