use dynamo::seal::{Place, Sealed, SealingKey};
use dynamo::{Key, Read, TableDef};
use kernel::{Entropy, Kind};
use kit::engine::Engine;
use kit::entropy::SeededEntropy;
use kit::fault::Proxy;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde::{Deserialize, Serialize};

use crate::support::{THINGS, key};

kit::on_each_engine![
    sealed_content_opens_only_in_its_place,
    batch_get_returns_existing_items,
    oversized_batch_get_is_complete,
];

static OTHERS: TableDef = TableDef { name: "Others", key: dynamo::KeyDef::PK_SK, indexes: &[], ttl: None };

#[derive(Serialize, Deserialize)]
struct Letter {
    text: Sealed,
}

async fn sealed_content_opens_only_in_its_place(engine: Engine) {
    let client = engine.client().await;
    client.create_or_verify(&[&THINGS, &OTHERS]).await.unwrap();
    let (table, other_table) = (client.table(&THINGS), client.table(&OTHERS));
    let (own, other) = (SealingKey::new(&[1; 32]).unwrap(), SealingKey::new(&[2; 32]).unwrap());
    let entropy = SeededEntropy::default();
    let home = key("letter");
    let place = Place { table: &table, key: &home, attribute: "text", version: 1 };

    let sealed = own.seal(&place, b"what I felt", &entropy).unwrap();
    let _ = table.put_new(&home, &Letter { text: sealed }).await.unwrap();
    let Letter { text } = table.get(&home, Read::Consistent).await.unwrap().unwrap();
    assert_eq!(own.open(&place, &text).unwrap().as_slice(), b"what I felt");

    let (neighbour, shifted_key) = (key("letters"), Key::new("THINGSl", "etter"));
    let elsewhere = [
        Place { key: &neighbour, ..place },
        Place { key: &shifted_key, ..place },
        Place { attribute: "subject", ..place },
        Place { version: 2, ..place },
        Place { table: &other_table, ..place },
    ];
    for place in elsewhere {
        let refused = own.open(&place, &text).unwrap_err();
        assert_eq!(refused.kind(), Kind::Internal, "{place:?}");
    }
    assert_eq!(other.open(&place, &text).unwrap_err().kind(), Kind::Internal);
    assert_ne!(own.seal(&place, b"what I felt", &entropy).unwrap(), text, "a nonce is used once");

    let mut runner = TestRunner::new(Config { cases: 256, failure_persistence: None, ..Config::default() });
    let contents = (any::<Vec<u8>>(), any::<prop::sample::Index>());
    let holds = |(content, bit): (Vec<u8>, prop::sample::Index)| {
        let sealed = own.seal(&place, &content, &entropy).unwrap();
        let opened = own.open(&place, &sealed).unwrap();
        prop_assert_eq!(opened.as_slice(), content.as_slice());
        let mut bytes = serde_bytes_of(&sealed);
        let bit = bit.index(bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(own.open(&place, &sealed_of(bytes)).is_err());
        Ok(())
    };
    runner.run(&contents, holds).unwrap();
}

fn serde_bytes_of(sealed: &Sealed) -> Vec<u8> {
    let value = serde_json::to_value(sealed).unwrap();
    serde_json::from_value(value).unwrap()
}

fn sealed_of(bytes: Vec<u8>) -> Sealed {
    serde_json::from_value(serde_json::to_value(bytes).unwrap()).unwrap()
}

async fn batch_get_returns_existing_items(engine: Engine) {
    let table = crate::support::table(engine).await;
    let entropy: &dyn Entropy = &SeededEntropy::default();
    let mut expected = Vec::new();
    for number in 0..130 {
        let thing = crate::support::thing(&format!("thing {number} {:?}", entropy.array::<4>()), number);
        let _ = table.put_new(&key(&format!("{number:03}")), &thing).await.unwrap();
        expected.push(thing);
    }
    let keys = || (0..150).map(|number| key(&format!("{number:03}"))).collect::<Vec<_>>();
    for read in [Read::Consistent, Read::Eventual] {
        let twice = keys().into_iter().chain(keys()).collect();
        let items = table.batch_get(twice, read).await.unwrap();
        let mut things: Vec<crate::support::Thing> = items.into_iter().map(|item| item.parse().unwrap()).collect();
        things.sort_by_key(|thing| thing.size);
        assert_eq!(things, expected);
    }
    assert!(table.batch_get(Vec::new(), Read::Consistent).await.unwrap().is_empty());
}

async fn oversized_batch_get_is_complete(engine: Engine) {
    let config = engine.config().await;
    let table = crate::support::made(&config.connect(kit::entropy::seeded()).await).await;
    let proxy = Proxy::start(&engine.endpoint().await);
    let proxied = dynamo::Config { endpoint: Some(proxy.endpoint()), ..config }.connect(kit::entropy::seeded()).await;
    let keys: Vec<_> = (0..60).map(|number| key(&format!("{number:02}"))).collect();
    // 20 MB: one answer holds 16.
    let name = "n".repeat(350_000);
    for key in &keys {
        let _ = table.put_new(key, &crate::support::thing(&name, 1)).await.unwrap();
    }
    let items = proxied.table(&crate::support::THINGS).batch_get(keys, Read::Consistent).await.unwrap();
    let found: std::collections::BTreeSet<_> = items.iter().filter_map(|item| item.text("sk")).collect();
    assert_eq!((items.len(), found.len()), (60, 60));
    let calls = proxy.take_calls();
    assert!(calls.len() > 1 && calls.iter().all(|call| call == "BatchGetItem"), "{calls:?}");
}
