//! Implements the RPCs: converts between protos and use cases.

use std::sync::Arc;

use chassis::{Context, to_status};
use kernel::{Error, FieldError, FieldReason, ParseIdError, UserId};
use proto::vault::v1 as pb;
use proto::vault::v1::vault_service_server::VaultService;
use subscriber::{AccountDeletionPermit, EventHandler};
use tonic::{Request, Response, Status};

use crate::model::DataKey;
use crate::ops::Vault;

/// Maximum keys of one request.
const MAX_KEYS: usize = 200;

/// Implementation of the gRPC services.
#[derive(Clone)]
pub(crate) struct Services(pub(crate) Arc<Vault>);

impl Services {
    async fn key(&self, request: pb::GetDataKeyRequest) -> Result<pb::GetDataKeyResponse, Error> {
        let pb::GetDataKeyRequest { person_id } = request;
        self.0.key(user(&person_id)?).await.map(response)
    }

    async fn keys(&self, request: pb::BatchGetDataKeysRequest) -> Result<pb::BatchGetDataKeysResponse, Error> {
        let pb::BatchGetDataKeysRequest { person_ids } = request;
        let keys = self.0.keys(&users(&person_ids)?).await?;
        Ok(pb::BatchGetDataKeysResponse { keys: keys.into_iter().map(response).collect() })
    }
}

impl EventHandler for Services {
    async fn account_deleted(&self, _: &Context, permit: AccountDeletionPermit) -> Result<(), Error> {
        self.0.destroy(permit.id()).await
    }
}

#[tonic::async_trait]
impl VaultService for Services {
    async fn get_data_key(
        &self,
        request: Request<pb::GetDataKeyRequest>,
    ) -> Result<Response<pb::GetDataKeyResponse>, Status> {
        self.key(request.into_inner()).await.map(Response::new).map_err(to_status)
    }

    async fn batch_get_data_keys(
        &self,
        request: Request<pb::BatchGetDataKeysRequest>,
    ) -> Result<Response<pb::BatchGetDataKeysResponse>, Status> {
        self.keys(request.into_inner()).await.map(Response::new).map_err(to_status)
    }
}

/// Returns the response with a key. From here on the key is in buffers of prost and hyper, which are not wiped.
fn response(key: Option<DataKey>) -> pb::GetDataKeyResponse {
    pb::GetDataKeyResponse { destroyed: key.is_none(), key: key.map(|key| key.as_bytes().to_vec()).unwrap_or_default() }
}

fn users(ids: &[String]) -> Result<Vec<UserId>, Error> {
    convert::batch::check_len("personIds", ids.len(), MAX_KEYS)?;
    let parsed = ids.iter().map(|id| id.parse());
    parsed
        .collect::<Result<_, _>>()
        .map_err(|_| Error::invalid("personIds", FieldError::new(FieldReason::Malformed, "must be ids of people")))
}

fn user(id: &str) -> Result<UserId, Error> {
    id.parse().map_err(|error: ParseIdError| Error::invalid("personId", error))
}
