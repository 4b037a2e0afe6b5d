use dynamo::{Key, Read, UpdateRequest};
use kernel::{ClientId, TherapistId};
use kit::engine::Engine;
use serde_bytes::{ByteArray, ByteBuf};

use super::support::{World, findings};
use crate::chain::Digest;
use crate::model::{AccessId, Head, Link};
use crate::store::{Place, Row, head_key, record_key};
use crate::{Flaw, Heads, Report};

kit::on_each_engine!(
    whatever_attribute_of_a_record_is_changed_the_record_is_named,
    what_is_deleted_is_named,
    what_is_moved_is_named,
    what_is_inserted_is_named,
    what_is_digested_anew_is_named,
    whatever_is_done_to_the_head_is_told,
    a_chain_that_was_put_back_is_told_by_the_heads_that_were_kept,
    what_a_record_says_of_people_can_be_erased_as_a_whole,
    what_waits_to_be_linked_is_counted_and_not_vouched_for,
);

/// How many records each chain has.
const LENGTH: u64 = 7;

/// A chain of a client of its own.
struct Chained<'a> {
    world: &'a World,
    client: ClientId,
    ids: Vec<AccessId>,
}

impl<'a> Chained<'a> {
    async fn new(world: &'a World) -> Self {
        let client = world.client();
        let mut chained = Self { world, client, ids: Vec::new() };
        chained.grow(LENGTH).await;
        chained
    }

    async fn grow(&mut self, by: u64) {
        for number in 0..by {
            self.world.read_by_therapist(self.client, u32::try_from(number).unwrap()).await;
        }
        // Others of the same world may wait for ever: theirs is another matter.
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
        self.world.store.head(self.client).await.unwrap().unwrap().unwrap()
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

    /// Digests these records anew as they stand, each behind the one before.
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

    /// Holds a verification to finding this of a place, and of the record that was linked as number `of` if one is named.
    async fn finds(&self, what: &str, seq: Option<u64>, of: Option<u64>, flaw: Flaw) {
        let report = self.verify().await;
        let found: Vec<_> = report.findings.iter().map(|found| (found.seq, found.access_id, found.flaw)).collect();
        let expected = (seq, of.map(|of| self.id(of)), flaw);
        assert_eq!(found, [expected], "{what}: {:?}", findings(&report));
    }
}

async fn whatever_attribute_of_a_record_is_changed_the_record_is_named(engine: Engine) {
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
        let chained = Chained::new(&world).await;
        assert!(chained.verify().await.is_sound());
        // The first, one in the middle, and the last.
        let seq = [3, 1, LENGTH][number % 3];
        if *what == "seq as text" || *what == "chain" {
            chained.update(3, change).await;
            chained.finds(what, Some(3), Some(3), Flaw::Altered).await;
        } else {
            chained.update(seq, change).await;
            chained.finds(what, Some(seq), Some(seq), Flaw::Altered).await;
        }
    }
    let chained = Chained::new(&world).await;
    chained.update(1, |update| update.remove("chain")).await;
    chained.finds("no mark of a chain", Some(1), Some(1), Flaw::Altered).await;
    let chained = Chained::new(&world).await;
    chained.update(3, |update| update.set("seq", 2)).await;
    chained.finds("the place of another", Some(2), Some(3), Flaw::Inserted).await;
    let chained = Chained::new(&world).await;
    chained.update(5, |update| update.set("entry_count", 77)).await;
    chained.update(2, |update| update.set("grant_id", "another")).await;
    chained.finds("two are altered: the first is named", Some(2), Some(2), Flaw::Altered).await;
}

async fn what_is_deleted_is_named(engine: Engine) {
    let world = World::new(engine).await;
    let cases: [(&[u64], u64, Flaw); 5] = [
        (&[1], 1, Flaw::Dropped),
        (&[3], 3, Flaw::Dropped),
        (&[5, 4], 4, Flaw::Dropped),
        (&[LENGTH], LENGTH, Flaw::CutOff),
        (&[6, LENGTH], 6, Flaw::CutOff),
    ];
    for (gone, seq, flaw) in cases {
        let chained = Chained::new(&world).await;
        for seq in gone {
            world.delete(&chained.key(*seq)).await;
        }
        chained.finds(&format!("without {gone:?}"), Some(seq), None, flaw).await;
    }
    let chained = Chained::new(&world).await;
    for seq in 1..=LENGTH {
        world.delete(&chained.key(seq)).await;
    }
    chained.finds("without any", Some(1), None, Flaw::CutOff).await;
}

