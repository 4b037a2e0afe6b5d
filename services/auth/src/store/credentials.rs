//! Credentials under the forms of their addresses.
//!
//! A new credential is stored under [`Email::folded`]. Earlier versions folded less, so a look-up reads all of
//! [`Email::lookup_forms`], and [`crate::rekey_addresses`] moves what is under another form.

use dynamo::{Condition, Cursor, Item, Key, Read, Transact, Verdict};
use kernel::{Email, Error, Result, UserId};

use super::{ACCOUNT, Account, Credential, Store, user_key};

const EMAIL: &str = "EMAIL#";

/// A credential and the form of the address under which it is stored.
#[derive(Clone)]
pub(crate) struct FoundCredential {
    pub(crate) form: String,
    pub(crate) credential: Credential,
}

/// Outcome of moving a credential to another form.
pub(crate) enum Moved {
    Done,
    /// It is there no more, or has changed.
    Changed,
    /// There is a credential in that form, of this account.
    Taken(UserId),
}

/// A part of the table, as a command reads it.
pub(crate) struct ScannedCredentials {
    pub(crate) found: Vec<FoundCredential>,
    pub(crate) next: Option<Cursor>,
}

/// Returns the key of the credential of an address in this form.
pub(super) fn credential_key(form: &str) -> Key {
    Key::new(format!("{EMAIL}{form}"), ACCOUNT)
}

fn form_of(item: &Item) -> Option<&str> {
    item.text("pk")?.strip_prefix(EMAIL).filter(|_| item.text("sk") == Some(ACCOUNT))
}

impl Store {
    /// Stores an account, unless its address has one in any of the forms.
    pub(crate) async fn add_account(&self, account: &Account, email: &Email, password_hash: String) -> Result<bool> {
        let credential = Credential { user_id: account.user_id, password_hash, epoch: account.epoch };
        let (folded, forms) = (email.folded(), email.lookup_forms());
        let others = forms.iter().filter(|form| **form != folded);
        let free = others.map(|form| self.0.check(&credential_key(form), Condition::absent()));
        let actions = [
            self.0.put(&user_key(account.user_id), account).when(Condition::absent()).into(),
            self.0.put(&credential_key(&folded), &credential).when(Condition::absent()).into(),
        ];
        match self.0.transact(actions.into_iter().chain(free)).await? {
            Transact::Done => Ok(true),
            Transact::Failed(verdicts) if verdicts.iter().skip(1).any(Verdict::is_condition_failed) => Ok(false),
            Transact::Failed(_) => Err(Error::internal("a new account's id is taken")),
        }
    }

    /// Returns the credentials of an address, in the order of its [`Email::lookup_forms`], by one call. There are several
    /// only if earlier versions took spellings of it for different addresses.
    ///
    /// The forms are read at one moment: a credential that is moved meanwhile is in one of them.
    pub(crate) async fn credentials(&self, email: &Email) -> Result<Vec<FoundCredential>> {
        let forms = email.lookup_forms();
        let keys: Vec<_> = forms.iter().map(|form| credential_key(form)).collect();
        let found = self.0.transact_get(&keys).await?;
        let found = forms.into_iter().zip(found).filter_map(|(form, item)| Some((form, item?)));
        found.map(|(form, item)| Ok(FoundCredential { form, credential: item.parse()? })).collect()
    }

    /// Returns the credential in this form.
    pub(crate) async fn credential_in(&self, form: &str) -> Result<Option<Credential>> {
        self.0.get(&credential_key(form), Read::Consistent).await
    }

    /// Reads the credentials in the next part of the table. It scans, which no request does: no index has them.
    pub(crate) async fn scan_credentials(&self, after: Option<Cursor>) -> Result<ScannedCredentials> {
        let rows = self.0.scan(after).await?;
        let mut found = Vec::new();
        for item in rows.items {
            if let Some(form) = form_of(&item).map(str::to_owned) {
                found.push(FoundCredential { form, credential: item.parse()? });
            }
        }
        Ok(ScannedCredentials { found, next: rows.next })
    }

    /// Moves a credential to another form, in one step, if it is unchanged and none is in that form.
    pub(crate) async fn move_credential(&self, old: &FoundCredential, form: &str) -> Result<Moved> {
        let FoundCredential { form: from, credential } = old;
        let unchanged = Condition::eq("user_id", credential.user_id).and(Condition::eq("epoch", credential.epoch));
        let moved = self.0.transact([
            self.0.put(&credential_key(form), credential).when(Condition::absent()).into(),
            self.0.delete(&credential_key(from)).when(unchanged).into(),
        ]);
        let Transact::Failed(verdicts) = moved.await? else { return Ok(Moved::Done) };
        match verdicts.into_iter().next() {
            Some(Verdict::ConditionFailed(Some(there))) => Ok(Moved::Taken(there.parse::<Credential>()?.user_id)),
            _ => Ok(Moved::Changed),
        }
    }
}
