//! Tests of vault, on both engines.

mod keys;
mod rotation;
mod rpcs;

use chassis::Platform;
use dynamo::secret::{Secret, Secrets};
use kernel::UserId;
use kit::engine::Engine;
use kit::fault::Proxy;

use crate::ops::Vault;
use crate::{DATA_KEYS, open};

/// Returns a DynamoDB with an empty table.
async fn dynamodb(engine: Engine) -> dynamo::Client {
    let client = engine.client().await;
    client.create_or_verify(&[&DATA_KEYS]).await.unwrap();
    client
}

/// Returns a client that goes through a proxy, and one to the same tables that doesn't.
async fn through_proxy(engine: Engine) -> (Proxy, dynamo::Client, dynamo::Client) {
    let config = engine.config().await;
    let proxy = Proxy::start(&engine.endpoint().await);
    let direct = config.clone().connect(kit::entropy::seeded()).await;
    direct.create_or_verify(&[&DATA_KEYS]).await.unwrap();
    let proxied = dynamo::Config { endpoint: Some(proxy.endpoint()), ..config }.connect(kit::entropy::seeded()).await;
    (proxy, proxied, direct)
}

/// Returns key-encryption keys, the first of which wraps.
fn key_file(keys: &[u8]) -> Secrets {
    let mut keys = keys.iter().map(|byte| Secret::new([*byte; 32]));
    Secrets::new(keys.next().unwrap(), keys.collect())
}

/// Returns a replica with these key-encryption keys.
async fn replica(dynamodb: &dynamo::Client, keys: &[u8]) -> Vault {
    open(dynamodb, &key_file(keys), &Platform::system()).await.unwrap()
}

fn person() -> UserId {
    let Platform { clock, entropy, .. } = Platform::system();
    UserId::generate(&*clock, &*entropy)
}

fn persons(count: usize) -> Vec<UserId> {
    std::iter::repeat_with(person).take(count).collect()
}

impl Vault {
    /// Returns the bytes of a person's key; `None` if it was destroyed.
    async fn bytes(&self, person: UserId) -> Option<Vec<u8>> {
        self.key(person).await.unwrap().map(|key| key.as_bytes().to_vec())
    }

    /// Returns the bytes of these people's keys, by one batch.
    async fn batch_bytes(&self, persons: &[UserId]) -> Vec<Option<Vec<u8>>> {
        let keys = self.keys(persons).await.unwrap();
        keys.into_iter().map(|key| key.map(|key| key.as_bytes().to_vec())).collect()
    }

    async fn all_bytes(&self, persons: &[UserId]) -> Vec<Option<Vec<u8>>> {
        futures_util::future::join_all(persons.iter().map(|person| self.bytes(*person))).await
    }
}
