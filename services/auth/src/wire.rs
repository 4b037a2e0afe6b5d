//! Converts between the messages of the proto and the types of the domain, and reports violations by field.

use kernel::{Email, Error, FieldError, FieldReason, Role, Violations};
use proto::auth::v1 as pb;

use crate::model::{EndedLoginsQuery, Registration};
use crate::ops::Tokens;
use crate::password::Password;
use crate::store::Account;
use crate::token::PublicKey;

/// Names of the roles.
const ROLES: [&str; 2] = ["CLIENT", "THERAPIST"];
/// Maximum logins in one request.
const MAX_LOGINS: usize = 200;

pub(crate) fn registration(request: pb::RegisterRequest) -> Result<Registration, Error> {
    let pb::RegisterRequest { email, password, role } = request;
    let mut bad = Violations::default();
    let email = bad.check("email", email.parse().and_then(Email::with_valid_domain));
    let password = bad.check("password", Password::chosen(&password));
    let role = bad.check("role", role_of(role));
    match (email, password, role) {
        (Some(email), Some(password), Some(role)) => Ok(Registration { email, password, role }),
        _ => Err(bad.into_error()),
    }
}

pub(crate) fn login(request: pb::LoginRequest) -> Result<(Email, Password), Error> {
    let pb::LoginRequest { email, password } = request;
    let mut bad = Violations::default();
    let email = bad.check("email", email.parse::<Email>());
    let password = bad.check("password", Password::offered(&password));
    email.zip(password).ok_or_else(|| bad.into_error())
}

pub(crate) fn refresh(request: pb::RefreshRequest) -> Result<String, Error> {
    let pb::RefreshRequest { refresh_token } = request;
    if refresh_token.is_empty() { Err(Error::invalid("refreshToken", FieldError::REQUIRED)) } else { Ok(refresh_token) }
}

pub(crate) fn change_password(request: pb::ChangePasswordRequest) -> Result<(Password, Password), Error> {
    let pb::ChangePasswordRequest { current_password, new_password } = request;
    let mut bad = Violations::default();
    let current = bad.check("currentPassword", Password::offered(&current_password));
    let new = bad.check("newPassword", Password::chosen(&new_password));
    if new.is_some() && current == new {
        bad.add("newPassword", FieldError::new(FieldReason::Unsuitable, "must differ from the current one"));
    }
    current.zip(new).filter(|_| bad.is_empty()).ok_or_else(|| bad.into_error())
}

pub(crate) fn ended_logins_query(request: pb::ListEndedLoginsRequest) -> Result<EndedLoginsQuery, Error> {
    let pb::ListEndedLoginsRequest { logins } = request;
    convert::batch::check_len("logins", logins.len(), MAX_LOGINS)?;
    let mut query = EndedLoginsQuery { logins: Vec::with_capacity(logins.len()), invalid: Vec::new() };
    for pb::Login { user_id, login_id } in logins {
        match (user_id.parse(), login_id.parse()) {
            (Ok(user), Ok(login)) => query.logins.push((user, login)),
            _ => query.invalid.push(login_id),
        }
    }
    Ok(query)
}

pub(crate) fn user(account: &Account) -> Result<pb::User, Error> {
    Ok(pb::User {
        user_id: account.user_id.to_string(),
        email: account.email.clone(),
        role: match account.role()? {
            Role::Client => pb::user::Role::Client,
            Role::Therapist => pb::user::Role::Therapist,
        }
        .into(),
        created_at: Some(convert::time::to_proto(account.created_at)),
    })
}

pub(crate) fn token_pair(tokens: &Tokens, expires_in: i32) -> Result<pb::TokenPair, Error> {
    Ok(pb::TokenPair {
        access_token: tokens.access.clone(),
        token_type: "Bearer".to_owned(),
        expires_in,
        refresh_token: tokens.refresh.clone(),
        user: Some(user(&tokens.account)?),
    })
}

pub(crate) fn jwk(key: PublicKey) -> pb::Jwk {
    let PublicKey { kid, x } = key;
    let [kty, crv, r#use, alg] = ["OKP", "Ed25519", "sig", "EdDSA"].map(str::to_owned);
    pb::Jwk { kty, crv, x, kid, r#use, alg }
}

fn role_of(role: i32) -> Result<Role, FieldError> {
    match pb::user::Role::try_from(role) {
        Ok(pb::user::Role::Client) => Ok(Role::Client),
        Ok(pb::user::Role::Therapist) => Ok(Role::Therapist),
        Ok(pb::user::Role::Unspecified) => Err(FieldError::missing_one_of(&ROLES)),
        Err(_) => Err(FieldError::not_one_of(&ROLES)),
    }
}
