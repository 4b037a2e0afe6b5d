use dynamo::{Key, Read, UpdateRequest};
use kernel::{ClientId, TherapistId};
use kit::engine::Engine;
use serde_bytes::{ByteArray, ByteBuf};

use super::support::{World, findings};
use crate::model::{AccessId, Digest, Head, Link};
use crate::store::{Place, Row, head_key, record_key};
use crate::{Flaw, Heads, Report, policy};

kit::on_each_engine!(
    changed_record_attribute_is_found,
    deleted_record_is_found,
    moved_record_is_found,
    inserted_record_is_found,
    redigested_record_is_found,
    tampered_head_is_found,
    kept_heads_reveal_rolled_back_chain,
    erased_personal_data_keeps_chain_sound,
    unlinked_records_are_counted_not_verified,
);

/// Number of records of each chain.
const LENGTH: u64 = 7;

/// The fixture of a linked chain of a new client.
struct ChainFixture<'a> {
    world: &'a World,
    client: ClientId,
    ids: Vec<AccessId>,
}

impl<'a> ChainFixture<'a> {
    async fn new(world: &'a World) -> Self {
        let client = world.client();
        let mut chain = Self { world, client, ids: Vec::new() };
        chain.grow(LENGTH).await;
        chain
    }

    async fn grow(&mut self, by: u64) {
        for number in 0..by {
            self.world.read_by_therapist(self.client, u32::try_from(number).unwrap()).await;
        }
        // Records of other clients of the same world may stay unlinked.
        self.world.linker(&[1]).link_once().await;
        self.ids = self.world.linked(self.client).await;
    }

    fn id(&self, seq: u64) -> AccessId {
        self.ids[usize::try_from(seq).unwrap() - 1]
    }

    fn key(&self, seq: u64) -> Key {
        record_key(self.client, self.id(seq))
    }

    async fn update(&self, seq: u64, change: impl FnOnce(UpdateRequest) -> UpdateRequest) {
        change(self.world.table.update(&self.key(seq))).run().await.map(drop).unwrap();
    }

    async fn update_head(&self, change: impl FnOnce(UpdateRequest) -> UpdateRequest) {
        change(self.world.table.update(&head_key(self.client))).run().await.map(drop).unwrap();
    }

    async fn head(&self) -> Head {
        self.world.store.head(policy::all_chains(), self.client).await.unwrap().unwrap().unwrap()
    }

    async fn put_head(&self, head: &Head) {
        let Head { seq, digest, time, key_id, signature } = head.clone();
        let signature = ByteBuf::from(signature);
        let all = |update: UpdateRequest| {
            let update = update.set("seq", seq).set("digest", digest).set("time", time);
            update.set("key_id", key_id).set("signature", signature).set("chain", "CHAINS")
        };
        self.update_head(all).await;
    }

    async fn row(&self, seq: u64) -> Row {
        self.world.table.get(&self.key(seq), Read::Consistent).await.unwrap().unwrap()
    }

    async fn link(&self, seq: u64) -> Link {
        let Place::Linked(link) = self.world.record(self.client, self.id(seq)).await.place else { panic!("linked") };
        link
    }

    async fn put_link(&self, seq: u64, link: Link) {
        let Link { seq: place, previous, digest } = link;
        self.update(seq, |update| update.set("seq", place).set("previous", previous).set("digest", digest)).await;
    }

    /// Digests these records anew as they are stored, each after its predecessor.
    async fn digest_anew(&self, places: impl Iterator<Item = u64>) {
        for seq in places {
            let facts = self.world.record(self.client, self.id(seq)).await.facts;
            let previous = if seq == 1 { Digest::NONE } else { self.link(seq - 1).await.digest };
            self.put_link(seq, facts.after(seq - 1, previous)).await;
        }
    }

    async fn verify(&self) -> Report {
        self.world.verify(&[1], Some(self.client)).await
    }

