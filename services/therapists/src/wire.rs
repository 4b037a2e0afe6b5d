//! Converts between the messages of the proto and the types of the domain; every field by its name.

use kernel::{Email, Error, FieldError, FieldReason, Page, Pincode, TherapistId, Violations};
use proto::therapists::v1 as pb;

use crate::model::{Filter, ListQuery, Profile, Therapist};
use crate::text::{Specialty, fold_prefix};

/// Maximum number of names in one request.
const MAX_NAMES: usize = 200;

pub(crate) fn list(request: pb::ListTherapistsRequest) -> Result<ListQuery, Error> {
    let pb::ListTherapistsRequest { specialty, expertise, pincode, name, page_size, page_token } = request;
    let mut bad = Violations::default();
    let name_prefix = bad.check("name", fold_prefix(&name)).unwrap_or_default();
    let mut filter = Filter { name_prefix, ..Filter::default() };
    for (field, text) in [("specialty", &specialty), ("expertise", &expertise)] {
        if text.is_empty() {
            continue;
        }
        let folded = bad.check(field, text.parse::<Specialty>()).map(|specialty| specialty.folded());
        if filter.specialty.is_some() && filter.specialty != folded {
            bad.add(
                "expertise",
                FieldError::new(FieldReason::NotAllowed, "means the same as specialty: send one of them"),
            );
        }
        filter.specialty = folded;
    }
    if !pincode.is_empty() {
        filter.pincode = bad.check("pincode", pincode.parse::<Pincode>()).map(|pincode| pincode.folded());
    }
    let size = bad.check("pageSize", convert::page::size_from_proto(page_size));
    match size {
        Some(size) if bad.is_empty() => Ok(ListQuery { filter, size, token: page_token }),
        _ => Err(bad.into_error()),
    }
}

/// Parses the ids of the requested names.
pub(crate) fn name_ids(request: pb::BatchGetTherapistNamesRequest) -> Result<Vec<TherapistId>, Error> {
    let pb::BatchGetTherapistNamesRequest { therapist_ids } = request;
    convert::batch::from_proto("therapistIds", &therapist_ids, MAX_NAMES)
}

pub(crate) fn names(therapists: Vec<Therapist>) -> pb::BatchGetTherapistNamesResponse {
    let name = |Therapist { id, profile, version: _ }| pb::TherapistName {
        therapist_id: id.to_string(),
        name: profile.name.as_str().to_owned(),
        specialty: profile.specialty.as_str().to_owned(),
    };
    pb::BatchGetTherapistNamesResponse { names: therapists.into_iter().map(name).collect() }
}

/// Parses a whole profile but for its etag. An id in it must be `id`, and its address that of the account.
pub(crate) fn profile(therapist: pb::Therapist, id: TherapistId, account: Option<&Email>) -> Result<Profile, Error> {
    let pb::Therapist { therapist_id, name, email, specialty, pincode, etag: _ } = therapist;
    let mut bad = Violations::default();
    if !therapist_id.is_empty() && therapist_id.parse() != Ok(id) {
        bad.add("therapistId", FieldError::new(FieldReason::Mismatch, "must be your own id, or be left out"));
    }
    let name = bad.check("name", name.parse());
    let email = peers::profile_address(&mut bad, &email, account);
    let specialty = bad.check("specialty", specialty.parse());
    let pincode = bad.check("pincode", pincode.parse());
    match (name, email, specialty, pincode) {
        (Some(name), Some(email), Some(specialty), Some(pincode)) if bad.is_empty() => {
            Ok(Profile { name, email, specialty, pincode })
        }
        _ => Err(bad.into_error()),
    }
}

pub(crate) fn therapist(therapist: Therapist) -> pb::Therapist {
    let Therapist { id, profile: Profile { name, email, specialty, pincode }, version } = therapist;
    pb::Therapist {
        therapist_id: id.to_string(),
        name: name.as_str().to_owned(),
        email: email.as_str().to_owned(),
        specialty: specialty.as_str().to_owned(),
        pincode: pincode.as_str().to_owned(),
        etag: version.to_string(),
    }
}

pub(crate) fn therapists(page: Page<Therapist>) -> pb::ListTherapistsResponse {
    let (therapists, next_page_token) = convert::page::to_proto(page.map(therapist));
    pb::ListTherapistsResponse { therapists, next_page_token }
}
