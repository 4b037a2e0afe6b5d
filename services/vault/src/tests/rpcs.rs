//! Tests of the RPCs.

use std::sync::Arc;
use std::time::Duration;

use chassis::Context;
use kernel::Kind;
use kit::engine::Engine;
use proto::events::v1::account_ended::Role;
use proto::events::v1::event::Kind as EventKind;
use proto::events::v1::{AccountEnded, Event};
use proto::vault::v1::vault_service_server::VaultService as _;
use proto::vault::v1::{BatchGetDataKeysRequest, GetDataKeyRequest, GetDataKeyResponse};
use tonic::{Code, Request, Status};

use super::{dynamodb, person, replica};
use crate::service::Services;

kit::on_each_engine! {
    account_deletion_destroys_key_of_any_role,
    unknown_event_kind_changes_nothing,
    id_in_capitals_names_the_same_key,
    invalid_id_is_rejected,
    batch_keeps_order_and_rejects_more_than_200_ids,
}

async fn services(engine: Engine) -> Services {
    Services(Arc::new(replica(&dynamodb(engine).await, &[1]).await))
}

async fn get(services: &Services, person_id: &str) -> Result<GetDataKeyResponse, Status> {
    let request = GetDataKeyRequest { person_id: person_id.to_owned() };
    services.get_data_key(Request::new(request)).await.map(tonic::Response::into_inner)
}

async fn get_many(services: &Services, person_ids: &[String]) -> Result<Vec<GetDataKeyResponse>, Status> {
    let request = BatchGetDataKeysRequest { person_ids: person_ids.to_vec() };
    services.batch_get_data_keys(Request::new(request)).await.map(|response| response.into_inner().keys)
}

async fn deliver(services: &Services, kind: Option<EventKind>) -> kernel::Result<()> {
    let event = Event { id: person().to_string(), time: None, kind };
    subscriber::deliver(services, &Context::background(Duration::from_secs(20)), event).await
}

fn ended(user_id: &str, role: Role) -> Option<EventKind> {
    Some(EventKind::AccountEnded(AccountEnded { user_id: user_id.to_owned(), role: role.into() }))
}

async fn account_deletion_destroys_key_of_any_role(engine: Engine) {
    let services = services(engine).await;
    for role in [Role::Client, Role::Therapist] {
        let id = person().to_string();
        let made = get(&services, &id).await.unwrap();
        assert_eq!((made.destroyed, made.key.len()), (false, 32));
        // Delivery is at least once: the second delivery has the same result.
        for _ in 0..2 {
            deliver(&services, ended(&id, role)).await.unwrap();
            assert_eq!(get(&services, &id).await.unwrap(), GetDataKeyResponse { destroyed: true, key: vec![] });
        }
    }
}

async fn unknown_event_kind_changes_nothing(engine: Engine) {
    let services = services(engine).await;
    let id = person().to_string();
    let made = get(&services, &id).await.unwrap();
    deliver(&services, None).await.unwrap();
    assert!(get(&services, &id).await.unwrap() == made, "another key");
}

async fn batch_keeps_order_and_rejects_more_than_200_ids(engine: Engine) {
    let services = services(engine).await;
    let mut ids: Vec<_> = super::persons(200).iter().map(ToString::to_string).collect();
    deliver(&services, ended(&ids[7], Role::Client)).await.unwrap();
    let keys = get_many(&services, &ids).await.unwrap();
    assert_eq!(keys.len(), 200);
    for at in [0, 7, 199] {
        assert!(keys[at] == get(&services, &ids[at]).await.unwrap(), "another person's key");
        assert_eq!(keys[at].destroyed, at == 7);
    }
    ids.push(person().to_string());
    for bad in [ids, vec!["nobody".to_owned()], vec![person().to_string(), String::new()]] {
        let refused = get_many(&services, &bad).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert!(refused.message().contains("personIds"), "{refused}");
    }
}

async fn id_in_capitals_names_the_same_key(engine: Engine) {
    let services = services(engine).await;
    let id = person().to_string();
    let key = get(&services, &id).await.unwrap();
    assert!(get(&services, &id.to_uppercase()).await.unwrap() == key, "another key");
}

async fn invalid_id_is_rejected(engine: Engine) {
    let services = services(engine).await;
    for id in ["", "nobody", "{01933b5e-7a4c-7def-8abc-0123456789ab}"] {
        let refused = get(&services, id).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{id}");
        assert!(refused.message().contains("personId"), "{refused}");
        let refused = deliver(&services, ended(id, Role::Client)).await.unwrap_err();
        assert_eq!(refused.kind(), Kind::InvalidArgument, "{id}");
    }
}
