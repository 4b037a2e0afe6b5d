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
        self.0.first().map(|key| partition(key, address))
    }

    /// Returns the partitions of the invitations to the owner of an account with this address. This is the only place
    /// that decides which addresses match.
    pub(crate) fn of_owner(&self, account: &Email) -> Vec<String> {
        self.0.iter().map(|key| partition(key, account)).collect()
    }
}

fn partition(key: &hmac::Key, address: &Email) -> String {
    format!("INVITED#{}", URL_SAFE_NO_PAD.encode(hmac::sign(key, address.folded().as_bytes())))
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
}
