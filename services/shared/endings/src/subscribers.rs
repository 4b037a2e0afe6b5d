//! Who hears of the end of an account, in which order, and where they listen.

use chassis::client::Upstream;
use kernel::BoxError;
use relay::Subscriber;

/// Who hears of the end of an account, by the names of the services, in stages: logins end first, and who holds keys hears
/// of it after vault has destroyed them.
const STAGES: [&[&str]; 3] = [&["auth"], &["mapping", "vault"], &["journals", "messages", "appointments", "sessions"]];

/// All of them, in that order.
pub const SUBSCRIBERS: [&str; 7] = ["auth", "mapping", "vault", "journals", "messages", "appointments", "sessions"];

/// Where they listen. auth is known to every process.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub struct Addresses {
    /// Where mapping listens.
    #[arg(long, env = "MESH_MAPPING_ADDRESS", default_value = "http://127.0.0.1:50055")]
    pub mapping_address: String,

    /// Where vault listens.
    #[arg(long, env = "MESH_VAULT_ADDRESS", default_value = "http://127.0.0.1:50054")]
    pub vault_address: String,

    /// Where journals listens.
    #[arg(long, env = "MESH_JOURNALS_ADDRESS", default_value = "http://127.0.0.1:50056")]
    pub journals_address: String,

    /// Where messages listens.
    #[arg(long, env = "MESH_MESSAGES_ADDRESS", default_value = "http://127.0.0.1:50060")]
    pub messages_address: String,

    /// Where appointments listens.
    #[arg(long, env = "MESH_APPOINTMENTS_ADDRESS", default_value = "http://127.0.0.1:50059")]
    pub appointments_address: String,

    /// Where sessions listens.
    #[arg(long, env = "MESH_SESSIONS_ADDRESS", default_value = "http://127.0.0.1:50058")]
    pub sessions_address: String,
}

impl Addresses {
    /// Each of [`SUBSCRIBERS`], as `upstream` reaches what listens at an address.
    ///
    /// # Errors
    /// Of `upstream`, for an address that is none.
    pub fn subscribers(
        &self,
        auth: Upstream,
        upstream: impl Fn(&str) -> Result<Upstream, BoxError>,
    ) -> Result<Vec<Subscriber>, BoxError> {
        let others = [
            ("mapping", &self.mapping_address),
            ("vault", &self.vault_address),
            ("journals", &self.journals_address),
            ("messages", &self.messages_address),
            ("appointments", &self.appointments_address),
            ("sessions", &self.sessions_address),
        ];
        let others = others.into_iter().map(|(name, address)| Ok(Subscriber { name, upstream: upstream(address)? }));
        std::iter::once(Ok(Subscriber { name: "auth", upstream: auth })).chain(others).collect()
    }
}

/// The stages in which these are told; who is in none is told in the last.
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
