//! Converts between the messages of the proto and the types of the domain; every field by its name.

use kernel::{ClientId, Error, FieldError, FieldReason, Page, PageSize, Violations};
use proto::audit::v1 as pb;
use proto::audit::v1::access::Action as PbAction;

use crate::groups::Group;
use crate::model::{Access, Action};
use crate::ops::Shown;

/// Maximum length of the id of an entry or a grant in bytes.
const MAX_ID_LEN: usize = 64;
/// Maximum number of accesses in one request.
const MAX_ACCESSES: usize = 100;

/// Parses the page size of a request.
pub(crate) fn page_size(asked: i32) -> Result<PageSize, Error> {
    convert::page::size_from_proto(asked).map_err(|wrong| Error::invalid("pageSize", wrong))
}

/// Parses a batch of accesses to record, each with the client whose journal it concerns.
pub(crate) fn accesses_to_record(request: pb::BatchRecordAccessesRequest) -> Result<Vec<(ClientId, Access)>, Error> {
    let pb::BatchRecordAccessesRequest { accesses } = request;
    convert::batch::check_len("accesses", accesses.len(), MAX_ACCESSES)?;
    accesses.into_iter().map(access).collect()
}

/// Parses an access to record, and the client whose journal it concerns.
pub(crate) fn access(request: pb::RecordAccessRequest) -> Result<(ClientId, Access), Error> {
    let pb::RecordAccessRequest { client_id, action, entry_count, entry_id, grant_id } = request;
    let mut bad = Violations::default();
    let client = bad.check("clientId", client_id.parse::<ClientId>());
    let action = bad.check(
        "action",
        self::action(action).ok_or(FieldError::new(FieldReason::UnknownValue, "must be one of the actions")),
    );
    let entry_count = bad.check("entryCount", u32::try_from(entry_count).map_err(|_| FieldError::NEGATIVE));
    for (field, id) in [("entryId", &entry_id), ("grantId", &grant_id)] {
        if id.len() > MAX_ID_LEN {
            bad.add(field, FieldError::new(FieldReason::TooLong, "is too long for an id"));
        }
    }
    match (client, action, entry_count) {
        (Some(client), Some(action), Some(entry_count)) if bad.is_empty() => {
            Ok((client, Access { action, entry_count, entry_id, grant_id }))
        }
        _ => Err(bad.into_error()),
    }
}

fn action(action: i32) -> Option<Action> {
    match PbAction::try_from(action).ok()? {
        PbAction::Unspecified => None,
        PbAction::List => Some(Action::List),
        PbAction::Entry => Some(Action::Entry),
        PbAction::Insight => Some(Action::Insight),
        PbAction::Search => Some(Action::Search),
        PbAction::Export => Some(Action::Export),
    }
}

fn shown(shown: Shown) -> pb::Access {
    let Shown { group: Group { latest, first_time, count, .. }, therapist_name } = shown;
    let facts = latest.facts;
    let (therapist_id, entry_id, grant_id) = latest.personal.map_or_else(Default::default, |personal| {
        (personal.therapist.to_string(), personal.entry_id, personal.grant_id)
    });
    let action = match facts.action {
        Action::List => PbAction::List,
        Action::Entry => PbAction::Entry,
        Action::Insight => PbAction::Insight,
        Action::Search => PbAction::Search,
        Action::Export => PbAction::Export,
    };
    pb::Access {
        access_id: facts.id.to_string(),
        therapist_id,
        therapist_name,
        action: action.into(),
        entry_count: convert::count::to_proto(facts.entry_count),
        entry_id,
        grant_id,
        time: Some(convert::time::to_proto(facts.time)),
        count: convert::count::to_proto(count),
        first_time: Some(convert::time::to_proto(first_time)),
    }
}

pub(crate) fn accesses(page: Page<Shown>) -> pb::ListAccessesResponse {
    let (accesses, next_page_token) = convert::page::to_proto(page.map(shown));
    pb::ListAccessesResponse { accesses, next_page_token }
}
