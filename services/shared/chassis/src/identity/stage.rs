use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use http::HeaderMap;
use kernel::{Error, Kind, Person, Role};
use proto::Rpc;
use proto::registry::FRONT;
use telemetry::layer::CallerSlot;
use transport::TrustedProxies;

use super::{AccessTokens, Verified, WorkloadVerifier};
use crate::access::is_infrastructure;
use crate::caller::Caller;
use crate::context::{AUTHORIZATION, ClientAddress, TokenTimes, WORKLOAD_TOKEN};
use crate::stage::{Inner, Request, Response, Stage, forward};
use crate::status::to_status;

/// Determines the caller and the client's address.
#[derive(Debug, Clone)]
pub(crate) struct IdentityStage {
    /// The verifier of access tokens.
    pub(crate) people: AccessTokens,
    /// The verifier of workload tokens.
    pub(crate) workloads: WorkloadVerifier,
    /// The networks whose `x-forwarded-for` is believed.
    pub(crate) trusted_proxies: TrustedProxies,
}

impl Stage for IdentityStage {
    const NAME: &'static str = "identity";

    async fn handle<S: Inner>(self, mut request: Request, inner: S) -> Response {
        let path = request.uri().path();
        if is_infrastructure(path) {
            return forward(inner, request).await;
        }
        let rpc = Rpc::find(path);
        // A public RPC never looks at the access token: an app may send its old one when it logs in.
        let wanted = rpc.is_some_and(|rpc| !rpc.allows_anonymous());
        // Between services the caller is the service: a token that expires on the way ends no call.
        let needed = rpc.is_some_and(|rpc| !rpc.is_internal());
        let workload = match self.workload(request.headers()) {
            Ok(workload) => workload,
            Err(error) if rpc.is_some_and(Rpc::is_internal) => return to_status(error).into_http(),
            // People are told nothing of a front's token: it only makes its word on their address believed.
            Err(_) => None,
        };
        let verified = if wanted { self.person(request.headers()).await } else { Ok(None) };
        let verified = match verified {
            Ok(verified) => verified,
            Err(_) if !needed => None,
            Err(error) => return to_status(error).into_http(),
        };
        let person = verified.map(|verified| verified.person);
        if let Some(slot) = request.extensions().get::<CallerSlot>() {
            slot.set(kind(person.as_ref(), workload.as_deref()));
        }
        let source = self.source(&request, workload.as_deref());
        if let Some(Verified { expires, authenticated, .. }) = verified {
            request.extensions_mut().insert(TokenTimes { expires, authenticated });
        }
        let caller = Caller { person, workload: workload.map(|name| name.to_string()) };
        request.extensions_mut().insert(caller);
        request.extensions_mut().insert(ClientAddress(source));
        forward(inner, request).await
    }
}

impl IdentityStage {
    /// Returns the name of the calling service; none if it sends no workload token.
    fn workload(&self, headers: &HeaderMap) -> Result<Option<Arc<str>>, Error> {
        let invalid = || {
            let message = "workload-identity-token: send one token that is valid here: signed by the issuer of this mesh, \
                           for its audience, and not expired";
            Error::new(Kind::Unauthenticated, "WORKLOAD_TOKEN_INVALID", message)
        };
        let Some(token) = one(headers, WORKLOAD_TOKEN).map_err(|_| invalid())? else { return Ok(None) };
        self.workloads.verify(token).map(Some).ok_or_else(invalid)
    }

    async fn person(&self, headers: &HeaderMap) -> Result<Option<Verified>, Error> {
        let Some(value) = one(headers, AUTHORIZATION)? else {
            return Ok(None);
        };
        let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
        if !scheme.eq_ignore_ascii_case("bearer") || token.trim().is_empty() {
            return Err(Error::new(
                Kind::Unauthenticated,
                "TOKEN_MISSING",
                "authorization: send `Bearer` and an access token",
            ));
        }
        self.people.verify(token.trim()).await.map(Some)
    }

    /// Returns the address of the client, as far as the peer is trusted to tell it.
    fn source(&self, request: &Request, workload: Option<&str>) -> IpAddr {
        let peer = request.extensions().get::<SocketAddr>().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), SocketAddr::ip);
        // The front alone is trusted to tell the client's address.
        if workload == Some(FRONT) {
            self.trusted_proxies.origin_behind(peer, request.headers())
        } else {
            self.trusted_proxies.origin(peer, request.headers())
        }
    }
}

/// Returns the kind of caller for the access log, never an identity.
const fn kind(person: Option<&Person>, workload: Option<&str>) -> &'static str {
    match (person, workload) {
        (Some(Person { role: Role::Client, .. }), _) => "client",
        (Some(Person { role: Role::Therapist, .. }), _) => "therapist",
        (None, Some(_)) => "workload",
        (None, None) => "anonymous",
    }
}

/// Returns the value of a header that may be sent once. Two of them are an attempt to be read differently by two
/// readers.
fn one<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<Option<&'a str>, Error> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    match (values.next(), value.to_str()) {
        (None, Ok(value)) => Ok(Some(value)),
        _ => Err(Error::new(Kind::Unauthenticated, "TOKEN_INVALID", "authorization: send exactly one, in plain ASCII")),
    }
}
