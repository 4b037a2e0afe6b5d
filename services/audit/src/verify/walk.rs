//! Walks along one chain, from its first record to its signed end, and finds its first flaw. Pure.

use super::Flaw;
use crate::model::{AccessId, Digest, Facts, Head, Link};

/// A linked record.
pub(super) struct Linked {
    pub(super) facts: Facts,
    pub(super) link: Link,
    /// True if the personal data matches its digests, or is erased.
    pub(super) intact: bool,
}

/// A place, a record if there is one, and the flaw.
pub(super) type Found = (Option<u64>, Option<AccessId>, Flaw);

impl Linked {
    fn follows(&self, seq: u64, previous: &Digest) -> bool {
        self.intact
            && self.link.seq == seq
            && self.link.previous == *previous
            && self.facts.digest(seq, previous) == self.link.digest
    }
}

/// Returns the first flaw of a chain, if there is one. `linked` is in the order of the chain; `broken` are the
/// malformed records. Without a trusted head, the end of the chain is unknown.
pub(super) fn walk(linked: &[Linked], broken: &[Option<AccessId>], head: Option<&Head>) -> Option<Found> {
    let mut previous = Digest::NONE;
    let mut seq = 0;
    for group in linked.chunk_by(|one, other| one.link.seq == other.link.seq) {
        let Some(first) = group.first() else { continue };
        if head.is_some_and(|head| first.link.seq > head.seq) {
            break;
        }
        seq += 1;
        if first.link.seq != seq {
            return Some(empty_place(linked, broken, seq, &previous, Flaw::Dropped));
        }
        // If several records follow, the right one is confirmed by its successor or by the head.
        let right = group.iter().filter(|record| record.follows(seq, &previous));
        let Some(right) = right.max_by_key(|record| is_confirmed(linked, head, &record.link)) else {
            return Some(diagnose(linked, head, first, &previous));
        };
        if let Some(other) = group.iter().find(|record| record.facts.id != right.facts.id) {
            return Some((Some(seq), Some(other.facts.id), Flaw::Inserted));
        }
        previous = right.link.digest;
    }
    if let Some(head) = head {
        if seq < head.seq {
            return Some(empty_place(linked, broken, seq + 1, &previous, Flaw::CutOff));
        }
        if previous != head.digest {
            // The chain is consistent, and is not what was signed: at least the last record was digested anew.
            let last = in_place(linked, seq).first().map(|record| record.facts.id);
            return Some((Some(seq), last, Flaw::Altered));
        }
    }
    broken.first().map(|id| (None, *id, if id.is_some() { Flaw::Altered } else { Flaw::NotARecord }))
}

/// Returns the flaw of an empty place: its record was moved, is malformed, or is gone.
fn empty_place(linked: &[Linked], broken: &[Option<AccessId>], seq: u64, previous: &Digest, gone: Flaw) -> Found {
    let moved = linked.iter().find(|record| record.facts.digest(seq, previous) == record.link.digest);
    let altered = moved.map(|record| record.facts.id).or_else(|| broken.iter().find_map(|id| *id));
    (Some(seq), altered, if altered.is_some() { Flaw::Altered } else { gone })
}

/// Returns the flaw of a record that doesn't follow its predecessor.
fn diagnose(linked: &[Linked], head: Option<&Head>, record: &Linked, previous: &Digest) -> Found {
    let Linked { facts, link, intact } = record;
    let seq = link.seq;
    let altered = (Some(seq), Some(facts.id), Flaw::Altered);
    if *intact && facts.digest(seq, &link.previous) == link.digest {
        // It was digested after another record than its present predecessor. If its successor confirms it, the
        // predecessor was altered and digested anew.
        let before = seq.checked_sub(1).and_then(|before| in_place(linked, before).first());
        return match before {
            Some(before) if is_confirmed(linked, head, link) => {
                (Some(before.link.seq), Some(before.facts.id), Flaw::Altered)
            }
            _ => altered,
        };
    }
    // Another record was digested for this place, or this one under another id.
    let swapped = linked.iter().filter(|other| other.facts.id != facts.id).any(|other| {
        let there = other.facts.digest(seq, previous);
        let renamed = Facts { id: other.facts.id, ..*facts };
        there == other.link.digest || there == link.digest || renamed.digest(seq, previous) == link.digest
    });
    if swapped { (Some(seq), Some(facts.id), Flaw::Reordered) } else { altered }
}

/// Returns whether the record after this place, or the signed end, confirms this link.
fn is_confirmed(linked: &[Linked], head: Option<&Head>, link: &Link) -> bool {
    let next = link.seq.checked_add(1).map_or(&[][..], |next| in_place(linked, next));
    next.iter().any(|next| next.link.previous == link.digest)
        || head.is_some_and(|head| head.seq == link.seq && head.digest == link.digest)
}

