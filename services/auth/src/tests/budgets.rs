//! Tests of the budgets of sources, by networks in steps.

use kernel::{Clock as _, Kind};
use kit::engine::Engine;

use super::World;
use crate::budget::Budget;

kit::on_each_engine!(
    larger_ipv6_networks_have_larger_budgets,
    exhausted_budget_blocks_its_source,
    replicas_share_budgets,
);

/// Registers once from this address. Returns whether the budgets allowed it.
async fn register(world: &World, source: &str) -> bool {
    spend(world, source, Budget::Registrations).await
}

async fn spend(world: &World, source: &str, budget: Budget) -> bool {
    match world.logins.0.budgets.lock(source.parse().unwrap()).await {
        Ok(locked) => locked.spend(budget).await.is_ok(),
        Err(error) => {
            assert_eq!((error.kind(), error.reason()), (Kind::ResourceExhausted, "TOO_MANY_REGISTRATIONS"));
            assert!(error.retry_delay().is_some());
            false
        }
    }
}

async fn world(engine: Engine) -> World {
    let world = World::new(engine).await;
    World::over(world.dynamodb, world.clock.now(), |config| config.source_registrations = 2).await
}

async fn larger_ipv6_networks_have_larger_budgets(engine: Engine) {
    let world = world(engine).await;
    // Two for each /64, four for the /56, eight for the /48.
    for subnet in ["100", "101", "200", "201"] {
        for host in ["1", "2"] {
            assert!(register(&world, &format!("2001:db8:1:{subnet}::{host}")).await, "{subnet} {host}");
        }
        assert!(!register(&world, &format!("2001:db8:1:{subnet}::3")).await, "a /64 has two");
    }
    assert!(!register(&world, "2001:db8:1:102::1").await, "a /56 has four");
    assert!(!register(&world, "2001:db8:1:300::1").await, "a /48 has eight");
    assert!(register(&world, "2001:db8:2:100::1").await);
    assert!(register(&world, "192.0.2.1").await);
}

async fn exhausted_budget_blocks_its_source(engine: Engine) {
    let world = world(engine).await;
    for _ in 0..20 {
        assert!(spend(&world, "192.0.2.1", Budget::TakenAddresses).await);
    }
    assert!(!register(&world, "192.0.2.1").await);
    assert!(register(&world, "192.0.2.2").await);
}

async fn replicas_share_budgets(engine: Engine) {
    let one = world(engine).await;
    let other = World::over(one.dynamodb.clone(), one.clock.now(), |config| config.source_registrations = 2).await;
    assert!(register(&one, "192.0.2.1").await);
    assert!(register(&other, "192.0.2.1").await);
    assert!(!register(&one, "192.0.2.1").await);
}
