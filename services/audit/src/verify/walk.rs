//! The walk along one chain, from its first record to its signed end. Pure.

use super::Flaw;
use crate::chain::Digest;
use crate::model::{AccessId, Facts, Head, Link};

/// A record that is linked.
pub(super) struct Linked {
    pub(super) facts: Facts,
    pub(super) link: Link,
    /// Whether what it says of people is what was digested, or erased.
    pub(super) intact: bool,
}

/// A place, a record if there is one, and what is wrong.
pub(super) type Found = (Option<u64>, Option<AccessId>, Flaw);

impl Linked {
    fn follows(&self, seq: u64, previous: &Digest) -> bool {
        self.intact
            && self.link.seq == seq
            && self.link.previous == *previous
            && self.facts.digest(seq, previous) == self.link.digest
    }
}

/// The first flaw of a chain, if there is one. `linked` is in the order of the chain; `broken` is what is no record. Without a
/// head that can be trusted, nobody knows where the chain ended.
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
            return Some(gap(linked, broken, seq, &previous, Flaw::Dropped));
        }
        // Of two that both follow, the right one is that which what comes next follows.
        let right = group.iter().filter(|record| record.follows(seq, &previous));
        let Some(right) = right.max_by_key(|record| is_borne_out(linked, head, &record.link)) else {
            return Some(blame(linked, head, first, &previous));
        };
        if let Some(other) = group.iter().find(|record| record.facts.id != right.facts.id) {
            return Some((Some(seq), Some(other.facts.id), Flaw::Inserted));
        }
        previous = right.link.digest;
    }
    if let Some(head) = head {
        if seq < head.seq {
            return Some(gap(linked, broken, seq + 1, &previous, Flaw::CutOff));
        }
        if previous != head.digest {
            // All of it fits together, and is not what was signed: the last at least was digested anew.
            let last = linked.iter().find(|record| record.link.seq == seq).map(|record| record.facts.id);
            return Some((Some(seq), last, Flaw::Altered));
        }
    }
    broken.first().map(|id| (None, *id, if id.is_some() { Flaw::Altered } else { Flaw::NotARecord }))
}

/// What is wrong where a place is empty: a record that belongs there is somewhere else, or is no record any more, or is gone.
fn gap(linked: &[Linked], broken: &[Option<AccessId>], seq: u64, previous: &Digest, gone: Flaw) -> Found {
    let moved = linked.iter().find(|record| record.facts.digest(seq, previous) == record.link.digest);
    let altered = moved.map(|record| record.facts.id).or_else(|| broken.iter().find_map(|id| *id));
    (Some(seq), altered, if altered.is_some() { Flaw::Altered } else { gone })
}

/// What is wrong with a record that doesn't follow the one before.
fn blame(linked: &[Linked], head: Option<&Head>, record: &Linked, previous: &Digest) -> Found {
    let Linked { facts, link, intact } = record;
    let seq = link.seq;
    let altered = (Some(seq), Some(facts.id), Flaw::Altered);
    if *intact && facts.digest(seq, &link.previous) == link.digest {
        // It was digested behind another record than the one that is there. If what follows bears it out, the one before
        // was altered and digested anew.
        let before = linked.iter().find(|other| Some(other.link.seq) == seq.checked_sub(1));
        return match before {
            Some(before) if is_borne_out(linked, head, link) => {
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

/// Whether the record after this place, or the signed end, says that this is what was there.
fn is_borne_out(linked: &[Linked], head: Option<&Head>, link: &Link) -> bool {
    linked.iter().any(|next| Some(next.link.seq) == link.seq.checked_add(1) && next.link.previous == link.digest)
        || head.is_some_and(|head| head.seq == link.seq && head.digest == link.digest)
}
