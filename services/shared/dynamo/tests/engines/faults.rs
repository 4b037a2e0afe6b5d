use std::time::{Duration, Instant};

use dynamo::{Client, Condition, Config, Delete, Put, Read, Table, Transact, Update};
use kernel::{Error, Kind};
use kit::engine::Engine;
use kit::fault::{Mode, Proxy};

use crate::support::{Thing, key, made, thing};

kit::on_each_engine![
    hanging_store_is_unavailable_within_timeout,
    refusing_store_is_unavailable_and_recovers,
    throttled_call_is_retried_then_unavailable,
    retry_after_lost_answer_recognizes_own_write,
    retry_after_throttling_reports_foreign_write,
    transaction_conflicts_are_retried_then_aborted,
    each_operation_sends_one_request,
];

const OPERATION: Duration = Duration::from_millis(1200);

struct World {
    proxy: Proxy,
    table: Table,
}

/// A table behind a proxy, with a client of short timeouts.
async fn world_with_short_timeouts(engine: Engine) -> World {
    let config = engine.config().await;
    made(&config.connect(kit::entropy::seeded()).await).await;
    let proxy = Proxy::start(&engine.endpoint().await);
    let config = Config {
        endpoint: Some(proxy.endpoint()),
        attempt_timeout: Duration::from_millis(500),
        operation_timeout: OPERATION,
        ..config
    };
    let table = config.connect(kit::entropy::seeded()).await.table(&crate::support::THINGS);
    World { proxy, table }
}

/// A table behind a proxy, with a client of the default timeouts, which an engine under load needs.
async fn world_with_default_timeouts(engine: Engine) -> World {
    let config = engine.config().await;
    made(&config.connect(kit::entropy::seeded()).await).await;
    let proxy = Proxy::start(&engine.endpoint().await);
    let client: Client = Config { endpoint: Some(proxy.endpoint()), ..config }.connect(kit::entropy::seeded()).await;
    World { proxy, table: client.table(&crate::support::THINGS) }
}

async fn every_call(table: &Table) -> [Error; 6] {
    let put = || table.put(&key("a"), &thing("a", 1));
    [
        table.get_item(&key("a"), Read::Consistent).await.unwrap_err(),
        put().run().await.unwrap_err(),
        table.update(&key("a")).set("size", 1).run().await.unwrap_err(),
        table.delete(&key("a")).run().await.unwrap_err(),
        table.query("THINGS").page().await.unwrap_err(),
        table.transact([put().into()]).await.unwrap_err(),
    ]
}

fn assert_unavailable(error: &Error) {
    assert_eq!(error.kind(), Kind::Unavailable, "{error:?}");
    assert!(error.retry_delay().is_some());
    assert_eq!(error.message(), "the service can't answer right now; try again");
}

async fn hanging_store_is_unavailable_within_timeout(engine: Engine) {
    let World { proxy, table } = world_with_short_timeouts(engine).await;
    proxy.set(Mode::Hang).await;
    let started = Instant::now();
    assert_unavailable(&table.get_item(&key("a"), Read::Consistent).await.unwrap_err());
    let elapsed = started.elapsed();
    assert!(elapsed < OPERATION + Duration::from_millis(500), "{elapsed:?}");
}

async fn refusing_store_is_unavailable_and_recovers(engine: Engine) {
    let World { proxy, table } = world_with_default_timeouts(engine).await;
    assert!(matches!(table.put_new(&key("a"), &thing("a", 1)).await.unwrap(), Put::Done));
    proxy.set(Mode::Refuse).await;
    every_call(&table).await.iter().for_each(assert_unavailable);
    proxy.set(Mode::Pass).await;
    assert_eq!(table.get(&key("a"), Read::Consistent).await.unwrap(), Some(thing("a", 1)));
}

async fn throttled_call_is_retried_then_unavailable(engine: Engine) {
    let World { proxy, table } = world_with_default_timeouts(engine).await;
    proxy.next([Mode::Throttle, Mode::Throttle]);
    assert!(matches!(table.put_new(&key("a"), &thing("a", 1)).await.unwrap(), Put::Done), "the third attempt");
    assert_eq!(proxy.take_calls(), ["PutItem"; 3]);
    proxy.set(Mode::Throttle).await;
    every_call(&table).await.iter().for_each(assert_unavailable);
}