/// Returns the records that claim a place.
pub(super) fn in_place(linked: &[Linked], seq: u64) -> &[Linked] {
    let from = linked.partition_point(|record| record.link.seq < seq);
    let rest = linked.get(from..).unwrap_or_default();
    rest.get(..rest.partition_point(|record| record.link.seq == seq)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use kernel::{ClientId, Entropy, TherapistId, Timestamp};
    use kit::entropy::SeededEntropy;
    use proptest::prelude::*;
    use proptest::sample::Index;

    use super::*;
    use crate::model::{Action, People, Personal};

    #[derive(Debug, Clone)]
    enum Tampering {
        Drop(Index),
        ExchangeSeq(Index, Index),
        ExchangeLinks(Index, Index),
        ExchangeFacts(Index, Index),
        Count(Index),
        CountDigestedAnew(Index, usize),
        Copy(Index),
    }

    fn tampering() -> impl Strategy<Value = Tampering> {
        let index = any::<Index>;
        prop_oneof![
            index().prop_map(Tampering::Drop),
            (index(), index()).prop_map(|(one, other)| Tampering::ExchangeSeq(one, other)),
            (index(), index()).prop_map(|(one, other)| Tampering::ExchangeLinks(one, other)),
            (index(), index()).prop_map(|(one, other)| Tampering::ExchangeFacts(one, other)),
            index().prop_map(Tampering::Count),
            (index(), 0..5_usize).prop_map(|(index, more)| Tampering::CountDigestedAnew(index, more)),
            index().prop_map(Tampering::Copy),
        ]
    }

    fn facts(entropy: &dyn Entropy) -> Facts {
        let therapist = TherapistId::from_bytes(entropy.array());
        let personal =
            Personal { therapist, entry_id: String::new(), grant_id: "grant".to_owned(), salt: entropy.array() };
        let people = People::of(ClientId::from_bytes([1; 16]), &personal);
        let id = AccessId::generate(Timestamp::UNIX_EPOCH, entropy);
        Facts { id, time: Timestamp::UNIX_EPOCH, action: Action::List, entry_count: 1, people }
    }

    fn chain(length: usize, entropy: &dyn Entropy) -> (Vec<Linked>, Head) {
        let (mut linked, mut end) = (Vec::new(), (0, Digest::NONE));
        for _ in 0..length {
            let facts = facts(entropy);
            let link = facts.after(end.0, end.1);
            end = (link.seq, link.digest);
            linked.push(Linked { facts, link, intact: true });
        }
        let (seq, digest) = end;
        (linked, Head { seq, digest, time: Timestamp::UNIX_EPOCH, key_id: String::new(), signature: Vec::new() })
    }

    /// Tampers with the chain, and returns the place where it must be found: `None` if nothing changed.
    fn tamper(linked: &mut Vec<Linked>, tampering: &Tampering, entropy: &dyn Entropy) -> Option<usize> {
        let length = linked.len();
        let pair = |one: &Index, other: &Index| (one.index(length), other.index(length));
        let first = |(one, other): (usize, usize)| (one != other).then(|| one.min(other));
        match tampering {
            Tampering::Drop(index) => {
                let place = index.index(length);
                linked.remove(place);
                Some(place)
            }
            Tampering::ExchangeSeq(one, other) => {
                let (one, other) = pair(one, other);
                let (seq, of_other) = (linked[one].link.seq, linked[other].link.seq);
                (linked[one].link.seq, linked[other].link.seq) = (of_other, seq);
                first((one, other))
            }
            Tampering::ExchangeLinks(one, other) => {
                let (one, other) = pair(one, other);
                let (link, of_other) = (linked[one].link, linked[other].link);
                (linked[one].link, linked[other].link) = (of_other, link);
                first((one, other))
            }
            Tampering::ExchangeFacts(one, other) => {
                let (one, other) = pair(one, other);
                let (facts, of_other) = (linked[one].facts, linked[other].facts);
                (linked[one].facts, linked[other].facts) = (of_other, facts);
                first((one, other))
            }
            Tampering::Count(index) => {
                let place = index.index(length);
                linked[place].facts.entry_count += 1;
                Some(place)
            }
            Tampering::CountDigestedAnew(index, more) => {
                let place = index.index(length);
                let last = (place + more).min(length - 1);
                linked[place].facts.entry_count += 1;
                for number in place..=last {
                    let before = number
                        .checked_sub(1)
                        .map_or((0, Digest::NONE), |before| (linked[before].link.seq, linked[before].link.digest));
                    linked[number].link = linked[number].facts.after(before.0, before.1);
                }
                Some(last)
            }
            Tampering::Copy(index) => {
                let place = index.index(length);
                let facts = Facts { id: facts(entropy).id, ..linked[place].facts };
                let Link { seq, previous, .. } = linked[place].link;
                linked.push(Linked { facts, link: facts.after(seq - 1, previous), intact: true });
                Some(place)
            }
        }
    }

    proptest! {
        /// Every kind of tampering is found, at the place that it must be found at.
        #[test]
        fn tampering_is_found_at_its_place(
            seed: u64, length in 1..12_usize, tampering in tampering(),
        ) {
            let entropy = SeededEntropy::new(seed);
            let (mut linked, head) = chain(length, &entropy);
            prop_assert!(walk(&linked, &[], Some(&head)).is_none());
            let place = tamper(&mut linked, &tampering, &entropy);
            linked.sort_by_key(|record| (record.link.seq, record.facts.id));
            let found = walk(&linked, &[], Some(&head));
            prop_assert_eq!(found.map(|(seq, ..)| seq), place.map(|place| Some(place as u64 + 1)), "{:?}", found);
        }
    }
}
