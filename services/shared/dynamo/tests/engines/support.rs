use dynamo::{Client, IndexDef, Key, KeyDef, Projection, Table, TableDef};
use kit::engine::Engine;
use serde::{Deserialize, Serialize};

pub(crate) const BY_COLOUR: IndexDef = IndexDef {
    name: "by_colour",
    key: KeyDef { partition: "colour_pk", sort: Some("colour_sk") },
    projection: Projection::All,
};

pub(crate) static THINGS: TableDef =
    TableDef { name: "Things", key: KeyDef::PK_SK, indexes: &[BY_COLOUR], ttl: Some(dynamo::EXPIRES_AT) };

/// Reserved words of DynamoDB's as names, on purpose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Thing {
    pub(crate) name: String,
    pub(crate) size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) colour_pk: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) colour_sk: Option<String>,
}

pub(crate) fn thing(name: &str, size: u64) -> Thing {
    Thing { name: name.to_owned(), size, colour_pk: None, colour_sk: None }
}

pub(crate) fn key(sort: &str) -> Key {
    Key::new("THINGS", sort)
}

pub(crate) async fn table(engine: Engine) -> Table {
    made(&engine.client().await).await
}

pub(crate) async fn made(client: &Client) -> Table {
    client.create_or_verify(&[&THINGS]).await.unwrap();
    client.table(&THINGS)
}
