use kernel::Person;

/// Caller of a request, by verified tokens and by nothing else. Both may be there: a service on behalf of a person.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Caller {
    /// The person, if an access token came with the call.
    pub person: Option<Person>,
    /// The service that calls, if a workload token came with the call.
    pub workload: Option<String>,
}
