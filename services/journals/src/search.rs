//! What of a journal is asked for.

use kernel::PageSize;

use crate::model::{Content, Emotion, Intensity, Range};
use crate::policy::Read;
use crate::vocabulary::Family;

/// Which page of which entries.
#[derive(Debug)]
pub(crate) struct Search {
    pub(crate) range: Range,
    pub(crate) filter: Filter,
    pub(crate) size: PageSize,
    /// The token of the page before; empty for the first.
    pub(crate) token: String,
}

/// What is compared after entries are opened.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    pub(crate) emotion: Option<Wanted>,
    pub(crate) least: Option<Intensity>,
}

/// A word, or a family.
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

/// It is what a person wrote.
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
        self.emotion.is_none() && self.least.is_none()
    }

    pub(crate) fn admits(&self, content: &Content) -> bool {
        self.least.is_none_or(|least| content.intensity >= least)
            && self.emotion.as_ref().is_none_or(|wanted| wanted.is(&content.emotion))
    }
}

impl Search {
    /// What a page token is bound to beside its caller: whose journal, which entries, and by which grant. The token of a
    /// grant that was replaced since is good for nothing.
    pub(crate) fn binding(&self, permit: &Read) -> Vec<u8> {
        let Self { range, filter, size: _, token: _ } = self;
        let (grant, entries_from) = permit.grant().map_or(("", i64::MIN), |grant| (grant.id(), grant.entries_from()));
        let word = filter.emotion.as_ref().map_or("", |wanted| &*wanted.folded);
        let mut binding = b"journal/".to_vec();
        binding.extend(permit.client().as_bytes());
        binding.extend([range.from, range.to, entries_from].iter().flat_map(|number| number.to_be_bytes()));
        binding.push(filter.least.map_or(0, Intensity::get));
        // A grant's id has no zero byte in it, and a word may say what it likes: it comes last.
        binding.extend(grant.bytes().chain([0]).chain(word.bytes()));
        binding
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Visibility;

    #[test]
    fn a_filter_takes_a_word_in_any_case_or_a_family_by_its_name() {
        let content = |emotion: &str, intensity: i32| Content {
            emotion: emotion.parse().unwrap(),
            intensity: intensity.try_into().unwrap(),
            note: String::new().try_into().unwrap(),
            visibility: Visibility::Shared,
        };
        let filter = |word: &str, least: Option<i32>| Filter {
            emotion: (!word.is_empty()).then(|| word.parse::<Emotion>().unwrap().into()),
            least: least.map(|least| least.try_into().unwrap()),
        };
        for (word, least, emotion, intensity, expected) in [
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
            assert_eq!(
                filter(word, least).admits(&content(emotion, intensity)),
                expected,
                "{word} {least:?} {emotion}"
            );
        }
    }
}
