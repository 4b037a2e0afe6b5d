//! Keeps the ends of chains from one verification to the next. Stored out of reach of the table's writers, they reveal
//! a chain that was rolled back, which the table alone can't.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use kernel::ClientId;

use super::walk::{Found, Linked, in_place};
use super::{Chain, Flaw};

/// The ends of chains by client. As text: a line each, with the client's id, the number of the last record and its
/// digest.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Heads(BTreeMap<ClientId, (u64, String)>);

impl Heads {
    /// Records the present end of a chain.
    pub fn note(&mut self, chain: &Chain) {
        if let Some(head) = &chain.head {
            self.0.insert(chain.client, head.clone());
        }
    }

    pub(super) fn clients(&self) -> impl Iterator<Item = ClientId> {
        self.0.keys().copied()
    }

    /// Returns the flaw of a valid chain that lacks the record which was its last before.
    pub(super) fn missing(&self, client: ClientId, linked: &[Linked]) -> Option<Found> {
        let (seq, digest) = self.0.get(&client)?;
        match in_place(linked, *seq).first() {
            Some(there) if there.link.digest.to_string() == *digest => None,
            Some(other) => Some((Some(*seq), Some(other.facts.id), Flaw::Altered)),
            None => Some((Some(linked.last().map_or(0, |last| last.link.seq) + 1), None, Flaw::CutOff)),
        }
    }
}

impl fmt::Display for Heads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(client, (seq, digest))| writeln!(f, "{client} {seq} {digest}"))
    }
}

impl FromStr for Heads {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = |line: &str| {
            let mut words = line.split(' ');
            let (client, seq, digest) = (words.next()?, words.next()?, words.next()?);
            let whole = words.next().is_none() && digest.len() == 64;
            whole.then_some((client.parse().ok()?, (seq.parse().ok()?, digest.to_owned())))
        };
        let lines = text.lines().enumerate();
        lines
            .map(|(at, line)| parse(line).ok_or_else(|| format!("line {} is not `client number digest`", at + 1)))
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_text_round_trips() {
        let digest = "0f".repeat(32);
        let mut heads = Heads::default();
        for (byte, head) in [(1, Some((7, digest.clone()))), (2, Some((1, digest))), (3, None)] {
            let client = ClientId::from_bytes([byte; 16]);
            heads.note(&Chain { client, linked: 0, unlinked: 0, erased: 0, head });
        }
        assert_eq!(heads.to_string().lines().count(), 2);
        assert_eq!(heads.to_string().parse(), Ok(heads.clone()));
        for bad in ["x", "x 1 y", &heads.to_string().replace(' ', "  "), &format!("{heads} ")] {
            assert!(bad.parse::<Heads>().is_err(), "{bad}");
        }
    }
}
