//! Calls of any RPC by its descriptor, at the port of its service.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::{Buf, BufMut};
use http::uri::PathAndQuery;
use kit::mesh::TestMesh;
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, MethodDescriptor};
use proto::Rpc;
use serde_json::Value;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

use crate::matrix::rows::Row;

/// One call.
pub(crate) struct Call {
    /// Message, as JSON.
    pub(crate) request: Value,
    /// Message with ids of missing people for those of others, if it names any: it must get the same refusal.
    pub(crate) about_nobody: Option<Value>,
    /// Access token of the call.
    pub(crate) person: Option<String>,
    /// Workload token of the call.
    pub(crate) workload: Option<String>,
}

/// Connections to the services.
pub(crate) struct Callee {
    channels: BTreeMap<&'static str, Channel>,
    pool: DescriptorPool,
}

/// Timeout for the first message of a stream.
const OPEN: Duration = Duration::from_secs(1);

/// Short cell texts of common answers, so that the table fits a screen.
pub(crate) const SHORT: [(&str, Code, &str); 14] = [
    ("role", Code::PermissionDenied, "ROLE_NOT_ALLOWED"),
    ("own", Code::PermissionDenied, "NOT_YOUR_ACCOUNT"),
    ("none", Code::NotFound, "NOT_FOUND"),
    ("mapped", Code::AlreadyExists, "MAPPING_EXISTS"),
    ("granted", Code::AlreadyExists, "JOURNAL_ACCESS_EXISTS"),
    ("asked", Code::AlreadyExists, "REQUEST_PENDING"),
    ("unmapped", Code::FailedPrecondition, "NOT_MAPPED"),
    ("taken", Code::AlreadyExists, "SLOT_TAKEN"),
    ("answered", Code::FailedPrecondition, "NOT_PENDING"),
    ("unbooked", Code::FailedPrecondition, "NOT_ACCEPTED"),
    ("bad", Code::InvalidArgument, "INVALID_FIELDS"),
    ("token", Code::Unauthenticated, "TOKEN_MISSING"),
    ("internal", Code::Unauthenticated, "WORKLOAD_TOKEN_MISSING"),
    ("service", Code::PermissionDenied, "WORKLOAD_NOT_ALLOWED"),
];

impl Callee {
    pub(crate) async fn of(mesh: &TestMesh, services: impl Iterator<Item = &'static str>) -> Self {
        let mut channels = BTreeMap::new();
        for name in services {
            if !channels.contains_key(name) {
                let channel = Channel::from_shared(mesh.service(name)).unwrap().connect().await.unwrap();
                channels.insert(name, channel);
            }
        }
        Self { channels, pool: DescriptorPool::decode(proto::DESCRIPTOR_SET).unwrap() }
    }

    /// Returns the cell of a call: `ok`, with the number of items for a list, or the reason of the refusal.
    pub(crate) async fn cell(&self, row: &Row, call: &Call) -> String {
        let method = self.method(row.rpc);
        let refused = match self.call(row, &method, call, &call.request).await {
            Ok(answer) => return success(&method, &answer),
            Err(refused) => refused,
        };
        let tells = [Code::AlreadyExists, Code::FailedPrecondition].contains(&refused.code());
        if !tells && let Some(about_nobody) = &call.about_nobody {
            let other = self.call(row, &method, call, about_nobody).await.expect_err("there is nobody to do this to");
            let seen = |status: &Status| (status.code(), status.message().to_owned(), status.details().to_vec());
            assert_eq!(seen(&refused), seen(&other), "{} tells that somebody exists", row.name());
        }
        refusal(&refused)
    }

    async fn call(
        &self,
        row: &Row,
        method: &MethodDescriptor,
        call: &Call,
        request: &Value,
    ) -> Result<Vec<u8>, Status> {
        let rpc = row.rpc;
        let message = DynamicMessage::deserialize(method.input(), request)
            .unwrap_or_else(|error| panic!("the request of {} in the matrix: {error}", rpc.path));
        let mut request = Request::new(message.encode_to_vec());
        // Password hashing is slow on a machine that does other things too.
        request.set_timeout(Duration::from_secs(60));
        let metadata = request.metadata_mut();
        // Errors repeat it, and are compared whole.
        metadata.insert("x-request-id", "tests".parse().unwrap());
        if let Some(token) = &call.person {
            metadata.insert("authorization", format!("Bearer {token}").parse().unwrap());
        }
        if let Some(token) = &call.workload {
            metadata.insert("workload-identity-token", token.parse().unwrap());
        }
        let mut grpc = tonic::client::Grpc::new(self.channels[row.service].clone());
        grpc.ready().await.expect("the service is there");
        let path = PathAndQuery::from_static(rpc.path);
        if !rpc.streams {
            return grpc.unary(request, path, Bytes).await.map(tonic::Response::into_inner);
        }
        let mut stream = grpc.server_streaming(request, path, Bytes).await?.into_inner();
        // A refusal comes immediately; an accepted stream may have no message yet.
        match tokio::time::timeout(OPEN, stream.message()).await {
            Ok(message) => message.map(Option::unwrap_or_default),
            Err(_) => Ok(Vec::new()),
        }
    }

    fn method(&self, rpc: &Rpc) -> MethodDescriptor {
        let (service, name) = rpc.path[1..].split_once('/').unwrap();
        let service = self.pool.get_service_by_name(service).unwrap();
        service.methods().find(|method| method.name() == name).unwrap()
    }
}

fn success(method: &MethodDescriptor, answer: &[u8]) -> String {
    let output = method.output();
    let Some(list) = output.fields().find(|field| field.is_list()) else {
        return "ok".to_owned();
    };
    if output.get_field_by_name("next_page_token").is_none() {
        return "ok".to_owned();
    }
    let answer = DynamicMessage::decode(output, answer).unwrap();
    format!("ok({})", answer.get_field(&list).as_list().unwrap().len())
}

fn refusal(status: &Status) -> String {
    let reason = status.get_details_error_info().map(|info| info.reason).unwrap_or_default();
    let short = SHORT.iter().find(|(_, code, known)| *code == status.code() && *known == reason);
    short.map_or_else(|| format!("{:?} {reason}", status.code()), |(short, ..)| (*short).to_owned())
}

/// Codec of messages as bytes.
#[derive(Clone, Copy)]
struct Bytes;

impl Codec for Bytes {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining()).to_vec()))
    }
}
