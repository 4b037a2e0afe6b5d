//! Vocabulary of the access rules that protos state.

/// A kind of person that a rule names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// Anyone, without a token.
    Anyone,
    /// A person in therapy.
    Client,
    /// A therapist.
    Therapist,
}

/// Calls of an RPC that end something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ends {
    /// None of them.
    Never,
    /// All of them.
    Always,
    /// Those whose request says so.
    ByRequest,
}
