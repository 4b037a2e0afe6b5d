//! Rules of one journal: its entries and their visibility.

use std::collections::BTreeMap;

use crate::model::Ms;
use crate::model::relation::Grant;

/// An entry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) id: String,
    pub(crate) felt_at: Ms,
    pub(crate) emotion: String,
    pub(crate) intensity: i64,
    pub(crate) note: String,
    pub(crate) private: bool,
    pub(crate) created_at: Ms,
    pub(crate) updated_at: Ms,
    /// Time at which it was last made SHARED; meaningless while it is private.
    pub(crate) shared_since: Ms,
    /// Present etag, as the mesh returned it.
    pub(crate) etag: String,
}

/// Filter of a list.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    pub(crate) from: Option<Ms>,
    pub(crate) to: Option<Ms>,
    pub(crate) emotion: Option<String>,
    pub(crate) min_intensity: Option<i64>,
}

/// Words and their families.
pub(crate) struct Words {
    /// The families, in the order of the vocabulary.
    pub(crate) families: Vec<String>,
    /// The family of each word, by the word in lower case.
    pub(crate) family: BTreeMap<String, String>,
}

/// A reader: the client (`None`), or a therapist with a grant.
pub(crate) type Reader<'a> = Option<&'a Grant>;

impl Words {
    pub(crate) fn family_of(&self, emotion: &str) -> &str {
        self.family.get(&emotion.to_lowercase()).map_or("", |family| family)
    }
}

impl Filter {
    pub(crate) fn takes(&self, entry: &Entry, words: &Words) -> bool {
        let named = |wanted: &String| {
            let wanted = wanted.to_lowercase();
            entry.emotion.to_lowercase() == wanted || words.family_of(&entry.emotion) == wanted
        };
        self.from.is_none_or(|from| entry.felt_at >= from)
            && self.to.is_none_or(|to| entry.felt_at < to)
            && self.emotion.as_ref().is_none_or(named)
            && self.min_intensity.is_none_or(|least| entry.intensity >= least)
    }

    /// Returns true if pages may be short: encrypted fields are filtered after the read.
    pub(crate) const fn looks_inside(&self) -> bool {
        self.emotion.is_some() || self.min_intensity.is_some()
    }
}

/// Returns true if a reader may see an entry.
pub(crate) fn shows(entry: &Entry, reader: Reader<'_>) -> bool {
    reader.is_none_or(|grant| !entry.private && grant.entries_from.is_none_or(|from| entry.felt_at >= from))
}

/// Returns the entries that a reader sees, newest first.
pub(crate) fn visible<'a>(journal: &'a [Entry], reader: Reader<'_>, filter: &Filter, words: &Words) -> Vec<&'a Entry> {
    let mut seen: Vec<_> = journal.iter().filter(|it| shows(it, reader) && filter.takes(it, words)).collect();
    seen.sort_by(|one, other| other.id.cmp(&one.id));
    seen
}

/// Returns the number of entries of each family and the sum of their intensities, in the order of the vocabulary, with
/// the client's own words last and without empty families.
pub(crate) fn sums(entries: &[&Entry], words: &Words) -> Vec<(String, i64, i64)> {
    let families = words.families.iter().map(String::as_str).chain([""]);
    let sum = |family: &str| {
        let of: Vec<_> = entries.iter().filter(|entry| words.family_of(&entry.emotion) == family).collect();
        let weight = of.iter().map(|entry| entry.intensity).sum();
        (family.to_owned(), i64::try_from(of.len()).unwrap(), weight)
    };
    families.map(sum).filter(|(_, count, _)| *count > 0).collect()
}

/// Returns the millisecond in an entry's id (a ULID: the first ten digits in Crockford's base 32).
pub(crate) fn time_of(id: &str) -> Ms {
    const DIGITS: &str = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let digit = |char| i64::try_from(DIGITS.find(char).expect("a digit of base 32")).unwrap();
    id[..10].chars().fold(0, |sum, char| sum * 32 + digit(char))
}
