//! Pages of relations. A filter runs over what was read, so a page may be short, or empty, and not be the last.

use dynamo::{Item, PageRequest, PageTokens, Query};
use kernel::{Page, PageSize, Result};

use crate::model::Relation;

/// Which relations, in which order, for whom.
pub(crate) struct List<F> {
    /// All that are considered.
    pub(crate) query: Query,
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
    let List { query, shown, binding, caller } = list;
    let Wanted { size, token } = wanted;
    let request = PageRequest { caller: &caller, token, size, filters: binding.as_bytes() };
    let Some(shown) = shown else {
        let Page { items, next } = tokens.page(query, request).await?;
        let items = items.into_iter().map(Relation::try_from).collect::<Result<_>>()?;
        return Ok(Page { items, next });
    };
    let show = |item: Item| Ok(Some(Relation::try_from(item)?).filter(|relation| shown(relation)));
    tokens.filtered(query, request, show).await
}