    /// Asserts that a verification finds this flaw alone, at this place, on the record linked as number `of` if given.
    async fn expect_finding(&self, what: &str, seq: Option<u64>, of: Option<u64>, flaw: Flaw) {
        let report = self.verify().await;
        let found: Vec<_> = report.findings.iter().map(|found| (found.seq, found.access_id, found.flaw)).collect();
        let expected = (seq, of.map(|of| self.id(of)), flaw);
        assert_eq!(found, [expected], "{what}: {:?}", findings(&report));
    }
}

async fn changed_record_attribute_is_found(engine: Engine) {
    type Change = fn(UpdateRequest) -> UpdateRequest;
    let world = World::new(engine).await;
    let changes: &[(&str, Change)] = &[
        ("time", |update| update.set("time", "2100-01-01T00:00:00.000000001Z")),
        ("action", |update| update.set("action", "EXPORT")),
        ("entry_count", |update| update.set("entry_count", 77)),
        ("client_digest", |update| update.set("client_digest", Digest::NONE)),
        ("therapist_digest", |update| update.set("therapist_digest", Digest::NONE)),
        ("entry_digest", |update| update.set("entry_digest", Digest::NONE)),
        ("grant_digest", |update| update.set("grant_digest", Digest::NONE)),
        ("therapist_id", |update| update.set("therapist_id", TherapistId::from_bytes([7; 16]))),
        ("entry_id", |update| update.set("entry_id", "another")),
        ("grant_id", |update| update.set("grant_id", "another")),
        ("salt", |update| update.set("salt", ByteArray::new([7; 16]))),
        ("previous", |update| update.set("previous", Digest::NONE)),
        ("digest", |update| update.set("digest", Digest::NONE)),
        ("chain", |update| update.set("chain", "OTHER")),
        ("unlinked", |update| update.set("unlinked", "0")),
        ("seq as text", |update| update.set("seq", "3")),
        ("seq far away", |update| update.set("seq", 99)),
        ("seq 0", |update| update.set("seq", 0)),
        ("no time", |update| update.remove("time")),
        ("no action", |update| update.remove("action")),
        ("no entry_count", |update| update.remove("entry_count")),
        ("no client_digest", |update| update.remove("client_digest")),
        ("no therapist_digest", |update| update.remove("therapist_digest")),
        ("no entry_digest", |update| update.remove("entry_digest")),
        ("no grant_digest", |update| update.remove("grant_digest")),
        ("no therapist_id", |update| update.remove("therapist_id")),
        ("no entry_id", |update| update.remove("entry_id")),
        ("no grant_id", |update| update.remove("grant_id")),
        ("no salt", |update| update.remove("salt")),
        ("no seq", |update| update.remove("seq")),
        ("no previous", |update| update.remove("previous")),
        ("no digest", |update| update.remove("digest")),
    ];
    for (number, (what, change)) in changes.iter().enumerate() {
        let chain = ChainFixture::new(&world).await;
        assert!(chain.verify().await.is_sound());
        // The first, one in the middle, and the last.
        let seq = [3, 1, LENGTH][number % 3];
        if *what == "seq as text" || *what == "chain" {
            chain.update(3, change).await;
            chain.expect_finding(what, Some(3), Some(3), Flaw::Altered).await;
        } else {
            chain.update(seq, change).await;
            chain.expect_finding(what, Some(seq), Some(seq), Flaw::Altered).await;
        }
    }
    let chain = ChainFixture::new(&world).await;
    chain.update(1, |update| update.remove("chain")).await;
    chain.expect_finding("no mark of a chain", Some(1), Some(1), Flaw::Altered).await;
    let chain = ChainFixture::new(&world).await;
    chain.update(3, |update| update.set("seq", 2)).await;
    chain.expect_finding("the place of another", Some(2), Some(3), Flaw::Inserted).await;
    let chain = ChainFixture::new(&world).await;
    chain.update(5, |update| update.set("entry_count", 77)).await;
    chain.update(2, |update| update.set("grant_id", "another")).await;
    chain.expect_finding("two are altered: the first is named", Some(2), Some(2), Flaw::Altered).await;
}

