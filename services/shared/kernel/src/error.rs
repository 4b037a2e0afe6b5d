use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use crate::FieldError;

/// Any error, as the cause of one of ours.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A result whose error can be shown to a caller.
pub type Result<T> = std::result::Result<T, Error>;

/// Kind of an error, by the codes of google.rpc.Code that the contract uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The request is malformed, whatever the state of the system.
    InvalidArgument,
    /// The state of the system forbids it.
    FailedPrecondition,
    /// The caller is not known.
    Unauthenticated,
    /// The caller may never do this.
    PermissionDenied,
    /// There is no such thing, or the caller may not know of it.
    NotFound,
    /// There is one already.
    AlreadyExists,
    /// Somebody else was faster; read again and retry.
    Aborted,
    /// Too much was asked; wait.
    ResourceExhausted,
    /// It will pass; retry.
    Unavailable,
    /// The time that the caller gave is over.
    DeadlineExceeded,
    /// There is no such RPC.
    Unimplemented,
    /// A fault of ours.
    Internal,
}

/// A field that is wrong, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The field as the caller writes it (camelCase, dots into messages).
    pub field: Cow<'static, str>,
    /// Fault of the field.
    pub error: FieldError,
}

/// Reason of errors for lack of space.
pub const STORAGE_FULL: &str = "STORAGE_FULL";

/// Error with a public sentence for the caller and a cause for the log.
///
/// The public part never holds what people wrote, nor anything internal.
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    reason: &'static str,
    message: Cow<'static, str>,
    violations: Vec<Violation>,
    retry_after: Option<Duration>,
    cause: Option<BoxError>,
}

impl Error {
    /// An error with a stable `reason` (`SCREAMING_SNAKE_CASE`, for programs) and a sentence (for people).
    #[must_use]
    pub fn new(kind: Kind, reason: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, reason, message: message.into(), violations: Vec::new(), retry_after: None, cause: None }
    }

    /// INVALID_ARGUMENT for one field.
    #[must_use]
    pub fn invalid(field: &'static str, error: impl Into<FieldError>) -> Self {
        let mut violations = Violations::default();
        violations.add(field, error);
        violations.into_error()
    }

    /// The answer for what is not there, and alike for what the caller may not see.
    #[must_use]
    pub fn not_found(what: &'static str) -> Self {
        Self::new(Kind::NotFound, "NOT_FOUND", format!("there is no such {what}"))
    }

    /// UNAUTHENTICATED (`ACCOUNT_ENDED`) for a caller whose access token has outlived the account.
    #[must_use]
    pub fn account_ended() -> Self {
        Self::new(Kind::Unauthenticated, "ACCOUNT_ENDED", "this account has been ended")
    }

    /// PERMISSION_DENIED (`NOT_YOUR_ACCOUNT`) for another account in this field, whether it exists or not.
    #[must_use]
    pub fn not_your_account(field: &'static str) -> Self {
        let message = format!("{field}: you may do this with your own account only");
        Self::new(Kind::PermissionDenied, "NOT_YOUR_ACCOUNT", message)
    }

    /// UNAVAILABLE, with a time to wait.
    #[must_use]
    pub fn unavailable(cause: impl Into<BoxError>) -> Self {
        Self::new(Kind::Unavailable, "UNAVAILABLE", "the service can't answer right now; try again")
            .retry_after(Duration::from_secs(1))
            .caused_by(cause)
    }

    /// UNAVAILABLE (`STORAGE_FULL`), without a time to wait: only an operator can make space.
    #[must_use]
    pub fn storage_full(cause: impl Into<BoxError>) -> Self {
        let message = "the storage is full: nothing can be stored until the operator makes space";
        Self::new(Kind::Unavailable, STORAGE_FULL, message).caused_by(cause)
    }

    /// Returns the error of a request whose dependency failed: UNAVAILABLE, or this error if that says that the storage is
    /// full.
    #[must_use]
    pub fn of_dependency(self) -> Self {
        if self.reason == STORAGE_FULL { self } else { Self::unavailable(self) }
    }

    /// INTERNAL, a fault of ours: the cause is logged and not shown to the caller.
    #[must_use]
    pub fn internal(cause: impl Into<BoxError>) -> Self {
        Self::new(Kind::Internal, "INTERNAL", "something went wrong on our side").caused_by(cause)
    }

    /// The same error, with the time after which a retry makes sense.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// Adds the cause, which only the log sees.
    #[must_use]
    pub fn caused_by(mut self, cause: impl Into<BoxError>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// Returns the kind.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// The stable reason.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        self.reason
    }

    /// The sentence that the caller reads.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Every field that is wrong.
    #[must_use]
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    /// Returns the time after which a retry makes sense.
    #[must_use]
    pub const fn retry_delay(&self) -> Option<Duration> {
        self.retry_after
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason, self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as _)
    }
}

/// Returns both values, or one error that names every bad field of both.
///
/// # Errors
/// If either is one: INVALID_ARGUMENT of both together, or else the first.
pub fn zip_violations<A, B>(one: Result<A>, other: Result<B>) -> Result<(A, B)> {
    match (one, other) {
        (Ok(one), Ok(other)) => Ok((one, other)),
        (Err(one), Err(other)) if !one.violations.is_empty() && !other.violations.is_empty() => {
            Err(Violations([one.violations, other.violations].concat()).into_error())
        }
        (Err(error), _) | (_, Err(error)) => Err(error),
    }
}

/// Collects every bad field of a request, so that all are named at once.
#[derive(Debug, Default)]
pub struct Violations(Vec<Violation>);

impl Violations {
    /// Notes that a field is wrong.
    pub fn add(&mut self, field: impl Into<Cow<'static, str>>, error: impl Into<FieldError>) {
        self.0.push(Violation { field: field.into(), error: error.into() });
    }

    /// Returns the value if the field is right; notes what is wrong otherwise.
    pub fn check<T, E: Into<FieldError>>(
        &mut self,
        field: &'static str,
        parsed: std::result::Result<T, E>,
    ) -> Option<T> {
        parsed.map_err(|error| self.add(field, error)).ok()
    }

    /// Returns whether no field is wrong so far.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The error that names every bad field.
    #[must_use]
    pub fn into_error(self) -> Error {
        let all = self.0.iter().map(|v| format!("{} {}", v.field, v.error)).collect::<Vec<_>>().join("; ");
        let mut error = Error::new(Kind::InvalidArgument, "INVALID_FIELDS", all);
        error.violations = self.0;
        error
    }
}
