//! Writers and deleters of the same texts, whose updates reach the index late and in any order.

use std::time::Duration;

use futures_util::future::join_all;
use kit::engine::Engine;
use kit::fault::Mode;
use kit::mesh::TestMesh;
use serde_json::json;

use crate::search::desk::{Desk, all_is_indexed};
use crate::search::recover_soon;
use crate::world::World;

kit::on_each_engine!(racing_writers_and_deleter_leave_consistent_index);

/// Texts of each kind.
const TEXTS: u32 = 6;
/// Milliseconds by which calls of the index are delayed, in turn.
const DELAYS: [u64; 7] = [0, 30, 5, 0, 60, 10, 0];
const WORDS: [&str; 5] = ["amber", "birch", "copper", "dune", "fern"];

async fn racing_writers_and_deleter_leave_consistent_index(engine: Engine) {
    let world = World::start_with(engine, recover_soon).await;
    let mesh = &world.mesh;
    let desk = Desk::open(mesh).await;
    let (mut entries, mut sessions) = (Vec::new(), Vec::new());
    for number in 0..TEXTS {
        entries.push(desk.write(mesh, WORDS[0]).await);
        sessions.push(desk.book(mesh, number, WORDS[0]).await);
    }
    world.only(None, "SearchIndex");
    world.proxy.next(DELAYS.into_iter().cycle().take(400).map(|delay| Mode::Delay(Duration::from_millis(delay))));
    let corrections = entries.iter().flat_map(|entry| {
        WORDS[1..].iter().enumerate().map(async |(number, word)| {
            let visibility = if number % 2 == 0 { "PRIVATE" } else { "SHARED" };
            desk.correct(mesh, entry, json!({"note": word, "visibility": visibility})).await.status
        })
    });
    let notes = sessions
        .iter()
        .flat_map(|session| WORDS[1..].iter().map(async |word| desk.note(mesh, session, word).await.status));
    // Of each kind one half is deleted meanwhile.
    let removals = entries.iter().step_by(2).map(async |entry| removed(mesh, &desk, entry).await);
    let deletions = sessions.iter().step_by(2).map(async |session| desk.delete(mesh, session).await.status);
    let (corrected, noted, gone, deleted) =
        tokio::join!(join_all(corrections), join_all(notes), join_all(removals), join_all(deletions));
    // A removal whose answer was lost is one of what is not there.
    assert!(gone.iter().all(|status| matches!(status, 200 | 404)), "{gone:?}");
    assert!(deleted.iter().all(|status| matches!(status, 204 | 409 | 503)), "{deleted:?}");
    for status in corrected.iter().chain(&noted) {
        // Many writers of one text may be told to try again.
        assert!(matches!(status, 200 | 404 | 409 | 503), "{corrected:?} {noted:?}");
    }
    all_is_indexed(&world.store).await;
    desk.assert_consistent(mesh, &WORDS).await;
    world.mesh.stop().await;
}

/// Removes an entry, as often as the client is told to try again.
async fn removed(mesh: &TestMesh, desk: &Desk, entry: &str) -> u16 {
    loop {
        let status = desk.remove(mesh, entry).await.status;
        if status != 503 {
            return status;
        }
    }
}