async fn deleted_record_is_found(engine: Engine) {
    let world = World::new(engine).await;
    let cases: [(&[u64], u64, Flaw); 5] = [
        (&[1], 1, Flaw::Dropped),
        (&[3], 3, Flaw::Dropped),
        (&[5, 4], 4, Flaw::Dropped),
        (&[LENGTH], LENGTH, Flaw::CutOff),
        (&[6, LENGTH], 6, Flaw::CutOff),
    ];
    for (gone, seq, flaw) in cases {
        let chain = ChainFixture::new(&world).await;
        for seq in gone {
            world.delete(&chain.key(*seq)).await;
        }
        chain.expect_finding(&format!("without {gone:?}"), Some(seq), None, flaw).await;
    }
    let chain = ChainFixture::new(&world).await;
    for seq in 1..=LENGTH {
        world.delete(&chain.key(seq)).await;
    }
    chain.expect_finding("without any", Some(1), None, Flaw::CutOff).await;
}

async fn moved_record_is_found(engine: Engine) {
    let world = World::new(engine).await;
    let (one, other) = (3, 5);

    let chain = ChainFixture::new(&world).await;
    chain.update(one, |update| update.set("seq", other)).await;
    chain.update(other, |update| update.set("seq", one)).await;
    chain.expect_finding("two numbers are exchanged", Some(one), Some(other), Flaw::Reordered).await;

    let chain = ChainFixture::new(&world).await;
    let (link, link_of_other) = (chain.link(one).await, chain.link(other).await);
    chain.put_link(one, link_of_other).await;
    chain.put_link(other, link).await;
    chain.expect_finding("two places are exchanged", Some(one), Some(other), Flaw::Reordered).await;

    let chain = ChainFixture::new(&world).await;
    let (row, row_of_other) = (chain.row(one).await, chain.row(other).await);
    world.table.put(&chain.key(one), &row_of_other).run().await.map(drop).unwrap();
    world.table.put(&chain.key(other), &row).run().await.map(drop).unwrap();
    chain.expect_finding("two records are exchanged", Some(one), Some(other), Flaw::Reordered).await;

    let (from, to) = (ChainFixture::new(&world).await, ChainFixture::new(&world).await);
    let row = from.row(one).await;
    world.table.put(&to.key(one), &row).run().await.map(drop).unwrap();
    to.expect_finding("the record of another client", Some(one), Some(one), Flaw::Altered).await;
}

async fn inserted_record_is_found(engine: Engine) {
    let world = World::new(engine).await;
    // Before the others in the order of the table, and after them.
    for early in ["00000000-0000-7000-8000-000000000000", "ffffffff-0000-7000-8000-000000000000"] {
        let mut chain = ChainFixture::new(&world).await;
        let id = AccessId::parse(early).unwrap();
        chain.ids.push(id);
        let row = chain.row(4).await;
        world.table.put(&record_key(chain.client, id), &row).run().await.map(drop).unwrap();
        chain.expect_finding("a copy", Some(4), Some(LENGTH + 1), Flaw::Inserted).await;
        let previous = chain.link(3).await.digest;
        let facts = world.record(chain.client, id).await.facts;
        chain.put_link(LENGTH + 1, facts.after(3, previous)).await;
        chain.expect_finding("one that fits", Some(4), Some(LENGTH + 1), Flaw::Inserted).await;
        let last = chain.link(LENGTH).await.digest;
        chain.put_link(LENGTH + 1, facts.after(LENGTH, last)).await;
        chain.expect_finding("one at the end", Some(LENGTH + 1), Some(LENGTH + 1), Flaw::BeyondHead).await;
    }
    let chain = ChainFixture::new(&world).await;
    let row = chain.row(4).await;
    let key = Key::new(format!("CLIENT#{}", chain.client), "RECORD#of nobody");
    world.table.put(&key, &row).run().await.map(drop).unwrap();
    chain.expect_finding("one without an id", None, None, Flaw::NotARecord).await;
}

