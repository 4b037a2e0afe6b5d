//! Between the messages of the proto and the types of the domain; every field by its name.

use kernel::{ClientId, Email, Error, Page, PageSize, Version, Violations};
use proto::clients::v1 as pb;

use crate::model::{Client, Listed, Profile};

/// How many names are asked for at once at most.
const MOST_NAMES: usize = 200;

const NO_TOKEN_OF_THIS_LIST: &str = "is not a token of this list; leave it out to start from the first page";

/// Which list a request asks for.
pub(crate) struct List {
    pub(crate) email: Option<Email>,
    pub(crate) size: PageSize,
    pub(crate) token: String,
}

/// A list that is `whole` fits one page: no token was ever given out for it.
pub(crate) fn list(request: pb::ListClientsRequest, whole: bool) -> Result<List, Error> {
    let pb::ListClientsRequest { email, page_size, page_token: token } = request;
    let mut bad = Violations::default();
    let email = if email.is_empty() { None } else { bad.check("email", email.parse::<Email>()) };
    let size = bad.check("pageSize", PageSize::from_request(page_size).ok_or("must not be negative"));
    if whole && !token.is_empty() {
        bad.add("pageToken", NO_TOKEN_OF_THIS_LIST);
    }
    match size {
        Some(size) if bad.is_empty() => Ok(List { email, size, token }),
        _ => Err(bad.into_error()),
    }
}

/// The answer to a page token that mapping doesn't know.
pub(crate) fn bad_page_token() -> Error {
    Error::invalid("pageToken", NO_TOKEN_OF_THIS_LIST)
}

/// The clients whose names are asked for. An id that is none names nobody.
pub(crate) fn wanted(request: pb::BatchGetClientNamesRequest) -> Result<Vec<ClientId>, Error> {
    let pb::BatchGetClientNamesRequest { client_ids } = request;
    if client_ids.len() > MOST_NAMES {
        return Err(Error::invalid("clientIds", "must be 200 at most"));
    }
    Ok(client_ids.iter().filter_map(|id| id.parse().ok()).collect())
}

pub(crate) fn names(clients: Vec<Client>) -> pb::BatchGetClientNamesResponse {
    let name = |client: Client| pb::ClientName {
        client_id: client.id.to_string(),
        name: client.profile.name.as_str().to_owned(),
    };
    pb::BatchGetClientNamesResponse { names: clients.into_iter().map(name).collect() }
}

/// A whole profile. An id in it must be `id`, and its address that of the account; an etag means nothing to a profile that
/// is not there yet.
pub(crate) fn profile(client: pb::Client, id: &str, account: Option<&Email>) -> Result<Profile, Error> {
    let pb::Client { client_id, name, email, pincode, etag: _ } = client;
    let mut bad = Violations::default();
    if !client_id.is_empty() && client_id != id {
        bad.add("clientId", "must be your own id, or be left out");
    }
    let name = bad.check("name", name.parse());
    let email = accounts::profile_address(&mut bad, &email, account);
    let pincode = bad.check("pincode", pincode.parse());
    match (name, email, pincode) {
        (Some(name), Some(email), Some(pincode)) if bad.is_empty() => Ok(Profile { name, email, pincode }),
        _ => Err(bad.into_error()),
    }
}

/// A whole profile, and the version that it shall replace.
pub(crate) fn replacement(
    client: pb::Client,
    id: &str,
    account: Option<&Email>,
) -> Result<(Profile, Option<Version>), Error> {
    let etag = client.etag.clone();
    Ok((profile(client, id, account)?, Version::expected(&etag)?))
}

pub(crate) fn client(client: Client) -> pb::Client {
    let Client { id, profile: Profile { name, email, pincode }, version } = client;
    pb::Client {
        client_id: id.to_string(),
        name: name.as_str().to_owned(),
        email: email.as_str().to_owned(),
        pincode: pincode.as_str().to_owned(),
        etag: version.to_string(),
    }
}

pub(crate) fn clients(page: Page<Listed>) -> pb::ListClientsResponse {
    let show = |listed| match listed {
        Listed::Whole(it) => client(it),
        Listed::Named(id, name) => {
            pb::Client { client_id: id.to_string(), name: name.as_str().to_owned(), ..pb::Client::default() }
        }
    };
    let Page { items, next } = page.map(show);
    pb::ListClientsResponse { clients: items, next_page_token: next.unwrap_or_default() }
}
