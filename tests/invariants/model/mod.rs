//! Random actions of three clients and three therapists over REST, each answer compared with what the rules say: a model
//! in memory that was written from the contract. A world that fails prints its seed and its last steps.

mod asking;
mod booking;
mod consent;
mod journal;
mod parting;
mod practice;
pub(crate) mod random;
mod reading;
mod relation;
mod talking;
mod world;
mod writing;

use std::collections::BTreeMap;
use std::env;

use chassis::SystemEntropy;
use kernel::Entropy;
use kit::engine::Engine;
use kit::mesh::TestMesh;

use crate::model::journal::Words;
use crate::model::random::Random;
use crate::model::world::World;

kit::on_each_engine!(whatever_people_do_every_answer_is_what_the_rules_say);

/// Milliseconds since 1970.
type Ms = i64;
const DAY: Ms = 24 * 60 * 60 * 1000;

/// Why not: the HTTP status and the reason.
type Refusal = (u16, &'static str);
const NOT_FOUND: Refusal = (404, "NOT_FOUND");

/// Set to a number, every choice is made by it: a run is repeated.
const SEED: &str = "MODEL_SEED";
/// Set to a number, that many worlds are played.
const WORLDS: &str = "MODEL_WORLDS";
const STEPS: usize = 600;

#[derive(Debug, Clone, Copy)]
enum Deed {
    PassTime,
    Relate,
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
    Practise,
    Apply,
    Talk,
}

const DEEDS: [(usize, Deed); 15] = [
    (5, Deed::PassTime),
    (34, Deed::Relate),
    (8, Deed::Lists),
    (2, Deed::Profiles),
    (12, Deed::Add),
    (6, Deed::Correct),
    (3, Deed::Remove),
    (12, Deed::List),
    (4, Deed::OldToken),
    (7, Deed::Get),
    (5, Deed::Insights),
    (2, Deed::Log),
    (26, Deed::Practise),
    (26, Deed::Apply),
    (20, Deed::Talk),
];

async fn whatever_people_do_every_answer_is_what_the_rules_say(engine: Engine) {
    let mesh = TestMesh::start(engine).await;
    let seed = number(SEED).unwrap_or_else(|| u64::from_be_bytes((&SystemEntropy as &dyn Entropy).array()) >> 16);
    let worlds = number(WORLDS).unwrap_or(6);
    println!("{SEED}={seed} repeats this run");
    let words = vocabulary(&mesh).await;
    let mut seen = BTreeMap::new();
    for world in 0..worlds {
        let random = Random::new(seed.wrapping_add(world));
        let mut world =
            World::new(&mesh, &words, random, format!("{SEED}={seed} {WORLDS}={worlds}, world {world}")).await;
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
    match world.random.weighted(&DEEDS) {
        Deed::PassTime => world.pass_time(),
        Deed::Relate => world.relate().await,
        Deed::Lists => world.list_relations().await,
        Deed::Profiles => world.read_profiles().await,
        Deed::Add => world.add().await,
        Deed::Correct => world.correct().await,
        Deed::Remove => world.remove().await,
        Deed::List => world.list_entries().await,
        Deed::OldToken => world.use_old_token().await,
        Deed::Get => world.get_entry().await,
        Deed::Insights => world.read_insights().await,
        Deed::Log => world.read_log().await,
        Deed::Practise => world.practise().await,
        Deed::Apply => world.apply().await,
        Deed::Talk => world.talk().await,
    }
}

fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok().map(|text| text.parse().expect("a number"))
}

/// The words that the mesh gives to choose from.
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
