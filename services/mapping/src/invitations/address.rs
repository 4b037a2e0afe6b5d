//! Computes the keyed digests under which invitations are stored: no address is readable in the table.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dynamo::secret::Secrets;
use kernel::{Email, Result};

/// The keys of the digests, the current one first.
pub(crate) struct Addresses(Vec<hmac::Key>);

impl Addresses {
    /// # Errors
    /// INTERNAL when the cryptographic library fails.
    pub(crate) fn new(secrets: &Secrets) -> Result<Self> {
        let keys = secrets.derive_all("mapping/invitations")?;
        Ok(Self(keys.iter().map(|key| hmac::Key::new(hmac::HMAC_SHA256, key.as_slice())).collect()))
    }

    /// Returns the partition of a new invitation to this address.
    pub(crate) fn to(&self, address: &Email) -> Option<String> {
        self.0.first().map(|key| partition(key, &address.folded()))
    }

    /// Returns the partitions of the invitations to the owner of an account with this address. This is the only place
    /// that decides which addresses match.
    pub(crate) fn of_owner(&self, account: &Email) -> Vec<String> {
        let (folded, before) = (account.folded(), account.folded_before());
        // Invitations that an earlier version stored.
        let before = (before != folded).then_some(before);
        let forms = [folded].into_iter().chain(before);
        forms.flat_map(|form| self.0.iter().map(move |key| partition(key, &form))).collect()
    }
}

fn partition(key: &hmac::Key, form: &str) -> String {
    format!("INVITED#{}", URL_SAFE_NO_PAD.encode(hmac::sign(key, form.as_bytes())))
}

#[cfg(test)]
mod tests {
    use dynamo::secret::Secret;

    use super::*;

    #[test]
    fn addresses_match_in_any_case_after_secret_rotation() {
        let addresses = |secrets: &[u8]| {
            let mut secrets = secrets.iter().map(|byte| Secret::new([*byte; 32]));
            Addresses::new(&Secrets::new(secrets.next().unwrap(), secrets.collect())).unwrap()
        };
        let [asha, upper, ben] =
            ["asha@example.org", "ASHA@Example.ORG", "ben@example.org"].map(|text| text.parse::<Email>().unwrap());
        let sent = addresses(&[1]).to(&upper).unwrap();
        assert!(addresses(&[1]).of_owner(&asha).contains(&sent));
        assert!(addresses(&[2, 1]).of_owner(&asha).contains(&sent));
        assert!(!addresses(&[2]).of_owner(&asha).contains(&sent));
        assert!(!addresses(&[1]).of_owner(&ben).contains(&sent));
        assert!(!sent.contains("asha"));
    }

    #[test]
    fn addresses_match_in_any_spelling_and_as_earlier_versions_folded_them() {
        let addresses = Addresses::new(&Secrets::new(Secret::new([1; 32]), vec![])).unwrap();
        let [unicode, punycode] =
            ["asha@exämple.org", "asha@xn--exmple-cua.org"].map(|text| text.parse::<Email>().unwrap());
        assert_eq!(addresses.to(&unicode), addresses.to(&punycode));
        assert!(addresses.of_owner(&unicode).contains(&addresses.to(&punycode).unwrap()));
        let before = partition(&addresses.0[0], &unicode.folded_before());
        assert!(addresses.of_owner(&unicode).contains(&before));
        let plain: Email = "asha@example.org".parse().unwrap();
        assert_eq!(addresses.of_owner(&plain).len(), 1, "a query each");
    }
}