async fn what_is_moved_is_named(engine: Engine) {
    let world = World::new(engine).await;
    let (one, other) = (3, 5);

    let chained = Chained::new(&world).await;
    chained.update(one, |update| update.set("seq", other)).await;
    chained.update(other, |update| update.set("seq", one)).await;
    chained.finds("two numbers are exchanged", Some(one), Some(other), Flaw::Reordered).await;

    let chained = Chained::new(&world).await;
    let (link, link_of_other) = (chained.link(one).await, chained.link(other).await);
    chained.put_link(one, link_of_other).await;
    chained.put_link(other, link).await;
    chained.finds("two places are exchanged", Some(one), Some(other), Flaw::Reordered).await;

    let chained = Chained::new(&world).await;
    let (row, row_of_other) = (chained.row(one).await, chained.row(other).await);
    world.table.put(&chained.key(one), &row_of_other).run().await.map(drop).unwrap();
    world.table.put(&chained.key(other), &row).run().await.map(drop).unwrap();
    chained.finds("two records are exchanged", Some(one), Some(other), Flaw::Reordered).await;

    let (from, to) = (Chained::new(&world).await, Chained::new(&world).await);
    let row = from.row(one).await;
    world.table.put(&to.key(one), &row).run().await.map(drop).unwrap();
    to.finds("the record of another client", Some(one), Some(one), Flaw::Altered).await;
}

async fn what_is_inserted_is_named(engine: Engine) {
    let world = World::new(engine).await;
    // Before the others in the order of the table, and after them.
    for early in ["00000000-0000-7000-8000-000000000000", "ffffffff-0000-7000-8000-000000000000"] {
        let mut chained = Chained::new(&world).await;
        let id = AccessId::parse(early).unwrap();
        chained.ids.push(id);
        let row = chained.row(4).await;
        world.table.put(&record_key(chained.client, id), &row).run().await.map(drop).unwrap();
        chained.finds("a copy", Some(4), Some(LENGTH + 1), Flaw::Inserted).await;
        let previous = chained.link(3).await.digest;
        let facts = world.record(chained.client, id).await.facts;
        chained.put_link(LENGTH + 1, facts.after(3, previous)).await;
        chained.finds("one that fits", Some(4), Some(LENGTH + 1), Flaw::Inserted).await;
        let last = chained.link(LENGTH).await.digest;
        chained.put_link(LENGTH + 1, facts.after(LENGTH, last)).await;
        chained.finds("one at the end", Some(LENGTH + 1), Some(LENGTH + 1), Flaw::BeyondHead).await;
    }
    let chained = Chained::new(&world).await;
    let row = chained.row(4).await;
    let key = Key::new(format!("CLIENT#{}", chained.client), "RECORD#of nobody");
    world.table.put(&key, &row).run().await.map(drop).unwrap();
    chained.finds("one without an id", None, None, Flaw::NotARecord).await;
}

async fn what_is_digested_anew_is_named(engine: Engine) {
    let world = World::new(engine).await;
    let cases = [(3..=3, 3), (1..=1, 1), (6..=6, 6), (LENGTH..=LENGTH, LENGTH), (3..=LENGTH, LENGTH)];
    for (anew, named) in cases {
        let chained = Chained::new(&world).await;
        chained.update(*anew.start(), |update| update.set("entry_count", 77)).await;
        chained.digest_anew(anew.clone()).await;
        chained.finds(&format!("{anew:?} anew"), Some(named), Some(named), Flaw::Altered).await;
    }
}

async fn whatever_is_done_to_the_head_is_told(engine: Engine) {
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
        let chained = Chained::new(&world).await;
        chained.update_head(change).await;
        chained.finds(what, None, None, *flaw).await;
    }

    let mut chained = Chained::new(&world).await;
    let old = chained.head().await;
    chained.grow(3).await;
    chained.put_head(&old).await;
    chained.finds("put back", Some(LENGTH + 1), Some(LENGTH + 1), Flaw::BeyondHead).await;

    // Whatever is linked behind a head that was put back or deleted has a place that was taken.
    for (place, back) in [(LENGTH + 1, true), (1, false)] {
        let mut chained = Chained::new(&world).await;
        let old = chained.head().await;
        chained.grow(3).await;
        if back {
            chained.put_head(&old).await;
        } else {
            world.delete(&head_key(chained.client)).await;
        }
        world.read_by_therapist(chained.client, 11).await;
        world.linker(&[1]).link_once().await;
        let report = chained.verify().await;
        let first = &report.findings[0];
        assert_eq!((first.seq, first.flaw), (Some(place), Flaw::Inserted), "{:?}", findings(&report));
    }

    let (one, other) = (Chained::new(&world).await, Chained::new(&world).await);
    one.put_head(&other.head().await).await;
    one.finds("of another client", None, None, Flaw::HeadForged).await;

    let chained = Chained::new(&world).await;
    world.delete(&chained.key(LENGTH)).await;
    let before = chained.link(LENGTH - 1).await;
    chained.update_head(|update| update.set("seq", before.seq).set("digest", before.digest)).await;
    chained.finds("cut off with its record", None, None, Flaw::HeadForged).await;

    let chained = Chained::new(&world).await;
    world.delete(&head_key(chained.client)).await;
    chained.finds("deleted", None, None, Flaw::HeadMissing).await;
    let all = world.verify(&[1], None).await;
    let found = all.findings.iter().filter(|found| found.client == chained.client).collect::<Vec<_>>();
    assert_eq!(found.len(), 1, "a chain without its head is found among all");
    assert_eq!(found[0].flaw, Flaw::HeadMissing);
}

