//! Converts between the messages of the proto and the types of the domain; every field by its name.

use kernel::{ClientId, Email, Error, FieldError, FieldReason, Page, Violations};
use proto::clients::v1 as pb;

use crate::error::INVALID_PAGE_TOKEN;
use crate::model::{Client, ListQuery, Listed, Profile};

/// Maximum number of names in one request.
const MAX_NAMES: usize = 200;

/// Parses a list request. A `whole` list fits one page, and never issues a page token.
pub(crate) fn list(request: pb::ListClientsRequest, whole: bool) -> Result<ListQuery, Error> {
    let pb::ListClientsRequest { email, page_size, page_token: token } = request;
    let mut bad = Violations::default();
    let email = if email.is_empty() { None } else { bad.check("email", email.parse::<Email>()) };
    let size = bad.check("pageSize", convert::page::size_from_proto(page_size));
    if whole && !token.is_empty() {
        bad.add("pageToken", INVALID_PAGE_TOKEN);
    }
    match size {
        Some(size) if bad.is_empty() => Ok(ListQuery { email, size, token }),
        _ => Err(bad.into_error()),
    }
}

/// Parses the ids of the requested names.
pub(crate) fn name_ids(request: pb::BatchGetClientNamesRequest) -> Result<Vec<ClientId>, Error> {
    let pb::BatchGetClientNamesRequest { client_ids } = request;
    convert::batch::from_proto("clientIds", &client_ids, MAX_NAMES)
}

pub(crate) fn names(clients: Vec<Client>) -> pb::BatchGetClientNamesResponse {
    let name = |client: Client| pb::ClientName {
        client_id: client.id.to_string(),
        name: client.profile.name.as_str().to_owned(),
    };
    pb::BatchGetClientNamesResponse { names: clients.into_iter().map(name).collect() }
}

/// Parses a whole profile but for its etag. An id in it must be `id`, and its address that of the account.
pub(crate) fn profile(client: pb::Client, id: ClientId, account: Option<&Email>) -> Result<Profile, Error> {
    let pb::Client { client_id, name, email, pincode, etag: _ } = client;
    let mut bad = Violations::default();
    if !client_id.is_empty() && client_id.parse() != Ok(id) {
        bad.add("clientId", FieldError::new(FieldReason::Mismatch, "must be your own id, or be left out"));
    }
    let name = bad.check("name", name.parse());
    let email = peers::profile_address(&mut bad, &email, account);
    let pincode = bad.check("pincode", pincode.parse());
    match (name, email, pincode) {
        (Some(name), Some(email), Some(pincode)) if bad.is_empty() => Ok(Profile { name, email, pincode }),
        _ => Err(bad.into_error()),
    }
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
    let (clients, next_page_token) = convert::page::to_proto(page.map(show));
    pb::ListClientsResponse { clients, next_page_token }
}
