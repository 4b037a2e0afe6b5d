//! Implements the RPCs: authorizes requests and converts between protos and use cases.

use std::pin::Pin;
use std::sync::Arc;

use chassis::{Context, EventStream, event_stream, last_event_id, paged, to_status};
use futures_util::{Stream, stream};
use kernel::{Error, zip_violations};
use prost::Message as _;
use proto::messages::v1 as pb;
use proto::messages::v1::message_service_server::MessageService;
use tonic::{Request, Response, Status};

use crate::model::{Message, Pair};
use crate::ops::Ops;
use crate::policy;
use crate::watch::Watching;
use crate::wire::{self, PageParams};

/// Path of this RPC, which separates its idempotency keys from those of others.
const SEND: &str = "/therapy.messages.v1.MessageService/SendMessage";

/// Implementation of the gRPC services.
#[derive(Clone)]
pub(crate) struct Messages(pub(crate) Arc<Ops>);

impl Messages {
    async fn send(&self, context: Context, mut request: pb::SendMessageRequest) -> Result<pb::Message, Error> {
        let person = context.person()?;
        policy::sender(person, &request.sender_id)?;
        convert::id::normalize([&mut request.sender_id, &mut request.receiver_id]);
        let key = context.idempotency_key.as_deref();
        let claim = self.0.idempotency.claim_if_keyed(key, person.user_id.as_bytes(), SEND, &request.encode_to_vec());
        let ((permit, text), claim) = zip_violations(wire::parse_send_message(request, policy::own(person)), claim)?;
        let claim = key.map(str::to_owned).zip(claim);
        let message = self.0.send(&context, permit, text, claim).await?;
        Ok(wire::message(message, permit.pair()))
    }

    async fn list(
        &self,
        context: Context,
        request: pb::ListMessagesRequest,
    ) -> Result<pb::ListMessagesResponse, Error> {
        let person = context.person()?;
        let pb::ListMessagesRequest { sender_id, receiver_id, page_size, page_token } = request;
        let (field, peer) = policy::other(person, ("senderId", &sender_id), ("receiverId", &receiver_id))?;
        let (permit, wanted) =
            wire::parse_list_messages(policy::own(person), field, peer, PageParams { page_size, page_token })?;
        let page = self.0.list(&context, permit, &wanted).await?;
        Ok(wire::messages(page, permit.pair()))
    }

    async fn conversations(
        &self,
        context: Context,
        request: pb::ListConversationsRequest,
    ) -> Result<pb::ListConversationsResponse, Error> {
        let own = policy::own(context.person()?);
        let pb::ListConversationsRequest { page_size, page_token } = request;
        let wanted = wire::parse_list_conversations(PageParams { page_size, page_token })?;
        self.0.conversations(&context, own, &wanted).await.map(wire::conversations)
    }

    async fn mark(&self, context: Context, request: pb::MarkReadRequest) -> Result<pb::ReadMark, Error> {
        let (permit, id) = wire::parse_mark_read(&request, policy::own(context.person()?))?;
        self.0.mark_read(permit, id).await.map(|read| wire::read(read, permit))
    }

    async fn watch(&self, context: Context, request: pb::WatchConversationRequest) -> Result<Watching, Error> {
        let (permit, after) = wire::parse_watch_conversation(&request, policy::own(context.person()?))?;
        self.0.watch(context, permit, after).await
    }
}

#[tonic::async_trait]
impl MessageService for Messages {
    async fn send_message(&self, request: Request<pb::SendMessageRequest>) -> Result<Response<pb::Message>, Status> {
        let context = Context::of(&request);
        self.send(context, request.into_inner()).await.map(Response::new).map_err(to_status)
    }

    async fn list_messages(
        &self,
        request: Request<pb::ListMessagesRequest>,
    ) -> Result<Response<pb::ListMessagesResponse>, Status> {
        let context = Context::of(&request);
        let page = self.list(context, request.into_inner()).await.map_err(to_status)?;
        let next = convert::page::token_from_proto(page.next_page_token.clone());
        Ok(paged(page, next.as_deref()))
    }

    async fn list_conversations(
        &self,
        request: Request<pb::ListConversationsRequest>,
    ) -> Result<Response<pb::ListConversationsResponse>, Status> {
        let context = Context::of(&request);
        let page = self.conversations(context, request.into_inner()).await.map_err(to_status)?;
        let next = convert::page::token_from_proto(page.next_page_token.clone());
        Ok(paged(page, next.as_deref()))
    }

    async fn mark_read(&self, request: Request<pb::MarkReadRequest>) -> Result<Response<pb::ReadMark>, Status> {
        let context = Context::of(&request);
        self.mark(context, request.into_inner()).await.map(Response::new).map_err(to_status)
    }

    type WatchConversationStream = Pin<Box<dyn Stream<Item = Result<pb::Message, Status>> + Send>>;

    async fn watch_conversation(
        &self,
        request: Request<pb::WatchConversationRequest>,
    ) -> Result<Response<Self::WatchConversationStream>, Status> {
        let context = Context::of(&request);
        let watching = self.watch(context, request.into_inner()).await.map_err(to_status)?;
        let to_proto = |message, pair| Ok(wire::message(message, pair));
        Ok(Response::new(Box::pin(stream::unfold(Some(watching), move |watching| step(watching, to_proto)))))
    }

    type WatchConversationEventsStream = EventStream;

    async fn watch_conversation_events(
        &self,
        request: Request<pb::WatchConversationRequest>,
    ) -> Result<Response<Self::WatchConversationEventsStream>, Status> {
        let (context, last) = (Context::of(&request), last_event_id(&request));
        let mut request = request.into_inner();
        // A reader that reconnects sends its first URL again, whose `after` is older.
        if let Some(last) = last {
            request.after = last;
        }
        let watching = self.watch(context, request).await.map_err(to_status)?;
        let seen = watching.seen();
        let events = stream::unfold(Some(watching), |watching| step(watching, wire::event));
        Ok(Response::new(event_stream(seen, events)))
    }
}

/// Returns the next element of a watch stream, which is read only on demand. An error is the last element.
async fn step<T>(
    watching: Option<Watching>,
    convert: impl Fn(Message, Pair) -> Result<T, Error>,
) -> Option<(Result<T, Status>, Option<Watching>)> {
    let mut watching = watching?;
    let next = watching.next().await;
    match next.and_then(|message| convert(message, watching.permit().pair())) {
        Ok(message) => Some((Ok(message), Some(watching))),
        Err(error) => Some((Err(to_status(error)), None)),
    }
}
