//! Implements the RPCs: converts a request, calls the use case, and converts its answer.

use std::sync::Arc;

use chassis::{Context, paged, to_status};
use dynamo::PageRequest;
use proto::audit::v1 as pb;
use proto::audit::v1::access_log_service_server::AccessLogService;
use proto::audit::v1::audit_service_server::AuditService;
use tonic::{Request, Response, Status};

use crate::ops::Ops;
use crate::{policy, wire};

/// Implementation of the services of the protos.
#[derive(Clone)]
pub(crate) struct Audit(pub(crate) Arc<Ops>);

#[tonic::async_trait]
impl AccessLogService for Audit {
    async fn list_accesses(
        &self,
        request: Request<pb::ListAccessesRequest>,
    ) -> Result<Response<pb::ListAccessesResponse>, Status> {
        let context = Context::of(&request);
        let person = context.person().map_err(to_status)?;
        let pb::ListAccessesRequest { client_id, page_size, page_token } = request.into_inner();
        let permit = policy::read(person, &client_id).map_err(to_status)?;
        let size = wire::page_size(page_size).map_err(to_status)?;
        let request = PageRequest { caller: person.user_id.as_bytes(), token: &page_token, size, filters: &[] };
        let page = self.0.list(&context, permit, request).await.map_err(to_status)?;
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
        let person = Context::of(&request).person().map_err(to_status)?;
        let (client, access) = wire::access(request.into_inner()).map_err(to_status)?;
        let permit = policy::append(person, client).map_err(to_status)?;
        self.0.recorder.record(permit, access).await.map_err(to_status)?;
        Ok(Response::new(pb::RecordAccessResponse {}))
    }
}