async fn redigested_record_is_found(engine: Engine) {
    let world = World::new(engine).await;
    let cases = [(3..=3, 3), (1..=1, 1), (6..=6, 6), (LENGTH..=LENGTH, LENGTH), (3..=LENGTH, LENGTH)];
    for (anew, named) in cases {
        let chain = ChainFixture::new(&world).await;
        chain.update(*anew.start(), |update| update.set("entry_count", 77)).await;
        chain.digest_anew(anew.clone()).await;
        chain.expect_finding(&format!("{anew:?} anew"), Some(named), Some(named), Flaw::Altered).await;
    }
}

async fn tampered_head_is_found(engine: Engine) {
    type Change = fn(UpdateRequest) -> UpdateRequest;
    let world = World::new(engine).await;
    let changes: &[(&str, Flaw, Change)] = &[
        ("seq", Flaw::HeadForged, |update| update.set("seq", 6)),
        ("seq beyond", Flaw::HeadForged, |update| update.set("seq", 8)),
        ("digest", Flaw::HeadForged, |update| update.set("digest", Digest::NONE)),
        ("time", Flaw::HeadForged, |update| update.set("time", "2100-01-01T00:00:00.000000001Z")),
        ("signature", Flaw::HeadForged, |update| update.set("signature", ByteBuf::from(vec![7; 64]))),
        ("short signature", Flaw::HeadForged, |update| update.set("signature", ByteBuf::from(vec![7]))),
        ("key", Flaw::HeadOfUnknownKey, |update| update.set("key_id", "0123456789abcdef")),
        ("chain", Flaw::HeadAltered, |update| update.set("chain", "OTHER")),
        ("no seq", Flaw::HeadAltered, |update| update.remove("seq")),
        ("no digest", Flaw::HeadAltered, |update| update.remove("digest")),
        ("no time", Flaw::HeadAltered, |update| update.remove("time")),
        ("no key", Flaw::HeadAltered, |update| update.remove("key_id")),
        ("no signature", Flaw::HeadAltered, |update| update.remove("signature")),
        ("no chain", Flaw::HeadAltered, |update| update.remove("chain")),
    ];
    for (what, flaw, change) in changes {
        let chain = ChainFixture::new(&world).await;
        chain.update_head(change).await;
        chain.expect_finding(what, None, None, *flaw).await;
    }

    let mut chain = ChainFixture::new(&world).await;
    let old = chain.head().await;
    chain.grow(3).await;
    chain.put_head(&old).await;
    chain.expect_finding("put back", Some(LENGTH + 1), Some(LENGTH + 1), Flaw::BeyondHead).await;

    // A record linked after a head that was rolled back or deleted gets a place that is taken.
    for (place, back) in [(LENGTH + 1, true), (1, false)] {
        let mut chain = ChainFixture::new(&world).await;
        let old = chain.head().await;
        chain.grow(3).await;
        if back {
            chain.put_head(&old).await;
        } else {
            world.delete(&head_key(chain.client)).await;
        }
        world.read_by_therapist(chain.client, 11).await;
        world.linker(&[1]).link_once().await;
        let report = chain.verify().await;
        let first = &report.findings[0];
        assert_eq!((first.seq, first.flaw), (Some(place), Flaw::Inserted), "{:?}", findings(&report));
    }

    let (one, other) = (ChainFixture::new(&world).await, ChainFixture::new(&world).await);
    one.put_head(&other.head().await).await;
    one.expect_finding("of another client", None, None, Flaw::HeadForged).await;

    let chain = ChainFixture::new(&world).await;
    world.delete(&chain.key(LENGTH)).await;
    let before = chain.link(LENGTH - 1).await;
    chain.update_head(|update| update.set("seq", before.seq).set("digest", before.digest)).await;
    chain.expect_finding("cut off with its record", None, None, Flaw::HeadForged).await;

    let chain = ChainFixture::new(&world).await;
    world.delete(&head_key(chain.client)).await;
    chain.expect_finding("deleted", None, None, Flaw::HeadMissing).await;
    let all = world.verify(&[1], None).await;
    let found = all.findings.iter().filter(|found| found.client == chain.client).collect::<Vec<_>>();
    assert_eq!(found.len(), 1, "a chain without its head is found among all");
    assert_eq!(found[0].flaw, Flaw::HeadMissing);
}

