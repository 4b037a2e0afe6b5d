//! Pages of the own appointments. A filter runs over what was read: a page may be short, or empty, and not be the last.

use dynamo::{PageRequest, PageTokens, Query};
use kernel::{ClientId, Page, PageSize, Result, TherapistId, Timestamp};

use crate::model::Appointment;
use crate::policy::Own;
use crate::transition::Status;

/// How many appointments are looked at for one page at most, and how often the table is asked.
const CONSIDERED: usize = 500;
const QUERIES: usize = 10;

/// The other one of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    Client(ClientId),
    Therapist(TherapistId),
}

/// Which page of which appointments.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) peer: Option<Peer>,
    pub(crate) status: Option<Status>,
    pub(crate) size: PageSize,
    /// Empty for the first.
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

    /// What tells the list from others of the same caller: tokens are bound to it.
    fn filters(&self) -> String {
        format!("{:?} {:?}", self.peer, self.status)
    }
}

/// One page: as many as asked for, unless the list ends or too many that are not shown lie between. Never more is read
/// than the page still lacks, so that it ends where reading does.
///
/// # Errors
/// INVALID_ARGUMENT for a token that is not of this list and caller; UNAVAILABLE or INTERNAL.
pub(crate) async fn page(
    tokens: &PageTokens,
    own: Own,
    query: Query,
    wanted: &Wanted,
    now: Timestamp,
) -> Result<Page<Appointment>> {
    let filters = wanted.filters();
    let most = usize::from(wanted.size.get());
    let (mut items, mut considered) = (Vec::new(), 0);
    let mut next = Some(wanted.token.clone());
    for _ in 0..QUERIES {
        let lacking = i32::try_from(most - items.len()).ok().filter(|lacking| *lacking > 0 && considered < CONSIDERED);
        let (Some(size), Some(token)) = (lacking.and_then(PageSize::from_request), &next) else { break };
        let request = PageRequest { caller: own.caller(), token, size, filters: filters.as_bytes() };
        let rows = tokens.page(query.clone(), request).await?;
        considered += rows.items.len();
        for item in rows.items {
            let appointment = Appointment::try_from(item)?;
            if wanted.admits(&appointment, now) {
                items.push(appointment);
            }
        }
        next = rows.next;
    }
    Ok(Page { items, next })
}
