//! Pages of relations. A filter runs over what was read, so a page's token says where reading ended, not where showing
//! did: a page may be short, or empty, and not be the last.

use dynamo::{Cursor, PageTokens, Query};
use kernel::{Page, PageSize, Result};

use crate::model::{Pair, Relation};

/// How many relations are read for one page at most.
const CONSIDERED: usize = 500;

/// Which relations, in which order, for whom.
pub(crate) struct List<F> {
    /// All that are considered.
    pub(crate) query: Query,
    /// The place after one of them.
    pub(crate) place: fn(Pair) -> Cursor,
    /// Which of them are shown; nothing where all are.
    pub(crate) shown: Option<F>,
    /// What tells the list from others of the same caller: tokens are bound to it.
    pub(crate) binding: &'static str,
    /// The bytes of the caller's id.
    pub(crate) caller: [u8; 16],
}

/// Which page of a list.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) size: PageSize,
    /// Empty for the first.
    pub(crate) token: &'a str,
}

/// One page: as many as asked for, unless the list ends or too many that are not shown lie between.
///
/// # Errors
/// INVALID_ARGUMENT for a token that is not of this list and caller; UNAVAILABLE or INTERNAL.
pub(crate) async fn page<F>(tokens: &PageTokens, list: List<F>, wanted: Wanted<'_>) -> Result<Page<Relation>>
where
    F: Fn(&Relation) -> bool,
{
    let List { query, place, shown, binding, caller } = list;
    let size = usize::from(wanted.size.get());
    let mut after = match wanted.token {
        "" => None,
        token => Some(tokens.open(&caller, binding.as_bytes(), token)?),
    };
    let (mut items, mut considered) = (Vec::new(), 0);
    loop {
        let limit = if shown.is_some() { CONSIDERED - considered } else { size - items.len() };
        let query = query.clone().limit(u16::try_from(limit).unwrap_or(u16::MAX));
        let rows = if let Some(after) = after { query.after(after) } else { query }.page().await?;
        after = rows.next.clone();
        let mut read = rows.parse::<Relation>()?.into_iter();
        while items.len() < size
            && let Some(relation) = read.next()
        {
            considered += 1;
            let pair = relation.pair();
            if shown.as_ref().is_none_or(|shown| shown(&relation)) {
                items.push(relation);
            }
            if items.len() == size && !read.as_slice().is_empty() {
                after = Some(place(pair));
            }
        }
        if after.is_none() || items.len() >= size || considered >= CONSIDERED {
            break;
        }
    }
    let next = after.map(|place| tokens.seal(&caller, binding.as_bytes(), &place)).transpose()?;
    Ok(Page { items, next })
}
