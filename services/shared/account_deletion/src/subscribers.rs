//! Subscribers of account deletions, their order and their addresses.

use chassis::client::Upstream;
use kernel::BoxError;
use outbox::Subscriber;
use proto::registry::{APPOINTMENTS, AUTH, JOURNALS, MAPPING, MESSAGES, SEARCH, SESSIONS, VAULT};

/// The subscribed services by name, in stages: logins end first, and services that cache keys are notified after vault
/// has destroyed them.
const STAGES: [&[&str]; 3] = [
    &[AUTH.name],
    &[MAPPING.name, VAULT.name],
    &[JOURNALS.name, MESSAGES.name, APPOINTMENTS.name, SESSIONS.name, SEARCH.name],
];

/// All subscribed services, in the order of the stages.
pub const SUBSCRIBERS: [&str; 8] =
    [AUTH.name, MAPPING.name, VAULT.name, JOURNALS.name, MESSAGES.name, APPOINTMENTS.name, SESSIONS.name, SEARCH.name];

/// Addresses of the subscribers. auth's address is known to every process.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub struct Addresses {
    /// Address of mapping.
    #[arg(long, env = "MESH_MAPPING_ADDRESS", default_value = MAPPING.address)]
    pub mapping_address: String,

    /// Address of vault.
    #[arg(long, env = "MESH_VAULT_ADDRESS", default_value = VAULT.address)]
    pub vault_address: String,

    /// Address of journals.
    #[arg(long, env = "MESH_JOURNALS_ADDRESS", default_value = JOURNALS.address)]
    pub journals_address: String,

    /// Address of messages.
    #[arg(long, env = "MESH_MESSAGES_ADDRESS", default_value = MESSAGES.address)]
    pub messages_address: String,

    /// Address of appointments.
    #[arg(long, env = "MESH_APPOINTMENTS_ADDRESS", default_value = APPOINTMENTS.address)]
    pub appointments_address: String,

    /// Address of sessions.
    #[arg(long, env = "MESH_SESSIONS_ADDRESS", default_value = SESSIONS.address)]
    pub sessions_address: String,

    /// Address of search.
    #[arg(long, env = "MESH_SEARCH_ADDRESS", default_value = SEARCH.address)]
    pub search_address: String,
}

impl Addresses {
    /// Returns each of [`SUBSCRIBERS`] with the upstream that `upstream` makes of its address.
    ///
    /// # Errors
    /// Those of `upstream`, for an invalid address.
    pub fn subscribers(
        &self,
        auth: Upstream,
        upstream: impl Fn(&str) -> Result<Upstream, BoxError>,
    ) -> Result<Vec<Subscriber>, BoxError> {
        let others = [
            (MAPPING.name, &self.mapping_address),
            (VAULT.name, &self.vault_address),
            (JOURNALS.name, &self.journals_address),
            (MESSAGES.name, &self.messages_address),
            (APPOINTMENTS.name, &self.appointments_address),
            (SESSIONS.name, &self.sessions_address),
            (SEARCH.name, &self.search_address),
        ];
        let others = others.into_iter().map(|(name, address)| Ok(Subscriber { name, upstream: upstream(address)? }));
        std::iter::once(Ok(Subscriber { name: AUTH.name, upstream: auth })).chain(others).collect()
    }
}

/// Groups subscribers by stage; one that is in no stage joins the last.
pub(crate) fn in_stages(subscribers: Vec<Subscriber>) -> Vec<Vec<Subscriber>> {
    let mut stages = vec![Vec::new(); STAGES.len()];
    for subscriber in subscribers {
        let stage = STAGES.iter().position(|names| names.contains(&subscriber.name)).unwrap_or(STAGES.len() - 1);
        stages[stage].push(subscriber);
    }
    stages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_subscriber_is_in_one_stage() {
        assert_eq!(STAGES.concat(), SUBSCRIBERS);
    }
}
