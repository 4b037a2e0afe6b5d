use std::cell::Cell;
use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::{join, join_all};
use kernel::Entropy;
use kit::engine::Engine;
use kit::entropy::SeededEntropy;
use kit::fault::{Mode, Proxy};
use kit::wait::until;

use super::support::{World, findings};
use crate::link::Round;
use crate::store::{head_key, record_key};

kit::on_each_engine!(
    concurrent_linkers_build_gapless_chains,
    interrupted_linker_leaves_resumable_state,
    forged_head_blocks_its_own_chain_only,
    linked_record_marked_waiting_blocks_no_other,
    head_of_previous_secret_is_renewed,
    head_renewal_survives_table_outage,
);

const RECORDS: u32 = 1000;
const WRITERS: u32 = 16;
const PAUSE: Duration = Duration::from_millis(1);

async fn concurrent_linkers_build_gapless_chains(engine: Engine) {
    let world = World::new(engine).await;
    let clients = [world.client(), world.client(), world.client()];
    let (linker, other) = (world.linker(&[1]), world.linker(&[1]));
    let written = std::sync::atomic::AtomicBool::new(false);
    let write = async {
        let of_writer = async |writer: u32| {
            for number in (writer..RECORDS).step_by(WRITERS as usize) {
                world.read_by_therapist(clients[number as usize % 3], number).await;
            }
        };
        join_all((0..WRITERS).map(of_writer)).await;
        written.store(true, std::sync::atomic::Ordering::Release);
    };
    let link = async |linker: &crate::link::Linker| {
        let mut linked = 0;
        loop {
            let over = written.load(std::sync::atomic::Ordering::Acquire);
            linked += linker.link_once().await.linked;
            if over && world.waiting().await == 0 {
                return linked;
            }
        }
    };
    let ((), (by_one, by_other)) = join(write, join(link(&linker), link(&other))).await;
    println!("one linker linked {by_one} and the other {by_other}");
    assert_eq!(by_one + by_other, RECORDS as usize, "each is linked once");
    let mut ids = BTreeSet::new();
    for client in clients {
        ids.extend(world.linked(client).await);
    }
    assert_eq!(ids.len(), RECORDS as usize);
    let report = world.verify(&[1], None).await;
    assert_eq!(findings(&report), [""; 0]);
    assert_eq!((report.chains, report.linked, report.unlinked), (3, u64::from(RECORDS), 0));
    assert_eq!(linker.link_once().await, Round::default());
}

async fn interrupted_linker_leaves_resumable_state(engine: Engine) {
    let seed = 20_261_122;
    println!("seed: {seed}");
    let random = SeededEntropy::new(seed);
    let world = World::new(engine).await;
    let clients = [world.client(), world.client()];
    let (mut stopped, mut number) = (0, 0);
    for _ in 0..40 {
        for _ in 0..5 {
            number += 1;
            world.read_by_therapist(clients[number as usize % 2], number).await;
        }
        let random: &dyn Entropy = &random;
        let timeout = Duration::from_micros(u64::from(u16::from_le_bytes(random.array())) / 2);
        // A dropped linker stops at its pending call, whether DynamoDB has executed it or not.
        let linker = world.linker(&[1]);
        stopped += u32::from(tokio::time::timeout(timeout, linker.link_once()).await.is_err());
    }
    println!("stopped {stopped} times");
    assert!(stopped > 0);
    world.link_all(&world.linker(&[1])).await;
    let report = world.verify(&[1], None).await;
    assert_eq!(findings(&report), [""; 0]);
    assert_eq!((report.linked, report.unlinked), (u64::from(number), 0));
}

async fn forged_head_blocks_its_own_chain_only(engine: Engine) {
    let world = World::new(engine).await;
    let (forged, sound) = (world.client(), world.client());
    let linker = world.linker(&[1]);
    for client in [forged, sound] {
        world.read_by_therapist(client, 1).await;
    }
    world.link_all(&linker).await;
    world.table.update(&head_key(forged)).set("seq", 0).run().await.map(drop).unwrap();
    for client in [forged, sound] {
        world.read_by_therapist(client, 2).await;
    }
    assert_eq!(linker.link_once().await, Round { linked: 1, left: 1 });
    assert_eq!(world.linked(sound).await.len(), 2);
    assert_eq!(world.linked(forged).await.len(), 1);
    let report = world.verify(&[1], None).await;
    assert_eq!(findings(&report).len(), 1);
    assert_eq!((report.linked, report.unlinked), (3, 1));
}

async fn linked_record_marked_waiting_blocks_no_other(engine: Engine) {
    let world = World::new(engine).await;
    let client = world.client();
    let linker = world.linker(&[1]);
    let first = world.read_by_therapist(client, 1).await;
    world.link_all(&linker).await;
    let shard = (client.as_bytes()[15] % 4).to_string();
    world.table.update(&record_key(client, first)).set("unlinked", shard).run().await.map(drop).unwrap();
    let second = world.read_by_therapist(client, 2).await;
    assert_eq!(linker.link_once().await, Round { linked: 1, left: 1 });
    let report = world.verify(&[1], Some(client)).await;
    assert_eq!(findings(&report), [format!("client {client}: record 1 ({first}) was altered")]);
    world.table.update(&record_key(client, first)).remove("unlinked").run().await.map(drop).unwrap();
    assert_eq!(world.linked(client).await, [first, second]);
}

async fn head_of_previous_secret_is_renewed(engine: Engine) {
    let world = World::new(engine).await;
    let client = world.client();
    world.read_by_therapist(client, 1).await;
    world.link_all(&world.linker(&[1])).await;
    assert!(world.verify(&[2, 1], None).await.is_sound());
    let unknown = findings(&world.verify(&[2], None).await);
    assert_eq!(unknown, [format!("client {client}: the head is signed by a key that is not derived from the secrets")]);
    world.linker(&[2, 1]).renew_heads(PAUSE).await;
    assert!(world.verify(&[2], None).await.is_sound());
    world.linker(&[3]).renew_heads(PAUSE).await;
    assert!(world.verify(&[2], None).await.is_sound(), "who doesn't know the key signs nothing");
}

async fn head_renewal_survives_table_outage(engine: Engine) {
    let config = engine.config().await;
    let world = World::over(config.clone().connect(kit::entropy::seeded()).await).await;
    let client = world.client();
    world.read_by_therapist(client, 1).await;
    world.link_all(&world.linker(&[1])).await;
    let proxy = Proxy::start(&engine.endpoint().await);
    let proxied = dynamo::Config { endpoint: Some(proxy.endpoint()), ..config }.connect(kit::entropy::seeded()).await;
    let linker = World::over(proxied).await.linker(&[2, 1]);
    for operation in ["Query", "GetItem", "PutItem"] {
        drop(proxy.take_calls());
        proxy.only(move |call| call.operation == operation);
        proxy.set(Mode::Throttle).await;
        let refused = Cell::new(0);
        let back = async {
            // More than the attempts of the SDK for one call: at least one call has failed for good.
            let enough = until("calls are refused", async || {
                let more = proxy.take_calls().iter().filter(|call| *call == operation).count();
                refused.replace(refused.get() + more) > 6
            });
            enough.await;
            proxy.set(Mode::Pass).await;
        };
        join(linker.renew_heads(PAUSE), back).await;
        assert!(world.verify(&[2], None).await.is_sound(), "{operation}");
        world.linker(&[1, 2]).renew_heads(PAUSE).await;
    }
}
