//! Defines the report of a verification.

use std::fmt;

use kernel::ClientId;

use crate::model::AccessId;

/// The result of a verification.
#[derive(Debug, Default)]
pub struct Report {
    /// Number of verified chains.
    pub chains: u64,
    /// Number of linked records in them.
    pub linked: u64,
    /// Number of erased records in them: their personal data is gone, and their place in the chain verifies.
    pub erased: u64,
    /// Number of unlinked records. They are not verified: they could be altered or removed unseen.
    pub unlinked: u64,
    /// The flaws found: of each chain the first record, and the head.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Returns whether no flaw was found.
    #[must_use]
    pub const fn is_sound(&self) -> bool {
        self.findings.is_empty()
    }

    pub(super) fn add(&mut self, chain: &Chain, findings: Vec<Finding>) {
        self.chains += 1;
        self.linked += chain.linked;
        self.erased += chain.erased;
        self.findings.extend(findings);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { chains, linked, erased, unlinked, findings } = self;
        for finding in findings {
            writeln!(f, "{finding}")?;
        }
        let verdict = if self.is_sound() { "nothing is wrong" } else { "SOMETHING IS WRONG" };
        let (chains, linked) = (counted(*chains, "chain"), counted(*linked, "record"));
        let (waiting, wait) = (counted(*unlinked, "record"), if *unlinked == 1 { "waits" } else { "wait" });
        write!(f, "{verdict}: {chains} of {linked}, {erased} of them erased; {waiting} {wait} to be linked")
    }
}

fn counted(count: u64, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

/// One client's chain as it was found.
#[derive(Debug)]
pub struct Chain {
    /// The client of the log.
    pub client: ClientId,
    /// Number of linked records.
    pub linked: u64,
    /// Number of unlinked records.
    pub unlinked: u64,
    /// Number of erased records.
    pub erased: u64,
    /// The number of the last record and its digest in hexadecimal, as signed; `None` without a valid head. Kept
    /// elsewhere, it reveals a later rollback of the whole chain.
    pub head: Option<(u64, String)>,
}

/// One flaw and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The client of the log.
    pub client: ClientId,
    /// The place in the chain, 1 for the first, if it is known.
    pub seq: Option<u64>,
    /// The record, if there is one.
    pub access_id: Option<AccessId>,
    /// The flaw.
    pub flaw: Flaw,
}

/// The flaws of a record or a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// The record differs from what was recorded.
    Altered,
    /// The record is gone, and others follow.
    Dropped,
    /// The record stands in the place of another one.
    Reordered,
    /// The record and all after it are gone, though the head covers them.
    CutOff,
    /// The record claims the place of another one.
    Inserted,
    /// The record is beyond the signed end: it was inserted, or the head was rolled back.
    BeyondHead,
    /// An item among the records has no record id.
    NotARecord,
    /// There are records and no head.
    HeadMissing,
    /// The head is malformed.
    HeadAltered,
    /// The head was not signed by the key that it names.
    HeadForged,
    /// The head names a key that is not derived from the secrets: it is forged, or the secret was removed too early.
    HeadOfUnknownKey,
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Altered => "was altered",
            Self::Dropped => "was dropped: it is gone, and others follow",
            Self::Reordered => "was reordered: it stands in the place of another one",
            Self::CutOff => "was cut off: it and all after it are gone",
            Self::Inserted => "was inserted: another one has its place",
            Self::BeyondHead => {
                "is beyond the signed end: it was inserted, or the head was put back to an earlier state"
            }
            Self::NotARecord => "is no record",
            Self::HeadMissing => "is missing, and there are records",
            Self::HeadAltered => "was altered",
            Self::HeadForged => "is forged: its signature is not that of the key it names",
            Self::HeadOfUnknownKey => "is signed by a key that is not derived from the secrets",
        })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { client, seq, access_id, flaw } = self;
        write!(f, "client {client}: ")?;
        match (seq, access_id) {
            (None, None) if *flaw == Flaw::NotARecord => write!(f, "an item among the records")?,
            (None, None) => write!(f, "the head")?,
            (Some(seq), None) => write!(f, "record {seq}")?,
            (None, Some(id)) => write!(f, "the record {id}")?,
            (Some(seq), Some(id)) => write!(f, "record {seq} ({id})")?,
        }
        write!(f, " {flaw}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn report_uses_singular_for_one() {
        let many = Report { chains: 2, linked: 3, erased: 1, unlinked: 0, findings: vec![] };
        let one = Report { chains: 1, linked: 1, erased: 0, unlinked: 1, findings: vec![] };
        for (report, text) in [
            (many, "nothing is wrong: 2 chains of 3 records, 1 of them erased; 0 records wait to be linked"),
            (one, "nothing is wrong: 1 chain of 1 record, 0 of them erased; 1 record waits to be linked"),
        ] {
            assert_eq!(report.to_string(), text);
        }
    }
}
