//! DynamoDB calls of RPCs that services call for a search.

use kit::mesh::Someone;
use proto::audit::v1::access::Action;
use proto::audit::v1::audit_service_client::AuditServiceClient;
use proto::audit::v1::{BatchRecordAccessesRequest, RecordAccessRequest};
use proto::mapping::v1::consent_service_client::ConsentServiceClient;
use proto::mapping::v1::{BatchCheckJournalAccessRequest, ListSearchableClientsRequest};
use tonic::Request;
use tonic::transport::Channel;

use super::Recorder;
use crate::watched::Trace;

/// Records the calls for a therapist who may read the client's journal.
pub(super) async fn play(recorder: &mut Recorder<'_>, client: &Someone, therapist: &Someone) {
    consent(recorder, client, therapist).await;
    accesses(recorder, client, therapist).await;
}

async fn consent(recorder: &mut Recorder<'_>, client: &Someone, therapist: &Someone) {
    let mut mapping = ConsentServiceClient::new(channel(recorder, "mapping").await);
    let wanted = BatchCheckJournalAccessRequest { client_ids: vec![client.id.clone()] };
    let (trace, request) = call(recorder, "journals", therapist, wanted);
    let grants = mapping.batch_check_journal_access(request).await.unwrap().into_inner().grants;
    assert_eq!(grants.len(), 1);
    recorder.rows.push(("BatchCheckJournalAccess", trace, &["BatchGetItem Mappings"]));
    let rows: [(_, _, _, &[&str]); 4] = [
        ("ListSearchableClients, one", &*client.id, false, &["GetItem Mappings"]),
        ("ListSearchableClients, one with agreement", &client.id, true, &["GetItem Mappings"]),
        ("ListSearchableClients, all", "", false, &["Query Mappings"]),
        ("ListSearchableClients, all with agreement", "", true, &["Query Mappings", "BatchGetItem Mappings"]),
    ];
    for (what, client_id, with_agreement, calls) in rows {
        let wanted = ListSearchableClientsRequest { client_id: client_id.to_owned(), with_agreement };
        let (trace, request) = call(recorder, "search", therapist, wanted);
        let found = mapping.list_searchable_clients(request).await.unwrap().into_inner().clients;
        assert!(found.iter().any(|it| it.client_id == client.id && it.grant.is_some()), "{what}");
        recorder.rows.push((what, trace, calls));
    }
}

async fn accesses(recorder: &mut Recorder<'_>, client: &Someone, therapist: &Someone) {
    let mut audit = AuditServiceClient::new(channel(recorder, "audit").await);
    let access = RecordAccessRequest {
        client_id: client.id.clone(),
        action: Action::Search.into(),
        entry_count: 1,
        entry_id: String::new(),
        grant_id: "a grant".to_owned(),
    };
    let rows: [(_, _, &[&str]); 2] = [
        ("BatchRecordAccesses, one", 1, &["PutItem Audit"]),
        ("BatchRecordAccesses", 100, &["TransactWriteItems Audit"]),
    ];
    for (what, count, calls) in rows {
        let accesses = BatchRecordAccessesRequest { accesses: vec![access.clone(); count] };
        let (trace, request) = call(recorder, "search", therapist, accesses);
        audit.batch_record_accesses(request).await.unwrap();
        recorder.rows.push((what, trace, calls));
    }
}

async fn channel(recorder: &Recorder<'_>, service: &str) -> Channel {
    Channel::from_shared(recorder.watched.mesh.service(service)).unwrap().connect().await.unwrap()
}

/// Returns a request of a service on behalf of a person, and its trace.
fn call<T>(recorder: &Recorder<'_>, service: &str, person: &Someone, message: T) -> (Trace, Request<T>) {
    let (trace, parent) = recorder.watched.new_trace();
    let mut request = Request::new(message);
    let metadata = request.metadata_mut();
    metadata.insert("traceparent", parent.parse().unwrap());
    metadata.insert("workload-identity-token", recorder.watched.mesh.workload_token(service).parse().unwrap());
    metadata.insert("authorization", format!("Bearer {}", person.token).parse().unwrap());
    (trace, request)
}
