use dynamo::{Condition, Put, Read, Transact, Verdict};
use futures_util::future::join_all;
use kernel::Kind;
use kit::engine::Engine;

use crate::support::{Thing, key, table, thing};

kit::on_each_engine![
    transaction_applies_all_actions,
    failed_transaction_applies_nothing_and_gives_verdicts,
    concurrent_transactions_on_one_item_commit_one,
    transaction_of_100_actions_is_atomic,
    two_actions_on_one_item_are_internal_error,
    transactional_read_answers_in_order_of_keys,
    transactional_read_sees_moved_item_once,
];

async fn transaction_applies_all_actions(engine: Engine) {
    let table = table(engine).await;
    for name in ["updated", "deleted", "checked"] {
        let _ = table.put_new(&key(name), &thing(name, 1)).await.unwrap();
    }
    let outcome = table.transact([
        table.put(&key("new"), &thing("new", 1)).when(Condition::absent()).into(),
        table.update(&key("updated")).add("size", 1).when(Condition::eq("size", 1)).into(),
        table.delete(&key("deleted")).when(Condition::exists()).into(),
        table.check(&key("checked"), Condition::eq("name", "checked")),
    ]);
    assert!(matches!(outcome.await.unwrap(), Transact::Done));
    let all: Vec<Thing> = table.query("THINGS").consistent().page().await.unwrap().parse().unwrap();
    assert_eq!(all, [thing("checked", 1), thing("new", 1), thing("updated", 2)]);
}

async fn failed_transaction_applies_nothing_and_gives_verdicts(engine: Engine) {
    let table = table(engine).await;
    let _ = table.put_new(&key("there"), &thing("there", 1)).await.unwrap();
    let outcome = table.transact([
        table.put(&key("fine"), &thing("fine", 1)).when(Condition::absent()).into(),
        table.put(&key("there"), &thing("again", 2)).when(Condition::absent()).into(),
        table.update(&key("missing")).set("name", "x").when(Condition::exists()).into(),
        table.delete(&key("nothing")).into(),
        table.check(&key("checked"), Condition::has("name")),
    ]);
    let Transact::Failed(verdicts) = outcome.await.unwrap() else { panic!("conditions don't hold") };
    let [
        Verdict::Fine,
        Verdict::ConditionFailed(Some(old)),
        Verdict::ConditionFailed(None),
        Verdict::Fine,
        Verdict::ConditionFailed(None),
    ] = verdicts.as_slice()
    else {
        panic!("{verdicts:?}")
    };
    assert_eq!(old.clone().parse::<Thing>().unwrap(), thing("there", 1));
    assert_eq!(table.get::<Thing>(&key("fine"), Read::Consistent).await.unwrap(), None);
    assert_eq!(table.get(&key("there"), Read::Consistent).await.unwrap(), Some(thing("there", 1)));
}

async fn concurrent_transactions_on_one_item_commit_one(engine: Engine) {
    let table = table(engine).await;
    let table = &table;
    let claim = |n: u64| async move {
        let own = key(&format!("claimant {n}"));
        let outcome = table.transact([
            table.put(&key("prize"), &thing("prize", n)).when(Condition::absent()).into(),
            table.put(&own, &thing("claimant", n)).into(),
        ]);
        matches!(outcome.await.unwrap(), Transact::Done)
    };
    let won = join_all((0..16).map(claim)).await;
    assert_eq!(won.iter().filter(|won| **won).count(), 1);
    let all: Vec<Thing> = table.query("THINGS").consistent().page().await.unwrap().parse().unwrap();
    assert_eq!(all.len(), 2, "the losers left nothing: {all:?}");
    assert_eq!(all[0].size, all[1].size);
}

async fn transaction_of_100_actions_is_atomic(engine: Engine) {
    let table = table(engine).await;
    let put = |n: u64| table.put(&key(&format!("{n:03}")), &thing("x", n)).when(Condition::absent());
    assert!(matches!(table.transact((0..100).map(|n| put(n).into())).await.unwrap(), Transact::Done));
    let Put::Exists(_) = table.put_new(&key("099"), &thing("x", 0)).await.unwrap() else { panic!("it was made") };
    let Transact::Failed(verdicts) = table.transact((99..199).map(|n| put(n).into())).await.unwrap() else { panic!() };
    assert_eq!(verdicts.len(), 100);
    assert!(verdicts[0].is_condition_failed());
    assert!(!verdicts[1..].iter().any(Verdict::is_condition_failed));
}

async fn two_actions_on_one_item_are_internal_error(engine: Engine) {
    let table = table(engine).await;
    let put = || table.put(&key("a"), &thing("a", 1)).into();
    assert_eq!(table.transact([put(), put()]).await.unwrap_err().kind(), Kind::Internal);
}

async fn transactional_read_answers_in_order_of_keys(engine: Engine) {
    let table = table(engine).await;
    for name in ["a", "b"] {
        let _ = table.put_new(&key(name), &thing(name, 1)).await.unwrap();
    }
    let read = table.transact_get(&[key("b"), key("missing"), key("a")]).await.unwrap();
    let read: Vec<Option<Thing>> = read.into_iter().map(|item| item.map(|item| item.parse().unwrap())).collect();
    assert_eq!(read, [Some(thing("b", 1)), None, Some(thing("a", 1))]);
}

async fn transactional_read_sees_moved_item_once(engine: Engine) {
    let table = table(engine).await;
    let (one, other) = (key("one"), key("other"));
    let _ = table.put_new(&one, &thing("moved", 1)).await.unwrap();
    let moving = async {
        for _ in 0..16 {
            for (from, to) in [(&one, &other), (&other, &one)] {
                let put = table.put(to, &thing("moved", 1)).when(Condition::absent());
                let moved = table.transact([put.into(), table.delete(from).when(Condition::exists()).into()]);
                assert!(matches!(moved.await.unwrap(), Transact::Done));
            }
        }
    };
    let reading = async {
        for _ in 0..64 {
            let read = table.transact_get(&[one.clone(), other.clone()]).await.unwrap();
            assert_eq!(read.into_iter().flatten().count(), 1);
        }
    };
    tokio::join!(moving, reading);
}