async fn kept_heads_reveal_rolled_back_chain(engine: Engine) {
    let world = World::new(engine).await;
    let found = |report: &Report| report.findings.iter().map(|it| (it.seq, it.access_id, it.flaw)).collect::<Vec<_>>();
    let mut chain = ChainFixture::new(&world).await;
    let (client, old) = (chain.client, chain.head().await);
    chain.grow(3).await;
    let (report, kept) = world.verify_knowing(&Heads::default(), &[1], Some(client)).await;
    assert!(report.is_sound());

    for seq in LENGTH + 1..=LENGTH + 3 {
        world.delete(&chain.key(seq)).await;
    }
    chain.put_head(&old).await;
    assert!(chain.verify().await.is_sound(), "the table alone can't tell");
    let (report, _) = world.verify_knowing(&kept, &[1], Some(client)).await;
    assert_eq!(found(&report), [(Some(LENGTH + 1), None, Flaw::CutOff)]);

    // Other records have taken the places.
    chain.grow(5).await;
    let (report, _) = world.verify_knowing(&kept, &[1], None).await;
    let of_client: Vec<_> = report.findings.iter().filter(|it| it.client == client).collect();
    assert_eq!(of_client.len(), 1, "{:?}", findings(&report));
    assert_eq!((of_client[0].seq, of_client[0].flaw), (Some(LENGTH + 3), Flaw::Altered));

    let chain = ChainFixture::new(&world).await;
    let (_, kept) = world.verify_knowing(&Heads::default(), &[1], Some(chain.client)).await;
    for seq in 1..=LENGTH {
        world.delete(&chain.key(seq)).await;
    }
    world.delete(&head_key(chain.client)).await;
    let (report, _) = world.verify_knowing(&kept, &[1], None).await;
    assert_eq!(found(&report), [(Some(1), None, Flaw::CutOff)], "also where nothing at all is left");
}

async fn erased_personal_data_keeps_chain_sound(engine: Engine) {
    let world = World::new(engine).await;
    let mut chain = ChainFixture::new(&world).await;
    let erase =
        |update: UpdateRequest| update.remove("therapist_id").remove("entry_id").remove("grant_id").remove("salt");
    for seq in [1, 3, LENGTH] {
        chain.update(seq, erase).await;
    }
    chain.grow(2).await;
    let report = chain.verify().await;
    assert_eq!(findings(&report), [""; 0]);
    assert_eq!((report.linked, report.erased, report.unlinked), (LENGTH + 2, 3, 0));
    chain.update(3, |update| update.set("entry_count", 77)).await;
    chain.expect_finding("an erased record that is altered", Some(3), Some(3), Flaw::Altered).await;
}

async fn unlinked_records_are_counted_not_verified(engine: Engine) {
    let world = World::new(engine).await;
    let chain = ChainFixture::new(&world).await;
    let waiting = world.read_by_therapist(chain.client, 8).await;
    assert_eq!(chain.verify().await.unlinked, 1);
    assert_eq!(world.verify(&[1], None).await.unlinked, 1);
    world.delete(&record_key(chain.client, waiting)).await;
    let report = chain.verify().await;
    assert!(report.is_sound());
    assert_eq!((report.linked, report.unlinked), (LENGTH, 0));
    assert_eq!(world.verify(&[1], Some(world.client())).await.linked, 0, "of nobody there is nothing to say");

    let hidden = world.read_by_therapist(chain.client, 9).await;
    world.table.update(&record_key(chain.client, hidden)).set("unlinked", "9").run().await.map(drop).unwrap();
    let found = findings(&chain.verify().await);
    assert_eq!(found, [format!("client {}: the record {hidden} was altered", chain.client)], "no linker finds it");
}