async fn retry_after_lost_answer_recognizes_own_write(engine: Engine) {
    let World { proxy, table } = world_with_default_timeouts(engine).await;
    proxy.next([Mode::LoseAnswer]);
    assert!(matches!(table.put_new(&key("a"), &thing("a", 1)).await.unwrap(), Put::Done));
    assert_eq!(proxy.take_calls(), ["PutItem"; 2], "it was tried again");

    proxy.next([Mode::LoseAnswer]);
    let change = table.update(&key("a")).set("size", 2).remove("name").when(Condition::eq("size", 1));
    let Update::Done(new) = change.run().await.unwrap() else { panic!("its own work was taken for another's") };
    assert_eq!(new.text("name"), None);

    proxy.next([Mode::LoseAnswer]);
    let put = table.put(&key("b"), &thing("b", 1)).when(Condition::absent());
    assert!(matches!(table.transact([put.into()]).await.unwrap(), Transact::Done));

    proxy.next([Mode::LoseAnswer]);
    let delete = table.delete(&key("b")).when(Condition::eq("size", 1));
    assert!(matches!(delete.run().await.unwrap(), Delete::Done(None)));
    assert_eq!(table.get::<Thing>(&key("b"), Read::Consistent).await.unwrap(), None);
}

async fn retry_after_throttling_reports_foreign_write(engine: Engine) {
    let World { proxy, table } = world_with_default_timeouts(engine).await;
    let _ = table.put_new(&key("a"), &thing("another's", 2)).await.unwrap();
    proxy.next([Mode::Throttle]);
    let put = table.put_new(&key("a"), &thing("mine", 2)).await.unwrap();
    assert!(matches!(put, Put::Exists(_)));
    proxy.next([Mode::Throttle]);
    let change = table.update(&key("a")).set("name", "mine").set("size", 2).when(Condition::eq("size", 1));
    assert!(matches!(change.run().await.unwrap(), Update::ConditionFailed(Some(_))));
    proxy.next([Mode::Throttle]);
    let change = table.update(&key("a")).set("size", 2).remove("name").when(Condition::eq("size", 1));
    assert!(matches!(change.run().await.unwrap(), Update::ConditionFailed(Some(_))), "the name is still there");
}

async fn transaction_conflicts_are_retried_then_aborted(engine: Engine) {
    let World { proxy, table } = world_with_default_timeouts(engine).await;
    let put = || table.put(&key("a"), &thing("a", 1));
    proxy.next([Mode::Conflict, Mode::Conflict]);
    assert!(matches!(put().run().await.unwrap(), Update::Done(_)));
    proxy.next([Mode::Conflict, Mode::Conflict]);
    assert!(matches!(table.transact([put().into()]).await.unwrap(), Transact::Done));

    proxy.next([Mode::Conflict, Mode::Conflict]);
    assert!(table.transact_get(&[key("a")]).await.unwrap()[0].is_some());

    proxy.set(Mode::Conflict).await;
    for error in [put().run().await.unwrap_err(), table.transact([put().into()]).await.unwrap_err()] {
        assert_eq!((error.kind(), error.reason()), (Kind::Aborted, "CONFLICT"));
        assert!(error.retry_delay().is_some());
    }
    // A read has nothing that its caller could lose.
    assert_unavailable(&table.transact_get(&[key("a")]).await.unwrap_err());
}

async fn each_operation_sends_one_request(engine: Engine) {
    let World { proxy, table } = world_with_default_timeouts(engine).await;
    let _ = table.put_new(&key("a"), &thing("a", 1)).await.unwrap();
    let _ = table.put_new(&key("a"), &thing("a", 1)).await.unwrap();
    let _ = table.update(&key("a")).set("size", 2).when(Condition::eq("size", 9)).run().await.unwrap();
    table.get_item(&key("a"), Read::Consistent).await.unwrap();
    table.query("THINGS").limit(10).page().await.unwrap();
    let _ = table.transact([table.check(&key("a"), Condition::absent())]).await.unwrap();
    table.transact_get(&[key("a"), key("b")]).await.unwrap();
    let _ = table.delete(&key("a")).run().await.unwrap();
    let calls = [
        "PutItem",
        "PutItem",
        "UpdateItem",
        "GetItem",
        "Query",
        "TransactWriteItems",
        "TransactGetItems",
        "DeleteItem",
    ];
    assert_eq!(proxy.take_calls(), calls);
}
