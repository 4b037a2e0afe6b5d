//! Faults at every call of an update of the index.
//!
//! Each command runs once without a fault, to count the calls that the update behind it takes. Then it runs once for
//! each of them: from that call on all fail until one has, or that one alone does. Afterwards search must find what the
//! owners hold, whether the command was acknowledged or not. A call that fails in one way on one engine fails in the other
//! way on the other.

use std::cell::Cell;
use std::sync::atomic::{AtomicU32, Ordering};

use kit::engine::Engine;
use kit::fault::{Call, Mode};
use kit::mesh::{Answer, TestMesh};
use kit::wait::until;
use serde_json::json;

use crate::search::desk::{Desk, all_is_indexed, is_taken, search};
use crate::search::recover_soon;
use crate::world::World;

kit::on_each_engine!(faults_at_any_call_of_update_leave_consistent_index);

/// The table of the index.
const INDEX: &str = "SearchIndex";

const MODES: [Mode; 2] = [Mode::Throttle, Mode::LoseAnswer];

/// Changes of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Command {
    Write,
    /// Replaces the words, and makes the entry private.
    Correct,
    Remove,
    Note,
    Free,
}

pub(crate) const COMMANDS: [Command; 5] =
    [Command::Write, Command::Correct, Command::Remove, Command::Note, Command::Free];

/// A word of the text before the command, and one of the text after it.
pub(crate) const WORDS: [&str; 2] = ["amber", "birch"];

/// The text that a command changes.
pub(crate) struct Target(String);

impl Command {
    /// Makes what the command changes, and waits until it is found.
    pub(crate) async fn prepare(self, mesh: &TestMesh, desk: &Desk) -> Target {
        let id = match self {
            Self::Write => String::new(),
            Self::Correct | Self::Remove => desk.write(mesh, &long(WORDS[0])).await,
            Self::Note | Self::Free => desk.book(mesh, next_hour(), WORDS[0]).await,
        };
        let is_found = async || mesh.get(&search(WORDS[0]), &desk.client).await.body.to_string().contains(&id);
        until("the text is found", is_found).await;
        Target(id)
    }

    pub(crate) async fn play(self, mesh: &TestMesh, desk: &Desk, Target(id): &Target) -> Answer {
        match self {
            Self::Write => desk.try_write(mesh, &long(WORDS[1])).await,
            Self::Correct => desk.correct(mesh, id, json!({"note": long(WORDS[1]), "visibility": "PRIVATE"})).await,
            Self::Remove => desk.remove(mesh, id).await,
            Self::Note => desk.note(mesh, id, WORDS[1]).await,
            Self::Free => desk.free(mesh, id).await,
        }
    }

    /// Returns the table of the texts.
    const fn table(self) -> &'static str {
        match self {
            Self::Write | Self::Correct | Self::Remove => "Journals",
            Self::Note | Self::Free => "Sessions",
        }
    }
}

/// Returns a text with this word and so many others that one transaction has no room for its postings.
fn long(word: &str) -> String {
    let others = ["abacus", "baboon", "cactus", "dolphin", "elephant", "falcon", "gazelle", "hamster", "iguana"];
    let more = ["jackdaw", "kangaroo", "leopard", "mammoth", "nightjar", "octopus", "penguin", "quagga", "raccoon"];
    let letter = &word[..1];
    let all: Vec<_> = others.iter().chain(&more).map(|other| format!("{letter}{other}")).collect();
    format!("{word} {}", all.join(" "))
}

/// Returns the number of an hour that no session of this process has.
fn next_hour() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

async fn faults_at_any_call_of_update_leave_consistent_index(engine: Engine) {
    let world = World::start_with(engine, recover_soon).await;
    for command in COMMANDS {
        faults(engine, &world, command).await;
    }
    world.mesh.stop().await;
}

async fn faults(engine: Engine, world: &World, command: Command) {
    let tables = [command.table(), INDEX].map(|table| format!("{}{table}", world.mesh.dynamodb.table_prefix));
    let meant = tables.clone();
    world.proxy.only(move |call| is_meant(call, &meant));
    let steps = count(world, command, &tables).await;
    for step in 0..steps {
        // Other people each time: their texts are few.
        let desk = Desk::open(&world.mesh).await;
        let mode = &MODES[(step + usize::from(engine == Engine::Embedded)) % MODES.len()];
        // A call that was throttled had no effect, so that its retry needs no test.
        let is_once = *mode == Mode::LoseAnswer && step % 4 < 2;
        println!("{command:?}, {mode:?} at call {step} of {steps}, once: {is_once}");
        fault(world, &desk, command, (mode, step, is_once), &tables).await;
        all_is_indexed(&world.store).await;
        desk.assert_consistent(&world.mesh, &WORDS).await;
    }
}

/// Counts the calls of the update behind a command when nothing fails.
async fn count(world: &World, command: Command, tables: &[String; 2]) -> usize {
    let desk = Desk::open(&world.mesh).await;
    let target = command.prepare(&world.mesh, &desk).await;
    all_is_indexed(&world.store).await;
    let _before = world.proxy.take_calls();
    let answer = command.play(&world.mesh, &desk, &target).await;
    assert!(answer.status < 300, "{command:?}: {}", answer.body);
    all_is_indexed(&world.store).await;
    let steps = world.proxy.take_calls_that(|call| is_meant(call, tables)).len();
    assert!(steps >= 3, "{command:?} takes {steps} calls");
    steps
}

/// Plays a command while the call of this number of its update fails, alone or with all that follow.
async fn fault(
    world: &World,
    desk: &Desk,
    command: Command,
    (mode, step, is_once): (&Mode, usize, bool),
    tables: &[String; 2],
) {
    let target = command.prepare(&world.mesh, desk).await;
    all_is_indexed(&world.store).await;
    let _before = world.proxy.take_calls();
    world.proxy.next(std::iter::repeat_n(Mode::Pass, step).chain([mode.clone()]));
    if !is_once {
        world.proxy.set(mode.clone()).await;
    }
    let answer = command.play(&world.mesh, desk, &target).await;
    assert!(answer.status < 300 || matches!(answer.status, 409 | 503 | 504), "{command:?}: {}", answer.body);
    let calls = Cell::new(0);
    let is_met = async || {
        calls.set(calls.get() + world.proxy.take_calls_that(|call| is_meant(call, tables)).len());
        // What was refused has no update, and an update may take fewer calls than the first one.
        calls.get() > step || answer.status >= 300 || is_taken(&world.store).await
    };
    until("the fault is met", is_met).await;
    world.proxy.clear();
    world.proxy.set(Mode::Pass).await;
}

/// Returns true for the calls of the index, and for writes of the texts' table that end an update.
fn is_meant(call: Call<'_>, [texts, index]: &[String; 2]) -> bool {
    call.names(index) || matches!(call.operation, "UpdateItem" | "DeleteItem") && call.names(texts)
}
