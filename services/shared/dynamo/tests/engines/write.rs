use dynamo::{Condition, Delete, Key, Put, Read, Table, Update};
use futures_util::future::join_all;
use kernel::Kind;
use kit::engine::Engine;

use crate::support::{Thing, key, table, thing};

kit::on_each_engine![
    put_item_is_read_back,
    put_new_keeps_and_returns_existing_item,
    concurrent_put_new_stores_one_item,
    update_returns_new_item_or_conflicting_item,
    unconditional_update_creates_item,
    concurrent_conditional_updates_apply_one,
    concurrent_additions_are_not_lost,
    delete_returns_deleted_item,
    conditions_evaluate_as_documented,
    oversized_item_is_opaque_internal_error,
    incomplete_key_is_refused,
];

async fn read(table: &Table, key: &Key) -> Option<Thing> {
    table.get(key, Read::Consistent).await.unwrap()
}

async fn put_item_is_read_back(engine: Engine) {
    let table = table(engine).await;
    assert_eq!(read(&table, &key("a")).await, None);
    let Update::Done(_) = table.put(&key("a"), &thing("ä 🙂 \"", u64::MAX)).run().await.unwrap() else { panic!() };
    assert_eq!(read(&table, &key("a")).await, Some(thing("ä 🙂 \"", u64::MAX)));
    let eventual: Option<Thing> = table.get(&key("a"), Read::Eventual).await.unwrap();
    assert_eq!(eventual, Some(thing("ä 🙂 \"", u64::MAX)));
    table.ping().await.unwrap();
}

async fn put_new_keeps_and_returns_existing_item(engine: Engine) {
    let table = table(engine).await;
    assert!(matches!(table.put_new(&key("a"), &thing("first", 1)).await.unwrap(), Put::Done));
    let Put::Exists(old) = table.put_new(&key("a"), &thing("second", 2)).await.unwrap() else { panic!("replaced") };
    assert_eq!(old.text("sk"), Some("a"));
    assert_eq!(old.parse::<Thing>().unwrap(), thing("first", 1));
    assert_eq!(read(&table, &key("a")).await, Some(thing("first", 1)));
    let equal = table.put_new(&key("a"), &thing("first", 1)).await.unwrap();
    assert!(matches!(equal, Put::Exists(_)), "an equal item is another all the same");
}

async fn concurrent_put_new_stores_one_item(engine: Engine) {
    let table = table(engine).await;
    let (table, key) = (&table, &key("a"));
    let puts = (0..32).map(|n| async move { table.put_new(key, &thing("racer", n)).await.unwrap() });
    let outcomes = join_all(puts).await;
    let winners: Vec<_> = (0..).zip(&outcomes).filter(|(_, o)| matches!(o, Put::Done)).map(|(n, _)| n).collect();
    assert_eq!(winners.len(), 1);
    let stored = read(table, key).await.unwrap();
    assert_eq!(stored.size, winners[0]);
    for outcome in outcomes {
        if let Put::Exists(old) = outcome {
            assert_eq!(old.parse::<Thing>().unwrap(), stored);
        }
    }
}

async fn update_returns_new_item_or_conflicting_item(engine: Engine) {
    let table = table(engine).await;
    let change = || table.update(&key("a")).set("name", "new").set("size", 2).when(Condition::eq("size", 1));
    assert!(matches!(change().run().await.unwrap(), Update::ConditionFailed(None)), "nothing is there");
    assert_eq!(read(&table, &key("a")).await, None, "a condition that does not hold makes nothing");

    let _ = table.put_new(&key("a"), &thing("old", 1)).await.unwrap();
    let Update::Done(new) = change().run().await.unwrap() else { panic!("the condition holds") };
    assert_eq!(new.parse::<Thing>().unwrap(), thing("new", 2));
    let Update::ConditionFailed(Some(old)) = change().run().await.unwrap() else {
        panic!("the condition does not hold")
    };
    assert_eq!(old.parse::<Thing>().unwrap(), thing("new", 2));

    let replace = table.put(&key("a"), &thing("replaced", 3)).when(Condition::eq("size", 9));
    let Update::ConditionFailed(Some(old)) = replace.run().await.unwrap() else {
        panic!("the condition does not hold")
    };
    assert_eq!(old.parse::<Thing>().unwrap(), thing("new", 2));
}

async fn unconditional_update_creates_item(engine: Engine) {
    let table = table(engine).await;
    let made = table.update(&key("a")).set("name", "made").add("size", 1).run().await.unwrap();
    let Update::Done(item) = made else { panic!("there is no condition") };
    assert_eq!(item.parse::<Thing>().unwrap(), thing("made", 1));
    let touched = table.update(&key("b")).run().await.unwrap();
    assert!(matches!(touched, Update::Done(_)), "an update of nothing makes an item of its key alone");
}

