//! The DynamoDB table handle: conditions with outcomes, table definitions, page tokens, idempotency records, sealing.
//!
//! There is no storage trait: every service talks to DynamoDB through the AWS SDK, and only the endpoint differs. What
//! this crate adds is types: a condition that does not hold is an outcome, never an error, and whatever else goes wrong
//! is a [`kernel::Error`] whose public face tells nothing about the store.
//!
//! ```no_run
//! # use dynamo::{Condition, Config, Key, KeyDef, Put, Read, Sort, TableDef, Transact, Update};
//! # use kernel::{Error, Result, Version};
//! # use serde::{Deserialize, Serialize};
//! static PETS: TableDef = TableDef { name: "Pets", key: KeyDef::PK_SK, indexes: &[], ttl: None };
//!
//! /// The key is not part of it: it is given beside.
//! #[derive(Serialize, Deserialize)]
//! struct Pet {
//!     name: String,
//!     version: u64,
//! }
//!
//! # async fn example(entropy: std::sync::Arc<dyn kernel::Entropy>) -> std::result::Result<(), Box<dyn std::error::Error>> {
//! let client = Config::default().connect(entropy).await;
//! client.create_or_verify(&[&PETS]).await?;
//! let pets = client.table(&PETS);
//! let key = Key::new("OWNER#7", "PET#rex");
//!
//! match pets.put_new(&key, &Pet { name: "Rex".into(), version: 1 }).await? {
//!     Put::Done => {}
//!     Put::Exists(old) => println!("there is one: {}", old.parse::<Pet>()?.name),
//! }
//!
//! let pet: Option<Pet> = pets.get(&key, Read::Consistent).await?;
//!
//! match pets.update(&key).set("name", "Rexi").set("version", 2).when(Condition::eq("version", 1)).run().await? {
//!     Update::Done(new) => println!("now: {}", new.parse::<Pet>()?.name),
//!     Update::ConditionFailed(Some(_)) => return Err(Version::stale().into()),
//!     Update::ConditionFailed(None) => return Err(Error::not_found("pet").into()),
//! }
//!
//! let page = pets.query("OWNER#7").sort(Sort::BeginsWith("PET#".into())).descending().limit(50).page().await?;
//! let pets_of_owner: Vec<Pet> = page.parse()?;
//!
//! let moved = Key::new("OWNER#8", "PET#rex");
//! let outcome = pets.transact([
//!     pets.put(&moved, &Pet { name: "Rex".into(), version: 3 }).when(Condition::absent()).into(),
//!     pets.delete(&key).when(Condition::exists()).into(),
//! ]);
//! match outcome.await? {
//!     Transact::Done => {}
//!     Transact::Failed(verdicts) if verdicts[0].is_condition_failed() => println!("owner 8 has a pet of that name"),
//!     Transact::Failed(_) => println!("it is gone"),
//! }
//! # Ok(())
//! # }
//! ```

mod batch;
mod call;
mod condition;
mod config;
mod def;
mod erasure;
mod fault;
mod frame;
mod idempotency;
mod item;
mod provision;
mod query;
mod scan;
pub mod seal;
pub mod secret;
mod table;
mod token;
mod transact;
mod write;

pub use batch::BatchWrite;
pub use condition::Condition;
pub use config::{AccessKey, Client, Config};
pub use def::{IndexDef, KeyDef, Projection, TableDef};
pub use erasure::Erasure;
pub use idempotency::{Claim, EXPIRES_AT, Idempotency, IdempotentRequest, REMEMBERED};
pub use item::{Cursor, Item, Key};
pub use provision::SchemaError;
pub use query::{Query, Rows, Sort};
pub use table::{Read, Table};
pub use token::{MAX_TOKEN_LEN, PageRequest, PageTokens};
pub use transact::{Action, Transact, Verdict};
pub use write::{Delete, DeleteRequest, Put, PutRequest, Update, UpdateRequest};
