//! Sums emotions over time: count and intensity of each family in each day, week or month. Pure.

mod plan;
#[cfg(test)]
mod tests;

use crate::vocabulary::{FAMILIES, Family};

pub(crate) use plan::{Bucket, MAX_BUCKETS, Plan};

/// Maximum changes in the answer.
const MAX_CHANGES: usize = 5;

/// Sums of one family in one bucket.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) count: u32,
    /// The sum of the intensities.
    pub(crate) weight: u32,
}

/// Sums of every family in one bucket, in the order of the vocabulary; words of the client's own last.
type Tallies = [Tally; FAMILIES + 1];

/// The sums of a plan.
#[derive(Debug)]
pub(crate) struct Sums {
    plan: Plan,
    tallies: Vec<Tallies>,
}

/// One bucket with its sums.
#[derive(Debug)]
pub(crate) struct Bucketful {
    /// First millisecond since 1970.
    pub(crate) start: i64,
    /// First millisecond after the bucket.
    pub(crate) end: i64,
    /// Families with at least one entry.
    pub(crate) families: Vec<(&'static str, Tally)>,
}

/// Change of a family from one bucket to the next.
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

    /// Returns the mean intensity; 0 without entries.
    pub(crate) fn mean(self) -> f64 {
        if self.count == 0 { 0.0 } else { f64::from(self.weight) / f64::from(self.count) }
    }
}

impl Sums {
    /// Creates the sums of a plan, with no entries.
    pub(crate) fn new(plan: Plan) -> Self {
        let tallies = vec![Tallies::default(); plan.len()];
        Self { plan, tallies }
    }

    pub(crate) const fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Adds an emotion felt at a millisecond since 1970, if it is within the plan.
    pub(crate) fn add(&mut self, felt_at: i64, family: Option<Family>, intensity: u8) {
        let tallies = self.plan.bucket_of(felt_at).and_then(|bucket| self.tallies.get_mut(bucket));
        let index = family.map_or(FAMILIES, Family::index);
        if let Some(tally) = tallies.and_then(|tallies| tallies.get_mut(index)) {
            tally.add(intensity);
        }
    }

    /// Returns the buckets in order, without gaps.
    pub(crate) fn buckets(&self) -> impl Iterator<Item = Bucketful> {
        self.plan.buckets().zip(&self.tallies).map(|((start, end), tallies)| {
            let felt = tallies.iter().enumerate().filter(|(_, tally)| tally.count > 0);
            Bucketful { start, end, families: felt.map(|(index, tally)| (name(index), *tally)).collect() }
        })
    }

    /// Returns the strongest changes of weight, strongest first; equal ones newest first, then in the vocabulary's
    /// order.
    pub(crate) fn changes(&self) -> Vec<Change> {
        let starts: Vec<i64> = self.plan.buckets().map(|(start, _)| start).collect();
        let mut changes = Vec::new();
        for (starts, tallies) in starts.windows(2).zip(self.tallies.windows(2)) {
            let ([from, to], [before, after]) = (starts, tallies) else { continue };
            for (index, (before, after)) in before.iter().zip(after).enumerate() {
                let strength = before.weight.abs_diff(after.weight);
                if strength > 0 {
                    let change = Change { family: name(index), from: *from, to: *to, before: *before, after: *after };
                    changes.push(((std::cmp::Reverse(strength), std::cmp::Reverse(*to), index), change));
                }
            }
        }
        changes.sort_unstable_by_key(|(order, _)| *order);
        changes.into_iter().take(MAX_CHANGES).map(|(_, change)| change).collect()
    }
}

fn name(index: usize) -> &'static str {
    crate::vocabulary::VOCABULARY.get(index).map_or("", |words| words.name)
}
