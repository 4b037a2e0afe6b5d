//! Direct access to the tables, as with a stolen disk or backup.

use std::collections::HashMap;

use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_dynamodb::types::AttributeValue;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use kit::mesh::TestMesh;

/// An item with its key.
pub(crate) type RawItem = HashMap<String, AttributeValue>;

/// The tables of one mesh.
pub(crate) struct Tables {
    sdk: aws_sdk_dynamodb::Client,
    prefix: String,
}

impl Tables {
    pub(crate) fn of(mesh: &TestMesh) -> Self {
        let http =
            aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::AwsLc)).build_https();
        let config = aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(mesh.dynamodb.region.clone()))
            .http_client(http)
            .endpoint_url(mesh.dynamodb.endpoint.as_ref().expect("tests have an engine"))
            .credentials_provider(Credentials::new(mesh.dynamodb.access_key.as_str(), "local", None, None, "loopback"));
        let sdk = aws_sdk_dynamodb::Client::from_conf(config.build());
        Self { sdk, prefix: mesh.dynamodb.table_prefix.clone() }
    }

    /// Returns the names of the tables, without the prefix of this mesh.
    pub(crate) async fn names(&self) -> Vec<String> {
        let pages = self.sdk.list_tables().into_paginator().items().send();
        let all: Vec<String> = pages.try_collect().await.expect("the tables are listed");
        all.iter().filter_map(|name| name.strip_prefix(&self.prefix).map(str::to_owned)).collect()
    }

    /// Returns all items of a table.
    pub(crate) async fn dump(&self, table: &str) -> Vec<RawItem> {
        let scan = self.sdk.scan().table_name(format!("{}{table}", self.prefix)).consistent_read(true);
        scan.into_paginator().items().send().try_collect().await.expect("the table is read")
    }

    /// Overwrites an item.
    pub(crate) async fn put(&self, table: &str, item: RawItem) {
        let put = self.sdk.put_item().table_name(format!("{}{table}", self.prefix)).set_item(Some(item));
        put.send().await.expect("the item is written");
    }
}

/// Returns every name, text, number and binary of an item, at any depth.
pub(crate) fn bytes_of(item: &RawItem) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    collect_map(item, &mut found);
    found
}

fn collect_map(map: &RawItem, found: &mut Vec<Vec<u8>>) {
    for (name, value) in map {
        found.push(name.clone().into_bytes());
        collect(value, found);
    }
}

#[allow(clippy::wildcard_enum_match_arm, reason = "the SDK's enum can't be matched whole")]
fn collect(value: &AttributeValue, found: &mut Vec<Vec<u8>>) {
    match value {
        AttributeValue::S(text) | AttributeValue::N(text) => found.push(text.clone().into_bytes()),
        AttributeValue::B(bytes) => found.push(bytes.as_ref().to_vec()),
        AttributeValue::Ss(texts) | AttributeValue::Ns(texts) => {
            found.extend(texts.iter().map(|text| text.clone().into_bytes()));
        }
        AttributeValue::Bs(all) => found.extend(all.iter().map(|bytes| bytes.as_ref().to_vec())),
        AttributeValue::L(list) => list.iter().for_each(|value| collect(value, found)),
        AttributeValue::M(map) => collect_map(map, found),
        AttributeValue::Bool(_) | AttributeValue::Null(_) => {}
        _ => panic!("DynamoDB has a type that this test doesn't know: {value:?}"),
    }
}
