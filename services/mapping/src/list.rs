//! Pages lists of relations. A filter runs after the read, so a page that is not the last may be short or empty.

use dynamo::{Item, PageRequest, PageTokens, Query};
use kernel::{Page, Result};

use crate::model::{Relation, Wanted};

/// A list of relations: query, filter and token binding.
pub(crate) struct List<F> {
    /// Query of all candidates.
    pub(crate) query: Query,
    /// Filter of the candidates; `None` shows all.
    pub(crate) shown: Option<F>,
    /// Binding of page tokens to this list, apart from other lists of the same caller.
    pub(crate) binding: &'static str,
    /// The bytes of the caller's id.
    pub(crate) caller: [u8; 16],
}

/// Returns one page. It is full unless the list ends, or the filter leaves out too many relations.
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
