use kernel::{Error, Kind, Role};
use proto::Rpc;

use crate::caller::Caller;
use crate::stage::{Inner, Request, Response, Stage, forward};
use crate::status::to_status;

/// Paths of health and reflection, which every service answers to anyone.
const INFRASTRUCTURE: [&str; 3] =
    ["/grpc.health.v1.Health/", "/grpc.reflection.v1.ServerReflection/", "/grpc.reflection.v1alpha.ServerReflection/"];

/// Returns whether a path is health or reflection.
pub(crate) fn is_infrastructure(path: &str) -> bool {
    INFRASTRUCTURE.iter().any(|prefix| path.starts_with(prefix))
}

/// Enforces the rule that stands beside each RPC in its proto. Default deny: a path without a rule is as if it did not
/// exist.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AccessStage;

impl Stage for AccessStage {
    const NAME: &'static str = "access";

    async fn handle<S: Inner>(self, request: Request, inner: S) -> Response {
        let path = request.uri().path();
        if is_infrastructure(path) {
            return forward(inner, request).await;
        }
        let nobody = Caller::default();
        match check(Rpc::find(path), request.extensions().get().unwrap_or(&nobody)) {
            Ok(()) => forward(inner, request).await,
            Err(error) => to_status(error).into_http(),
        }
    }
}

/// Checks whether the rule of an RPC allows a caller.
fn check(rpc: Option<&Rpc>, caller: &Caller) -> Result<(), Error> {
    let Some(rpc) = rpc else {
        return Err(unknown_method());
    };
    if rpc.allows_anonymous() {
        return Ok(());
    }
    if rpc.is_internal() {
        return match &caller.workload {
            Some(name) if rpc.workloads.contains(&name.as_str()) => Ok(()),
            Some(_) => {
                Err(Error::new(Kind::PermissionDenied, "WORKLOAD_NOT_ALLOWED", "this service may not call this"))
            }
            None => {
                let message = "only services may call this: send a workload token in workload-identity-token";
                Err(Error::new(Kind::Unauthenticated, "WORKLOAD_TOKEN_MISSING", message))
            }
        };
    }
    let Some(person) = &caller.person else {
        return Err(Error::new(
            Kind::Unauthenticated,
            "TOKEN_MISSING",
            "authorization: send `Bearer` and an access token",
        ));
    };
    let (kind, who) = match person.role {
        Role::Client => (proto::Caller::Client, "clients"),
        Role::Therapist => (proto::Caller::Therapist, "therapists"),
    };
    if rpc.callers.contains(&kind) {
        return Ok(());
    }
    Err(Error::new(Kind::PermissionDenied, "ROLE_NOT_ALLOWED", format!("{who} may not do this")))
}

/// The error for a method that is not there.
pub(crate) fn unknown_method() -> Error {
    Error::new(Kind::Unimplemented, "UNKNOWN_METHOD", "there is no such method")
}

#[cfg(test)]
mod tests {
    use kernel::{LoginId, Person, UserId};

    use super::*;

    fn person(role: Role) -> Caller {
        let person = Person { user_id: UserId::from_bytes([1; 16]), role, login_id: LoginId::from_bytes([2; 16]) };
        Caller { person: Some(person), workload: None }
    }

    fn workload(name: &str) -> Caller {
        Caller { person: None, workload: Some(name.to_owned()) }
    }

    #[test]
    fn method_without_rule_is_unknown_to_all() {
        for caller in [Caller::default(), person(Role::Client), workload("clients")] {
            assert_eq!(
                check(Rpc::find("/therapy.auth.v1.AuthService/Nothing"), &caller).unwrap_err().reason(),
                "UNKNOWN_METHOD"
            );
        }
    }

    #[test]
    fn rules_decide_for_every_caller() {
        use Kind::{PermissionDenied as Denied, Unauthenticated as Unknown};
        let callers = [
            Caller::default(),
            person(Role::Client),
            person(Role::Therapist),
            workload("clients"),
            workload("gateway"),
        ];
        let table: [(&str, [Option<Kind>; 5]); 4] = [
            ("/therapy.auth.v1.AuthService/Login", [None, None, None, None, None]),
            ("/therapy.auth.v1.AuthService/GetMe", [Some(Unknown), None, None, Some(Unknown), Some(Unknown)]),
            (
                "/therapy.clients.v1.ClientService/CreateClient",
                [Some(Unknown), None, Some(Denied), Some(Unknown), Some(Unknown)],
            ),
            (
                "/therapy.events.v1.SubscriberService/Deliver",
                [Some(Unknown), Some(Unknown), Some(Unknown), None, Some(Denied)],
            ),
        ];
        for (path, expected) in table {
            for (caller, expected) in callers.iter().zip(expected) {
                assert_eq!(check(Rpc::find(path), caller).err().map(|e| e.kind()), expected, "{path} by {caller:?}");
            }
        }
    }
}
