//! Implements the RPCs: converts between protos and use cases.

use std::sync::Arc;

use chassis::to_status;
use kernel::{Error, UserId, Violations};
use proto::events::v1 as events;
use proto::events::v1::event::Kind;
use proto::events::v1::subscriber_service_server::SubscriberService;
use proto::vault::v1 as pb;
use proto::vault::v1::vault_service_server::VaultService;
use tonic::{Request, Response, Status};

use crate::model::DataKey;
use crate::ops::Vault;

/// Maximum keys of one request.
const MAX_KEYS: usize = 200;

/// Implementation of the gRPC services.
#[derive(Clone)]
pub(crate) struct Services(pub(crate) Arc<Vault>);

#[tonic::async_trait]
impl VaultService for Services {
    async fn get_data_key(
        &self,
        request: Request<pb::GetDataKeyRequest>,
    ) -> Result<Response<pb::GetDataKeyResponse>, Status> {
        let pb::GetDataKeyRequest { person_id } = request.into_inner();
        let person = user("personId", &person_id).map_err(to_status)?;
        self.0.key(person).await.map(response).map(Response::new).map_err(to_status)
    }

    async fn batch_get_data_keys(
        &self,
        request: Request<pb::BatchGetDataKeysRequest>,
    ) -> Result<Response<pb::BatchGetDataKeysResponse>, Status> {
        let pb::BatchGetDataKeysRequest { person_ids } = request.into_inner();
        let persons = users(&person_ids).map_err(to_status)?;
        let keys = self.0.keys(&persons).await.map_err(to_status)?;
        Ok(Response::new(pb::BatchGetDataKeysResponse { keys: keys.into_iter().map(response).collect() }))
    }
}

#[tonic::async_trait]
impl SubscriberService for Services {
    async fn deliver(
        &self,
        request: Request<events::DeliverRequest>,
    ) -> Result<Response<events::DeliverResponse>, Status> {
        let events::DeliverRequest { event } = request.into_inner();
        // An event of a kind that is unknown here is ignored.
        if let Some(Kind::AccountEnded(events::AccountEnded { user_id, role: _ })) = event.and_then(|event| event.kind)
        {
            let person = user("event.accountEnded.userId", &user_id).map_err(to_status)?;
            self.0.destroy(person).await.map_err(to_status)?;
        }
        Ok(Response::new(events::DeliverResponse {}))
    }
}

/// Returns the response with a key. From here on the key is in buffers of prost and hyper, which are not wiped.
fn response(key: Option<DataKey>) -> pb::GetDataKeyResponse {
    pb::GetDataKeyResponse { destroyed: key.is_none(), key: key.map(|key| key.as_bytes().to_vec()).unwrap_or_default() }
}

fn users(ids: &[String]) -> Result<Vec<UserId>, Error> {
    if ids.len() > MAX_KEYS {
        return Err(Error::invalid("personIds", "must be 200 at most"));
    }
    let parsed = ids.iter().map(|id| id.parse());
    parsed.collect::<Result<_, _>>().map_err(|_| Error::invalid("personIds", "must be ids of people"))
}

fn user(field: &'static str, id: &str) -> Result<UserId, Error> {
    let mut bad = Violations::default();
    bad.check(field, id.parse()).ok_or_else(|| bad.into_error())
}
