//! Reads accounts from auth: the address of the calling person.

use chassis::Context;
use chassis::client::Upstream;
use kernel::{Email, FieldError, FieldReason, Result, Violations};
use proto::auth::v1::GetOwnAddressRequest;
use proto::auth::v1::account_service_client::AccountServiceClient;

/// Client of auth's `AccountService`. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Accounts(Upstream);

impl Accounts {
    /// A client that calls auth at this upstream.
    #[must_use]
    pub const fn new(auth: Upstream) -> Self {
        Self(auth)
    }

    /// Returns the address of the caller's account as it is right now; none when the account has ended.
    ///
    /// # Errors
    /// UNAVAILABLE, DEADLINE_EXCEEDED or INTERNAL when auth doesn't answer.
    pub async fn own_address(&self, context: &Context) -> Result<Option<Email>> {
        let get =
            |transport, request| async move { AccountServiceClient::new(transport).get_own_address(request).await };
        let email = self.0.call(context, GetOwnAddressRequest {}, get).await?.email;
        Ok(if email.is_empty() { None } else { Some(Email::from_stored(email)) })
    }
}

/// Returns the address of a profile in the spelling of the account, if the given one is the account's. Without an
/// account any address passes: the account has ended, and nothing is stored for it.
pub fn profile_address(bad: &mut Violations, given: &str, account: Option<&Email>) -> Option<Email> {
    let given: Email = bad.check("email", given.parse())?;
    match account {
        Some(account) if account.folded() == given.folded() => Some(account.clone()),
        Some(_) => {
            bad.add("email", FieldError::new(FieldReason::Mismatch, "must be the address of your account"));
            None
        }
        None => Some(given),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profile_address_must_match_account_address() {
        let account: Email = "Asha@Example.org".parse().unwrap();
        let checked = |given: &str, account: Option<&Email>| {
            let mut bad = Violations::default();
            let address = profile_address(&mut bad, given, account).map(|email| email.as_str().to_owned());
            address.ok_or_else(|| bad.into_error().message().to_owned())
        };
        assert_eq!(checked("ASHA@example.org", Some(&account)), Ok("Asha@Example.org".to_owned()));
        let refused = Err("email must be the address of your account".to_owned());
        assert_eq!(checked("ben@example.org", Some(&account)), refused);
        assert!(checked("asha", Some(&account)).is_err());
        assert_eq!(checked("ben@example.org", None), Ok("ben@example.org".to_owned()));
    }
}
