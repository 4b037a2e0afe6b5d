//! Random commands of three clients and three therapists over REST, each answer compared with a model in memory that
//! was written from the contract. A failing world prints its seed and its last steps.

mod account_deletion;
mod appointments;
mod consent;
mod entries;
mod journal;
mod messages;
mod practice;
pub(crate) mod random;
mod reads;
mod relation;
mod sessions;
mod world;

use std::collections::BTreeMap;
use std::env;

use chassis::SystemEntropy;
use kernel::Entropy;
use kit::engine::Engine;
use kit::mesh::TestMesh;

use crate::model::journal::Words;
use crate::model::random::Random;
use crate::model::world::World;

kit::on_each_engine!(random_commands_match_model);

/// Milliseconds since 1970.
type Ms = i64;
const DAY: Ms = 24 * 60 * 60 * 1000;

/// HTTP status and reason of a refusal.
type Refusal = (u16, &'static str);
const NOT_FOUND: Refusal = (404, "NOT_FOUND");

/// Variable with the seed of all choices, to repeat a soak.
const SEED: &str = "MODEL_SEED";
/// Seed of the choices for a change.
const CHANGE_SEED: u64 = 12;
const STEPS: usize = 500;

#[derive(Debug, Clone, Copy)]
enum Command {
    PassTime,
    Relations,
    Lists,
    Profiles,
    Add,
    Correct,
    Remove,
    List,
    OldToken,
    Get,
    Insights,
    Log,
    Sessions,
    Appointments,
    Messages,
}

const COMMANDS: [(usize, Command); 15] = [
    (5, Command::PassTime),
    (34, Command::Relations),
    (8, Command::Lists),
    (2, Command::Profiles),
    (12, Command::Add),
    (6, Command::Correct),
    (3, Command::Remove),
    (12, Command::List),
    (4, Command::OldToken),
    (7, Command::Get),
    (5, Command::Insights),
    (2, Command::Log),
    (26, Command::Sessions),
    (26, Command::Appointments),
    (20, Command::Messages),
];

async fn random_commands_match_model(engine: Engine) {
    play(engine, CHANGE_SEED, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes: .ci/soak"]
async fn soak_model() {
    let given = env::var(SEED).ok().map(|text| text.parse().expect("a number"));
    let seed = given.unwrap_or_else(|| u64::from_be_bytes((&SystemEntropy as &dyn Entropy).array()) >> 16);
    println!("{SEED}={seed} repeats this run");
    for engine in [Engine::Embedded, Engine::DynamoDbLocal] {
        play(engine, seed, 60).await;
    }
}

async fn play(engine: Engine, seed: u64, worlds: u64) {
    let mesh = TestMesh::start(engine).await;
    let words = vocabulary(&mesh).await;
    let mut seen = BTreeMap::new();
    for world in 0..worlds {
        let random = Random::new(seed.wrapping_add(world));
        let mut world = World::new(&mesh, &words, random, format!("{SEED}={seed}, world {world} of {worlds}")).await;
        for _ in 0..STEPS {
            step(&mut world).await;
        }
        for (what, times) in world.end().await {
            *seen.entry(what).or_insert(0_usize) += times;
        }
    }
    println!("{seen:#?}");
    mesh.stop().await;
}

async fn step(world: &mut World<'_>) {
    match world.random.weighted(&COMMANDS) {
        Command::PassTime => world.pass_time(),
        Command::Relations => world.relation_command().await,
        Command::Lists => world.list_relations().await,
        Command::Profiles => world.read_profiles().await,
        Command::Add => world.add().await,
        Command::Correct => world.correct().await,
        Command::Remove => world.remove().await,
        Command::List => world.list_entries().await,
        Command::OldToken => world.use_old_token().await,
        Command::Get => world.get_entry().await,
        Command::Insights => world.read_insights().await,
        Command::Log => world.read_log().await,
        Command::Sessions => world.session_command().await,
        Command::Appointments => world.appointment_command().await,
        Command::Messages => world.message_command().await,
    }
}

/// Reads the vocabulary of emotions from the mesh.
async fn vocabulary(mesh: &TestMesh) -> Words {
    let reader = mesh.join("CLIENT").await;
    let answer = mesh.get("/emotions", &reader).await.expect(200);
    let mut words = Words { families: Vec::new(), family: BTreeMap::new() };
    for family in answer["families"].as_array().unwrap() {
        let name = family["family"].as_str().unwrap().to_owned();
        for strength in ["light", "medium", "strong"] {
            for word in family[strength].as_array().unwrap() {
                words.family.insert(word.as_str().unwrap().to_owned(), name.clone());
            }
        }
        words.families.push(name);
    }
    assert_eq!(words.families.len(), 10);
    words
}
