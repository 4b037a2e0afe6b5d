use dynamo::seal::{Place, Sealed, SealingKey};
use dynamo::{Key, Read, TableDef};
use kernel::Kind;
use kit::engine::Engine;
use kit::entropy::SeededEntropy;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde::{Deserialize, Serialize};

use crate::support::{THINGS, key};

kit::on_each_engine![sealed_content_opens_only_in_its_place];

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
