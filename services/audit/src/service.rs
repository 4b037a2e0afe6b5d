//! Implements the RPCs: converts a request, calls the use case, and converts its answer.

use std::sync::Arc;

use chassis::{Context, paged, to_status};
use dynamo::PageRequest;
use kernel::{Error, Page};
use proto::audit::v1 as pb;
use proto::audit::v1::access_log_service_server::AccessLogService;
use proto::audit::v1::audit_service_server::AuditService;
use tonic::{Request, Response, Status};

use crate::ops::{Ops, Shown};
use crate::{policy, wire};

/// Implementation of the services of the protos.
#[derive(Clone)]
pub(crate) struct Audit(pub(crate) Arc<Ops>);

impl Audit {
    async fn list(&self, context: Context, request: pb::ListAccessesRequest) -> Result<Page<Shown>, Error> {
        let person = context.person()?;
        let pb::ListAccessesRequest { client_id, page_size, page_token } = request;
        let permit = policy::read(person, &client_id)?;
        let size = wire::page_size(page_size)?;
        let request = PageRequest { caller: person.user_id.as_bytes(), token: &page_token, size, filters: &[] };
        self.0.list(&context, permit, request).await
    }

    async fn record(&self, context: Context, request: pb::RecordAccessRequest) -> Result<(), Error> {
        let person = context.person()?;
        let (client, access) = wire::access(request)?;
        self.0.recorder.record(policy::therapist(person)?.reading(client), access).await.map(drop)
    }

    async fn record_all(&self, context: Context, request: pb::BatchRecordAccessesRequest) -> Result<(), Error> {
        let person = context.person()?;
        let accesses = wire::accesses_to_record(request)?;
        let own = policy::therapist(person)?;
        let accesses = accesses.into_iter().map(|(client, access)| (own.reading(client), access)).collect();
        self.0.recorder.record_all(accesses).await.map(drop)
    }
}

#[tonic::async_trait]
impl AccessLogService for Audit {
    async fn list_accesses(
        &self,
        request: Request<pb::ListAccessesRequest>,
    ) -> Result<Response<pb::ListAccessesResponse>, Status> {
        let page = self.list(Context::of(&request), request.into_inner()).await.map_err(to_status)?;
        let next = page.next.clone();
        Ok(paged(wire::accesses(page), next.as_deref()))
    }
}

#[tonic::async_trait]
impl AuditService for Audit {
    async fn record_access(
        &self,
        request: Request<pb::RecordAccessRequest>,
    ) -> Result<Response<pb::RecordAccessResponse>, Status> {
        self.record(Context::of(&request), request.into_inner()).await.map_err(to_status)?;
        Ok(Response::new(pb::RecordAccessResponse {}))
    }

    async fn batch_record_accesses(
        &self,
        request: Request<pb::BatchRecordAccessesRequest>,
    ) -> Result<Response<pb::BatchRecordAccessesResponse>, Status> {
        self.record_all(Context::of(&request), request.into_inner()).await.map_err(to_status)?;
        Ok(Response::new(pb::BatchRecordAccessesResponse {}))
    }
}
