//! Deleted content is not on the disk: not in the database's free space, not in its log.

use std::path::{Path, PathBuf};

use embedded_dynamodb::{Engine, Storage};

use crate::support::{blocking, call, create_table, in_directory, start};

const ITEMS: usize = 400;

fn kept(item: usize) -> bool {
    item.is_multiple_of(4)
}

/// Returns a text that is unique to the item, of various lengths: some fit a page many times, some need several pages.
fn text(item: usize, version: usize) -> String {
    let long = if item.is_multiple_of(13) { 9 } else { 1 };
    format!("canary-{item}-{version}.").repeat(1 + (item * 7 + version * 3) % 97 * long)
}

fn put(engine: &Engine, item: usize, version: usize) {
    let text = text(item, version);
    let by = item % 5;
    let body = format!(
        r#"{{"TableName":"Kept","Item":{{"pk":{{"S":"item-{item}."}},"by":{{"S":"{by}"}},"text":{{"S":"{text}"}}}}}}"#
    );
    assert_eq!(call(engine, "PutItem", &body), "{}");
}

/// Returns the files of a directory that hold these bytes.
fn on_disk(directory: &Path, bytes: &str) -> Vec<PathBuf> {
    let files = std::fs::read_dir(directory).unwrap().map(|file| file.unwrap().path());
    let holds = |file: &PathBuf| {
        let content = std::fs::read(file).unwrap();
        content.windows(bytes.len()).any(|window| window == bytes.as_bytes())
    };
    files.filter(holds).collect()
}

#[tokio::test]
async fn erased_items_are_in_no_file() {
    let directory = tempfile::tempdir().unwrap();
    let Storage::Directory { path, .. } = in_directory(&directory) else { unreachable!() };
    let engine = start(in_directory(&directory), 0).await.unwrap();
    let at = path.clone();
    let engine = blocking(move || {
        create_table(&engine);
        for (item, version) in (0..3).flat_map(|version| (0..ITEMS).map(move |item| (item, version))) {
            put(&engine, (item * 151) % ITEMS, version);
        }
        assert!(!on_disk(&at, "canary-8-2.").is_empty(), "what is there is on the disk");
        for item in (0..ITEMS).filter(|item| !kept(*item)) {
            let key = format!(r#"{{"TableName":"Kept","Key":{{"pk":{{"S":"item-{item}."}}}}}}"#);
            assert_eq!(call(&engine, "DeleteItem", &key), "{}");
        }
        engine
    })
    .await;
    // Concurrent calls share one rewrite.
    let eraser = engine.eraser();
    let (one, two, three) = tokio::join!(eraser.erase(), eraser.erase(), eraser.erase());
    one.and(two).and(three).unwrap();
    blocking(move || {
        for item in 0..ITEMS {
            for version in 0..3 {
                let found = on_disk(&path, &format!("canary-{item}-{version}."));
                assert_eq!(found.is_empty(), !kept(item) || version < 2, "item {item}, version {version}: {found:?}");
            }
            assert_eq!(on_disk(&path, &format!("item-{item}.")).is_empty(), !kept(item), "key {item}");
        }
    })
    .await;
    engine.stop().await.unwrap();
}

/// The file is of a version that did not overwrite deleted content.
#[tokio::test]
async fn start_erases_leftovers_of_older_versions() {
    let directory = tempfile::tempdir().unwrap();
    let Storage::Directory { path, .. } = in_directory(&directory) else { unreachable!() };
    let engine = start(in_directory(&directory), 0).await.unwrap();
    let engine = blocking(move || {
        create_table(&engine);
        put(&engine, 1, 0);
        engine
    })
    .await;
    engine.stop().await.unwrap();
    let file = rusqlite::Connection::open(path.join("dynamodb.sqlite")).unwrap();
    let careless =
        r#"PRAGMA secure_delete = OFF; PRAGMA user_version = 0; DELETE FROM "Kept"; DELETE FROM "Kept::gsi::by_group""#;
    file.execute_batch(careless).unwrap();
    drop(file);
    assert!(!on_disk(&path, "canary-1-0.").is_empty(), "SQLite alone overwrites nothing");
    let engine = start(in_directory(&directory), 0).await.unwrap();
    assert_eq!(on_disk(&path, "canary-1-0."), Vec::<PathBuf>::new());
    engine.stop().await.unwrap();
}
