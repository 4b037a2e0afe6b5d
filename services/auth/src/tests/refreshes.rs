//! Tests of repeated refreshes at several replicas, and of logins that an earlier version stored.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kernel::{Clock as _, Timestamp};
use kit::engine::Engine;
use serde_json::Value;

use super::{LIFE, Somebody, World};
use crate::login::Login;
use crate::model::RefreshToken;

kit::on_each_engine!(
    skewed_replicas_return_same_successor,
    far_off_clock_ends_reused_login,
    login_without_times_refreshes_without_auth_time,
);

fn token(world: &World, somebody: &Somebody, generation: u64) -> String {
    let (user, login) = (somebody.account.user_id, somebody.logins[0]);
    world.logins.0.refresh_tokens.seal(RefreshToken { user, login, generation })
}

/// Returns another replica, whose clock is ahead by this many seconds.
async fn replica(world: &World, ahead: i64) -> World {
    let now = Timestamp::from_second(world.clock.now().as_second() + ahead).unwrap();
    World::over(world.dynamodb.clone(), now, |_| ()).await
}

async fn skewed_replicas_return_same_successor(engine: Engine) {
    let world = World::new(engine).await;
    for (ahead, later) in [(-3, 0), (-3, 13), (0, 10), (3, 0), (3, 10)] {
        let asha = world.somebody(1).await;
        let other = replica(&world, ahead).await;
        let first = world.logins.0.refresh(&token(&world, &asha, 1)).await.unwrap();
        other.clock.advance(Duration::from_secs(later));
        let again = other.logins.0.refresh(&token(&world, &asha, 1)).await.unwrap();
        assert_eq!(again.refresh, first.refresh, "{ahead} {later}");
        assert_eq!(world.ended(&asha).await, [0; 0]);
        assert!(world.logins.0.refresh(&first.refresh).await.is_ok());
    }
}

async fn far_off_clock_ends_reused_login(engine: Engine) {
    let world = World::new(engine).await;
    for ahead in [-3600, -4, 14, 3600] {
        let asha = world.somebody(1).await;
        let other = replica(&world, ahead).await;
        world.logins.0.refresh(&token(&world, &asha, 1)).await.unwrap();
        assert!(other.logins.0.refresh(&token(&world, &asha, 1)).await.is_err(), "{ahead}");
        assert_eq!(world.ended(&asha).await, [0]);
    }
}

async fn login_without_times_refreshes_without_auth_time(engine: Engine) {
    let world = World::new(engine).await;
    let (now, mut asha) = (world.clock.now(), world.somebody(1).await);
    let stored = Login { auth_time: None, ..Login::begun(1, now, now.saturating_add(LIFE).unwrap().as_second()) };
    asha.logins = vec![kernel::LoginId::generate(&world.clock, &chassis::SystemEntropy)];
    world.logins.0.store.add_login(asha.account.user_id, asha.logins[0], stored).await.unwrap();
    let tokens = world.logins.0.refresh(&token(&world, &asha, 1)).await.unwrap();
    let claims = URL_SAFE_NO_PAD.decode(tokens.access.split('.').nth(1).unwrap()).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    assert!(claims.get("auth_time").is_none(), "{claims}");
    assert!(world.logins.0.refresh(&tokens.refresh).await.is_ok());
}
