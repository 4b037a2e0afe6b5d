//! Emotions over time: into which day, week or month an entry falls, and how strong each family was in it. Pure.

mod plan;
#[cfg(test)]
mod tests;

use crate::vocabulary::{FAMILIES, Family};

pub(crate) use plan::{Bucket, MOST_BUCKETS, Plan};

/// How many changes are told.
const MOST_CHANGES: usize = 5;

/// One family in one bucket.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) count: u32,
    /// The sum of the intensities.
    pub(crate) weight: u32,
}

/// Every family in one bucket, in the order of the vocabulary; words of the client's own last.
type Tallies = [Tally; FAMILIES + 1];

/// The sums of a plan.
#[derive(Debug)]
pub(crate) struct Sums {
    plan: Plan,
    tallies: Vec<Tallies>,
}

/// One bucket.
#[derive(Debug)]
pub(crate) struct Bucketful {
    /// Its first millisecond since 1970.
    pub(crate) start: i64,
    /// The first millisecond after it.
    pub(crate) end: i64,
    /// The families that were felt in it.
    pub(crate) families: Vec<(&'static str, Tally)>,
}

/// How a family changed from one bucket to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    /// The family; empty for words of the client's own.
    pub(crate) family: &'static str,
    /// The first millisecond of the bucket before.
    pub(crate) from: i64,
    /// The first millisecond of the bucket after.
    pub(crate) to: i64,
    pub(crate) before: Tally,
    pub(crate) after: Tally,
}

impl Tally {
    fn add(&mut self, intensity: u8) {
        self.count += 1;
        self.weight += u32::from(intensity);
    }

    /// The mean intensity; 0 without any.
    pub(crate) fn mean(self) -> f64 {
        if self.count == 0 { 0.0 } else { f64::from(self.weight) / f64::from(self.count) }
    }
}

impl Sums {
    /// The sums over nothing yet.
    pub(crate) fn new(plan: Plan) -> Self {
        let tallies = vec![Tallies::default(); plan.len()];
        Self { plan, tallies }
    }

    pub(crate) const fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Adds what was felt at a millisecond since 1970, if the plan has it.
    pub(crate) fn add(&mut self, felt_at: i64, family: Option<Family>, intensity: u8) {
        let tallies = self.plan.bucket_of(felt_at).and_then(|bucket| self.tallies.get_mut(bucket));
        let place = family.map_or(FAMILIES, Family::place);
        if let Some(tally) = tallies.and_then(|tallies| tallies.get_mut(place)) {
            tally.add(intensity);
        }
    }

    /// The buckets, in order, without gaps.
    pub(crate) fn buckets(&self) -> impl Iterator<Item = Bucketful> {
        self.plan.buckets().zip(&self.tallies).map(|((start, end), tallies)| {
            let felt = tallies.iter().enumerate().filter(|(_, tally)| tally.count > 0);
            Bucketful { start, end, families: felt.map(|(place, tally)| (name(place), *tally)).collect() }
        })
    }

    /// The strongest changes of weight, strongest first; of equal ones the newest first, then in the order of the vocabulary.
    pub(crate) fn changes(&self) -> Vec<Change> {
        let starts: Vec<i64> = self.plan.buckets().map(|(start, _)| start).collect();
        let mut changes = Vec::new();
        for (starts, tallies) in starts.windows(2).zip(self.tallies.windows(2)) {
            let ([from, to], [before, after]) = (starts, tallies) else { continue };
            for (place, (before, after)) in before.iter().zip(after).enumerate() {
                let strength = before.weight.abs_diff(after.weight);
                if strength > 0 {
                    let change = Change { family: name(place), from: *from, to: *to, before: *before, after: *after };
                    changes.push(((std::cmp::Reverse(strength), std::cmp::Reverse(*to), place), change));
                }
            }
        }
        changes.sort_unstable_by_key(|(order, _)| *order);
        changes.into_iter().take(MOST_CHANGES).map(|(_, change)| change).collect()
    }
}

fn name(place: usize) -> &'static str {
    crate::vocabulary::VOCABULARY.get(place).map_or("", |words| words.name)
}
