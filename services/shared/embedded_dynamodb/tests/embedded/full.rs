//! A database of the maximum size.

use std::path::PathBuf;

use embedded_dynamodb::{Engine, Storage};

use crate::support::{blocking, call, create_table, start};

const LIMIT: u64 = 1024 * 1024;
/// Bytes of an item, several pages of the file.
const ITEM: usize = 20_000;

fn bounded(path: PathBuf) -> Storage {
    Storage::Directory { path, limit: Some(LIMIT) }
}

/// Puts an item, and returns the answer.
fn put(engine: &Engine, number: usize) -> String {
    let text = "x".repeat(ITEM);
    let item = format!(r#"{{"pk":{{"S":"{number}"}},"by":{{"S":"all"}},"text":{{"S":"{text}"}}}}"#);
    call(engine, "PutItem", &format!(r#"{{"TableName":"Kept","Item":{item}}}"#))
}

/// Puts items until there is no space for another. Returns their number.
fn fill(engine: &Engine) -> usize {
    let (number, refused) = (0..)
        .map(|number| (number, put(engine, number)))
        .find(|(_, answer)| answer != "{}")
        .expect("the limit is reached");
    assert!(refused.contains("#StorageFullException"), "{refused}");
    number
}

#[tokio::test]
async fn full_database_says_so_until_items_are_deleted() {
    let directory = tempfile::tempdir().unwrap();
    let engine = start(bounded(directory.path().to_owned()), 0).await.unwrap();
    let space = engine.space();
    assert!(space.is_left().await);
    let (engine, stored) = blocking(move || {
        create_table(&engine);
        let stored = fill(&engine);
        (engine, stored)
    })
    .await;
    assert!(stored > 10, "{stored}");
    assert!(!space.is_left().await);

    let file = directory.path().join("dynamodb.sqlite");
    assert!(std::fs::metadata(&file).unwrap().len() <= LIMIT);
    let (engine, read) = blocking(move || {
        let read = call(&engine, "GetItem", r#"{"TableName":"Kept","Key":{"pk":{"S":"0"}}}"#);
        (engine, read)
    })
    .await;
    assert!(read.contains("xxx"), "a full database is read");

    let mut deleted = 0;
    let mut engine = engine;
    while !space.is_left().await {
        assert!(deleted < stored, "space is left after all items are deleted");
        engine = blocking(move || {
            let key = format!(r#"{{"TableName":"Kept","Key":{{"pk":{{"S":"{deleted}"}}}}}}"#);
            let answer = call(&engine, "DeleteItem", &key);
            assert_eq!(answer, "{}");
            engine
        })
        .await;
        deleted += 1;
    }
    assert!(deleted > 1, "one item isn't enough");
    let engine = blocking(move || {
        assert_eq!(put(&engine, 0), "{}");
        engine
    })
    .await;
    engine.stop().await.unwrap();
}

#[tokio::test]
async fn larger_limit_at_next_start_gives_space() {
    let directory = tempfile::tempdir().unwrap();
    let engine = start(bounded(directory.path().to_owned()), 0).await.unwrap();
    let engine = blocking(move || {
        create_table(&engine);
        fill(&engine);
        engine
    })
    .await;
    engine.stop().await.unwrap();

    let storage = Storage::Directory { path: directory.path().to_owned(), limit: Some(2 * LIMIT) };
    let engine = start(storage, 0).await.unwrap();
    blocking(move || assert_eq!(put(&engine, 1_000), "{}")).await;
}