async fn a_chain_that_was_put_back_is_told_by_the_heads_that_were_kept(engine: Engine) {
    let world = World::new(engine).await;
    let found = |report: &Report| report.findings.iter().map(|it| (it.seq, it.access_id, it.flaw)).collect::<Vec<_>>();
    let mut chained = Chained::new(&world).await;
    let (client, old) = (chained.client, chained.head().await);
    chained.grow(3).await;
    let (report, kept) = world.verify_knowing(&Heads::default(), &[1], Some(client)).await;
    assert!(report.is_sound());

    for seq in LENGTH + 1..=LENGTH + 3 {
        world.delete(&chained.key(seq)).await;
    }
    chained.put_head(&old).await;
    assert!(chained.verify().await.is_sound(), "the table alone can't tell");
    let (report, _) = world.verify_knowing(&kept, &[1], Some(client)).await;
    assert_eq!(found(&report), [(Some(LENGTH + 1), None, Flaw::CutOff)]);

    // Others have taken the places.
    chained.grow(5).await;
    let (report, _) = world.verify_knowing(&kept, &[1], None).await;
    let of_client: Vec<_> = report.findings.iter().filter(|it| it.client == client).collect();
    assert_eq!(of_client.len(), 1, "{:?}", findings(&report));
    assert_eq!((of_client[0].seq, of_client[0].flaw), (Some(LENGTH + 3), Flaw::Altered));

    let chained = Chained::new(&world).await;
    let (_, kept) = world.verify_knowing(&Heads::default(), &[1], Some(chained.client)).await;
    for seq in 1..=LENGTH {
        world.delete(&chained.key(seq)).await;
    }
    world.delete(&head_key(chained.client)).await;
    let (report, _) = world.verify_knowing(&kept, &[1], None).await;
    assert_eq!(found(&report), [(Some(1), None, Flaw::CutOff)], "also where nothing at all is left");
}

async fn what_a_record_says_of_people_can_be_erased_as_a_whole(engine: Engine) {
    let world = World::new(engine).await;
    let mut chained = Chained::new(&world).await;
    let erase =
        |update: UpdateRequest| update.remove("therapist_id").remove("entry_id").remove("grant_id").remove("salt");
    for seq in [1, 3, LENGTH] {
        chained.update(seq, erase).await;
    }
    chained.grow(2).await;
    let report = chained.verify().await;
    assert_eq!(findings(&report), [""; 0]);
    assert_eq!((report.linked, report.erased, report.unlinked), (LENGTH + 2, 3, 0));
    chained.update(3, |update| update.set("entry_count", 77)).await;
    chained.finds("an erased record that is altered", Some(3), Some(3), Flaw::Altered).await;
}

async fn what_waits_to_be_linked_is_counted_and_not_vouched_for(engine: Engine) {
    let world = World::new(engine).await;
    let chained = Chained::new(&world).await;
    let waiting = world.read_by_therapist(chained.client, 8).await;
    assert_eq!(chained.verify().await.unlinked, 1);
    assert_eq!(world.verify(&[1], None).await.unlinked, 1);
    world.delete(&record_key(chained.client, waiting)).await;
    let report = chained.verify().await;
    assert!(report.is_sound());
    assert_eq!((report.linked, report.unlinked), (LENGTH, 0));
    assert_eq!(world.verify(&[1], Some(world.client())).await.linked, 0, "of nobody there is nothing to say");

    let hidden = world.read_by_therapist(chained.client, 9).await;
    world.table.update(&record_key(chained.client, hidden)).set("unlinked", "9").run().await.map(drop).unwrap();
    let found = findings(&chained.verify().await);
    assert_eq!(found, [format!("client {}: the record {hidden} was altered", chained.client)], "no linker finds it");
}
