//! Lists the own appointments by pages. Filters apply after reading: a page may be short or empty and not be the last.

use dynamo::{Item, PageRequest, PageTokens, Query};
use kernel::{ClientId, Page, PageSize, Result, TherapistId, Timestamp};

use crate::model::Appointment;
use crate::policy::Own;
use crate::transition::Status;

/// Filter by the other member of the pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    Client(ClientId),
    Therapist(TherapistId),
}

/// Requested page and filters of a list.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) peer: Option<Peer>,
    pub(crate) status: Option<Status>,
    pub(crate) size: PageSize,
    /// Page token; empty for the first page.
    pub(crate) token: String,
}

impl Wanted {
    fn admits(&self, appointment: &Appointment, now: Timestamp) -> bool {
        let is_peer = self.peer.is_none_or(|peer| match peer {
            Peer::Client(id) => id == appointment.pair.client,
            Peer::Therapist(id) => id == appointment.pair.therapist,
        });
        is_peer && self.status.is_none_or(|status| status == appointment.status_at(now))
    }
}

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
