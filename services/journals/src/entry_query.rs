//! Query of a list of entries: range, filter and page.

use kernel::PageSize;

use crate::model::{Content, Emotion, Intensity, Range};
use crate::policy::Read;
use crate::vocabulary::Family;

/// Parameters of a list of entries.
#[derive(Debug)]
pub(crate) struct EntryQuery {
    pub(crate) range: Range,
    pub(crate) filter: Filter,
    pub(crate) size: PageSize,
    /// Page token of the previous page; empty for the first page.
    pub(crate) token: String,
}

/// Filter that is applied after entries are opened.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    pub(crate) emotion: Option<Wanted>,
    pub(crate) min_intensity: Option<Intensity>,
}

/// Requested emotion: a word, or the name of a family.
pub(crate) struct Wanted {
    folded: String,
    family: Option<Family>,
}

impl From<Emotion> for Wanted {
    fn from(emotion: Emotion) -> Self {
        let folded = emotion.folded();
        Self { family: Family::named(&folded), folded }
    }
}

/// Hides the word, which a person wrote.
impl std::fmt::Debug for Wanted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Wanted(…)")
    }
}

impl Wanted {
    fn is(&self, emotion: &Emotion) -> bool {
        (self.family.is_some() && Family::of(emotion) == self.family) || emotion.folded() == self.folded
    }
}

impl Filter {
    pub(crate) const fn is_none(&self) -> bool {
        self.emotion.is_none() && self.min_intensity.is_none()
    }

    pub(crate) fn admits(&self, content: &Content) -> bool {
        self.min_intensity.is_none_or(|min| content.intensity >= min)
            && self.emotion.as_ref().is_none_or(|wanted| wanted.is(&content.emotion))
    }
}

impl EntryQuery {
    /// Returns the binding of page tokens besides the caller: the journal, the range, the filter and the grant. A token
    /// of a replaced grant is invalid.
    pub(crate) fn binding(&self, permit: &Read) -> Vec<u8> {
        let Self { range, filter, size: _, token: _ } = self;
        let (grant, entries_from) = permit.grant().map_or(("", i64::MIN), |grant| (grant.id(), grant.entries_from()));
        let word = filter.emotion.as_ref().map_or("", |wanted| &*wanted.folded);
        let mut binding = b"journal/".to_vec();
        binding.extend(permit.client().as_bytes());
        binding.extend([range.from, range.to, entries_from].iter().flat_map(|number| number.to_be_bytes()));
        binding.push(filter.min_intensity.map_or(0, Intensity::get));
        // A grant's id contains no zero byte, so the zero byte separates it from the word, which may contain anything.
        binding.extend(grant.bytes().chain([0]).chain(word.bytes()));
        binding
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Visibility;

    #[test]
    fn filter_matches_word_in_any_case_or_family_name() {
        let content = |emotion: &str, intensity: i32| Content {
            emotion: emotion.parse().unwrap(),
            intensity: intensity.try_into().unwrap(),
            note: String::new().try_into().unwrap(),
            visibility: Visibility::Shared,
        };
        let filter = |word: &str, min: Option<i32>| Filter {
            emotion: (!word.is_empty()).then(|| word.parse::<Emotion>().unwrap().into()),
            min_intensity: min.map(|min| min.try_into().unwrap()),
        };
        for (word, min, emotion, intensity, expected) in [
            ("", None, "saudade", 1, true),
            ("SAUDADE", None, "saudade", 1, true),
            ("saudade", None, "Saudade", 1, true),
            ("anger", None, "Furious", 1, true),
            ("Anger", None, "anger", 1, true),
            ("furious", None, "livid", 1, false),
            ("anger", None, "saudade", 1, false),
            ("", Some(3), "saudade", 2, false),
            ("", Some(3), "saudade", 3, true),
            ("anger", Some(5), "furious", 4, false),
        ] {
            assert_eq!(filter(word, min).admits(&content(emotion, intensity)), expected, "{word} {min:?} {emotion}");
        }
    }
}
