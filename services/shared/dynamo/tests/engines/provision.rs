use dynamo::{IndexDef, KeyDef, Projection, SchemaError, TableDef};
use futures_util::future::join_all;
use kit::engine::Engine;

use crate::support::THINGS;

kit::on_each_engine![
    concurrent_creation_makes_tables_once,
    verification_names_each_difference_and_remedy,
    missing_table_is_named,
];

const INDEX_KEY: KeyDef = KeyDef { partition: "index_pk", sort: Some("index_sk") };

async fn concurrent_creation_makes_tables_once(engine: Engine) {
    let client = engine.client().await;
    let tables = [&THINGS];
    let makers = (0..8).map(|_| client.create_or_verify(&tables));
    for made in join_all(makers).await {
        made.unwrap();
    }
    client.create_or_verify(&[&THINGS]).await.unwrap();
    client.verify(&[&THINGS]).await.unwrap();
}

async fn verification_names_each_difference_and_remedy(engine: Engine) {
    static MADE: TableDef = TableDef {
        name: "Table",
        key: KeyDef::PK,
        indexes: &[
            IndexDef { name: "key", key: KeyDef { partition: "other", sort: None }, projection: Projection::All },
            IndexDef { name: "projection", key: INDEX_KEY, projection: Projection::Include(&["b", "a"]) },
        ],
        ttl: None,
    };
    static WANTED: TableDef = TableDef {
        name: "Table",
        key: KeyDef::PK_SK,
        indexes: &[
            IndexDef { name: "key", key: INDEX_KEY, projection: Projection::All },
            IndexDef { name: "projection", key: INDEX_KEY, projection: Projection::KeysOnly },
            IndexDef { name: "absent", key: INDEX_KEY, projection: Projection::All },
        ],
        ttl: Some("expires"),
    };
    let config = engine.config().await;
    let client = config.connect(kit::entropy::seeded()).await;
    client.create_or_verify(&[&MADE]).await.unwrap();
    client.verify(&[&MADE]).await.unwrap();
    let table = format!("{}Table", config.table_prefix);
    let Err(SchemaError::Differs(differences)) = client.verify(&[&WANTED]).await else { panic!("the table differs") };
    assert_eq!(
        differences,
        [
            format!(
                "{table} has the key (pk S) instead of (pk S, sk S): \
                 a key can't be changed: choose another table prefix, or copy the items into a new table"
            ),
            format!(
                "{table} has the index key with the key (other S) instead of (index_pk S, index_sk S): \
                 delete the index and add it anew"
            ),
            format!(
                "{table} has the index projection with the attributes a, b instead of the keys only: \
                 delete the index and add it anew"
            ),
            format!("{table} has no index absent: add it"),
            format!("{table} does not expire its items: set its time to live to the attribute expires"),
        ]
    );
    let Err(error) = client.create_or_verify(&[&WANTED]).await else { panic!("the table differs") };
    assert!(error.to_string().contains("a key can't be changed"), "{error}");
}

async fn missing_table_is_named(engine: Engine) {
    let config = engine.config().await;
    let client = config.connect(kit::entropy::seeded()).await;
    let error = client.verify(&[&THINGS]).await.unwrap_err();
    assert!(error.to_string().contains(&format!("{}Things is missing: create it", config.table_prefix)), "{error}");
    let error = client.table(&THINGS).ping().await.unwrap_err();
    assert_eq!(error.kind(), kernel::Kind::Internal);
}
