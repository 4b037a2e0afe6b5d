//! Lists the own appointments by pages. Filters apply after reading: a page may be short or empty and not be the last.

use dynamo::{Item, PageRequest, PageTokens, Query};
use kernel::{Page, Result, Timestamp};

use crate::model::{Appointment, Wanted};
use crate::policy::Own;

/// Returns the requested page.
///
/// # Errors
/// INVALID_ARGUMENT for a token of another list or caller; UNAVAILABLE or INTERNAL.
pub(crate) async fn page(
    tokens: &PageTokens,
    own: Own,
    query: Query,
    wanted: &Wanted,
    now: Timestamp,
) -> Result<Page<Appointment>> {
    let Wanted { peer, status, size, token } = wanted;
    // The page tokens are bound to the filters.
    let filters = format!("{peer:?} {status:?}");
    let request = PageRequest { caller: own.caller(), token, size: *size, filters: filters.as_bytes() };
    if peer.is_none() && status.is_none() {
        let Page { items, next } = tokens.page(query, request).await?;
        return Ok(Page { items: items.into_iter().map(Appointment::try_from).collect::<Result<_>>()?, next });
    }
    let shown = |item: Item| Ok(Some(Appointment::try_from(item)?).filter(|it| wanted.admits(it, now)));
    tokens.filtered(query, request, shown).await
}