async fn concurrent_conditional_updates_apply_one(engine: Engine) {
    let table = table(engine).await;
    let _ = table.put_new(&key("a"), &thing("old", 0)).await.unwrap();
    let (table, key) = (&table, &key("a"));
    let update = |n: u64| async move {
        let change = table.update(key).set("name", format!("by {n}")).set("size", 1);
        change.when(Condition::eq("size", 0)).run().await.unwrap()
    };
    let outcomes = join_all((0..32).map(update)).await;
    assert_eq!(outcomes.iter().filter(|outcome| matches!(outcome, Update::Done(_))).count(), 1);
}

async fn concurrent_additions_are_not_lost(engine: Engine) {
    let table = table(engine).await;
    let (table, key) = (&table, &key("a"));
    join_all((0..32).map(|_| async move { table.update(key).set("name", "sum").add("size", 1).run().await.unwrap() }))
        .await;
    assert_eq!(read(table, key).await, Some(thing("sum", 32)));
}

async fn delete_returns_deleted_item(engine: Engine) {
    let table = table(engine).await;
    assert!(matches!(table.delete(&key("a")).run().await.unwrap(), Delete::Done(None)));
    let _ = table.put_new(&key("a"), &thing("a", 1)).await.unwrap();
    let guarded = table.delete(&key("a")).when(Condition::eq("size", 2)).run().await.unwrap();
    let Delete::ConditionFailed(Some(old)) = guarded else { panic!("the condition does not hold") };
    assert_eq!(old.parse::<Thing>().unwrap(), thing("a", 1));
    let Delete::Done(Some(old)) = table.delete(&key("a")).run().await.unwrap() else { panic!("there is one") };
    assert_eq!(old.parse::<Thing>().unwrap(), thing("a", 1));
    assert_eq!(read(&table, &key("a")).await, None);
    let gone = table.delete(&key("a")).when(Condition::exists()).run().await.unwrap();
    assert!(matches!(gone, Delete::ConditionFailed(None)));
}

async fn conditions_evaluate_as_documented(engine: Engine) {
    let table = table(engine).await;
    let _ = table.put_new(&key("a"), &thing("anna", 5)).await.unwrap();
    let holds = |condition: Condition, key: Key| {
        let table = &table;
        async move {
            let update = table.update(&key).set("seen", true).when(condition.and(Condition::lacks("never")));
            matches!(update.run().await.unwrap(), Update::Done(_))
        }
    };
    let cases = [
        (Condition::exists(), true),
        (Condition::absent(), false),
        (Condition::has("name"), true),
        (Condition::has("missing"), false),
        (Condition::lacks("name"), false),
        (Condition::lacks("missing"), true),
        (Condition::eq("size", 5), true),
        (Condition::eq("size", "5"), false),
        (Condition::eq("missing", 5), false),
        (Condition::ne("size", 5), false),
        (Condition::ne("size", 6), true),
        (Condition::ne("missing", 6), true),
        (Condition::lt("size", 5), false),
        (Condition::le("size", 5), true),
        (Condition::gt("size", 4), true),
        (Condition::gt("size", 10), false),
        (Condition::ge("size", 5), true),
        (Condition::lt("missing", 5), false),
        (Condition::begins_with("name", "an"), true),
        (Condition::begins_with("name", "na"), false),
        (Condition::eq("size", 4).or(Condition::eq("name", "anna")), true),
        (Condition::eq("size", 5).and(Condition::eq("name", "otto")), false),
        (Condition::absent().or(Condition::le("size", 5)).and(Condition::gt("size", 5)), false),
    ];
    for (number, (condition, expected)) in cases.into_iter().enumerate() {
        assert_eq!(holds(condition, key("a")).await, expected, "case {number}");
    }
    assert!(holds(Condition::ne("size", 5), key("nowhere")).await, "an item that is not there differs");
}

async fn oversized_item_is_opaque_internal_error(engine: Engine) {
    let table = table(engine).await;
    let error = table.put_new(&key("a"), &thing(&"x".repeat(410 * 1024), 1)).await.unwrap_err();
    assert_eq!((error.kind(), error.message()), (Kind::Internal, "something went wrong on our side"));
    assert!(std::error::Error::source(&error).unwrap().to_string().contains("ValidationException"));
}

async fn incomplete_key_is_refused(engine: Engine) {
    let table = table(engine).await;
    let error = table.get::<Thing>(&Key::partition("a"), Read::Consistent).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Internal);
}
