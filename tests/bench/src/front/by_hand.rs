//! A front written by hand: axum handlers that call the service by its generated client, and serde.

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use axum::{Json, Router};
use http::header::AUTHORIZATION;
use proto::journals::v1::journal_service_client::JournalServiceClient;
use proto::journals::v1::{CreateEntryRequest, GetEntryRequest, ListEntriesRequest};
use serde::Deserialize;
use tonic::transport::Channel;

use super::plain::{Entry, NewEntry};

type Service = JournalServiceClient<Channel>;

pub(super) fn router(service: Service) -> Router {
    Router::new()
        .route("/journal/{client_id}", get(list).post(create))
        .route("/journal/{client_id}/entries/{entry_id}", get(one))
        .with_state(service)
}

async fn one(
    State(mut service): State<Service>,
    Path((client_id, entry_id)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Json<Entry>, StatusCode> {
    let answer = service.get_entry(from(&headers, GetEntryRequest { client_id, entry_id })?).await;
    Ok(Json(Entry(answer.map_err(|_| StatusCode::BAD_GATEWAY)?.into_inner())))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    page_size: i32,
}

async fn list(
    State(mut service): State<Service>,
    Path(client_id): Path<String>,
    Query(Page { page_size }): Query<Page>,
    headers: HeaderMap,
) -> Result<Json<Vec<Entry>>, StatusCode> {
    let page = ListEntriesRequest { client_id, page_size, ..ListEntriesRequest::default() };
    let answer = service.list_entries(from(&headers, page)?).await.map_err(|_| StatusCode::BAD_GATEWAY)?;
    Ok(Json(answer.into_inner().entries.into_iter().map(Entry).collect()))
}

async fn create(
    State(mut service): State<Service>,
    Path(client_id): Path<String>,
    headers: HeaderMap,
    Json(sent): Json<NewEntry>,
) -> Result<(StatusCode, Json<Entry>), StatusCode> {
    let new = CreateEntryRequest { client_id, entry: Some(sent.into()) };
    let answer = service.create_entry(from(&headers, new)?).await.map_err(|_| StatusCode::BAD_GATEWAY)?;
    Ok((StatusCode::CREATED, Json(Entry(answer.into_inner()))))
}

/// Builds a request with the `authorization` of these headers.
fn from<T>(headers: &HeaderMap, message: T) -> Result<tonic::Request<T>, StatusCode> {
    let bearer = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.parse().ok());
    let mut request = tonic::Request::new(message);
    request.metadata_mut().insert("authorization", bearer.ok_or(StatusCode::UNAUTHORIZED)?);
    Ok(request)
}
