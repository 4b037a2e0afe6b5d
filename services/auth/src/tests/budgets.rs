//! Budgets of sources, by networks in steps.

use kernel::{Clock as _, Kind, Role};
use kit::engine::Engine;

use super::World;
use crate::Config;
use crate::budget::Budget;
use crate::ops::Registration;
use crate::password::Password;

kit::on_each_engine!(
    larger_ipv6_networks_have_larger_budgets,
    one_budget_that_is_spent_refuses_the_source_altogether,
    replicas_count_together,
    a_registration_that_finds_no_place_spends_nothing,
);

/// Registers once from this address. Answers whether the budgets allowed it.
async fn register(world: &World, source: &str) -> bool {
    spend(world, source, Budget::Registrations).await
}

async fn spend(world: &World, source: &str, budget: Budget) -> bool {
    match world.logins.0.budgets.turn(source.parse().unwrap()).await {
        Ok(turn) => turn.spend(budget).await.is_ok(),
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

async fn one_budget_that_is_spent_refuses_the_source_altogether(engine: Engine) {
    let world = world(engine).await;
    for _ in 0..20 {
        assert!(spend(&world, "192.0.2.1", Budget::TakenAddresses).await);
    }
    assert!(!register(&world, "192.0.2.1").await);
    assert!(register(&world, "192.0.2.2").await);
}

async fn replicas_count_together(engine: Engine) {
    let one = world(engine).await;
    let other = World::over(one.dynamodb.clone(), one.clock.now(), |config| config.source_registrations = 2).await;
    assert!(register(&one, "192.0.2.1").await);
    assert!(register(&other, "192.0.2.1").await);
    assert!(!register(&one, "192.0.2.1").await);
}

async fn a_registration_that_finds_no_place_spends_nothing(engine: Engine) {
    let world = World::new(engine).await;
    let few =
        |config: &mut Config| (config.hash_threads, config.hash_queue, config.source_registrations) = (Some(1), 0, 1);
    let world = World::over(world.dynamodb, world.clock.now(), few).await;
    let ops = &world.logins.0;
    let source = "192.0.2.1".parse().unwrap();
    let register = |email: &str| {
        let password = Password::chosen("a few unrelated words").unwrap();
        ops.register(Registration { email: email.parse().unwrap(), password, role: Role::Client }, source)
    };
    let place = ops.hasher.slot(source).await.unwrap();
    assert_eq!(register("a@example.com").await.err().unwrap().reason(), "LOGINS_BUSY");
    drop(place);
    register("a@example.com").await.unwrap();
    assert_eq!(register("b@example.com").await.err().unwrap().reason(), "TOO_MANY_REGISTRATIONS");
}
