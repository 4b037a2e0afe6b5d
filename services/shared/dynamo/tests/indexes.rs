//! Indexes that a table of an earlier version lacks, on each engine.
//!
//! In a process of its own: DynamoDB Local backfills indexes with the ten threads that also expire items, and each
//! table with a time to live occupies one for ever. Beside seven such tables an index stays CREATING.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::HashMap;

use dynamo::{IndexDef, KeyDef, Projection, TableDef};
use futures_util::future::join_all;
use kit::engine::Engine;

kit::on_each_engine![missing_indexes_are_added_and_backfilled];

const INDEX_KEY: KeyDef = KeyDef { partition: "index_pk", sort: Some("index_sk") };

/// The start of a version whose tables have more indexes than those of the version before.
async fn missing_indexes_are_added_and_backfilled(engine: Engine) {
    static OLD: TableDef = TableDef { name: "Grown", key: KeyDef::PK_SK, indexes: &[], ttl: None };
    static NEW: TableDef = TableDef {
        name: "Grown",
        key: KeyDef::PK_SK,
        indexes: &[
            IndexDef { name: "one", key: INDEX_KEY, projection: Projection::All },
            IndexDef { name: "two", key: KeyDef { partition: "other", sort: None }, projection: Projection::KeysOnly },
        ],
        ttl: None,
    };
    let client = engine.client().await;
    client.create_or_verify(&[&OLD]).await.unwrap();
    let item = [("index_pk", "x"), ("index_sk", "y"), ("other", "z")].into_iter().collect::<HashMap<_, _>>();
    let key = dynamo::Key::new("a", "b");
    assert!(matches!(client.table(&OLD).put(&key, &item).run().await.unwrap(), dynamo::Update::Done(_)));
    let tables = [&NEW];
    for made in join_all((0..3).map(|_| client.create_or_verify(&tables))).await {
        made.unwrap();
    }
    client.verify(&[&NEW]).await.unwrap();
    for (index, partition) in NEW.indexes.iter().zip(["x", "z"]) {
        let found = client.table(&NEW).query_index(index, partition).page().await.unwrap();
        assert_eq!(found.items.len(), 1, "{}", index.name);
    }
}
