//! Converts between the messages of the proto and the types of the domain, and reports violations by field.

use chassis::Event;
use kernel::{FieldError, FieldReason, Page, Result, Timestamp, UserId, Violations};
use proto::messages::v1 as pb;
use serde::Serialize;

use crate::lists::Conversation;
use crate::model::{Message, MessageId, Pair, Text, Wanted};
use crate::ops::Read;
use crate::policy::{Member, Own};

/// Parses the receiver and the text of a `SendMessage` request.
pub(crate) fn parse_send_message(request: pb::SendMessageRequest, own: Own) -> Result<(Member, Text)> {
    let pb::SendMessageRequest { receiver_id, message, sender_id: _ } = request;
    let mut bad = Violations::default();
    let permit = bad.check("receiverId", with(own, &receiver_id));
    let text = bad.check("message", Text::try_from(message));
    permit.zip(text).ok_or_else(|| bad.into_error())
}

/// Parses the conversation and the page of a `ListMessages` request; `field` is the request's field of the peer.
pub(crate) fn parse_list_messages(
    own: Own,
    field: &'static str,
    peer: &str,
    params: PageParams,
) -> Result<(Member, Wanted)> {
    let mut bad = Violations::default();
    let permit = bad.check(field, with(own, peer));
    let wanted = params.check(&mut bad);
    permit.zip(wanted).ok_or_else(|| bad.into_error())
}

/// Parses the page of a `ListConversations` request.
pub(crate) fn parse_list_conversations(params: PageParams) -> Result<Wanted> {
    let mut bad = Violations::default();
    params.check(&mut bad).ok_or_else(|| bad.into_error())
}

/// Unchecked page parameters of a request.
#[derive(Debug)]
pub(crate) struct PageParams {
    pub(crate) page_size: i32,
    pub(crate) page_token: String,
}

impl PageParams {
    fn check(self, bad: &mut Violations) -> Option<Wanted> {
        let size = bad.check("pageSize", convert::page::size_from_proto(self.page_size));
        size.map(|size| Wanted { size, token: self.page_token })
    }
}

/// Parses the conversation and the message of a `MarkRead` request.
pub(crate) fn parse_mark_read(request: &pb::MarkReadRequest, own: Own) -> Result<(Member, MessageId)> {
    let pb::MarkReadRequest { peer_id, message_id } = request;
    let mut bad = Violations::default();
    let permit = bad.check("peerId", with(own, peer_id));
    let id = bad.check("messageId", if message_id.is_empty() { Err(FieldError::REQUIRED) } else { message_id.parse() });
    permit.zip(id).ok_or_else(|| bad.into_error())
}

/// Parses the conversation and the message to resume after of a `WatchConversation` request.
pub(crate) fn parse_watch_conversation(
    request: &pb::WatchConversationRequest,
    own: Own,
) -> Result<(Member, Option<MessageId>)> {
    let pb::WatchConversationRequest { peer_id, after } = request;
    let mut bad = Violations::default();
    let permit = bad.check("peerId", with(own, peer_id));
    let after = Some(after).filter(|after| !after.is_empty()).map(|after| after.parse()).transpose();
    let after = bad.check("after", after);
    permit.zip(after).ok_or_else(|| bad.into_error())
}

fn with(own: Own, peer: &str) -> std::result::Result<Member, FieldError> {
    let peer = convert::id::from_proto::<UserId>(peer)?;
    if peer == own.id() {
        Err(FieldError::new(FieldReason::Unsuitable, "must be somebody else's id, not your own"))
    } else {
        Ok(own.with(peer))
    }
}

pub(crate) fn message(message: Message, pair: Pair) -> pb::Message {
    let Message { id, sender, text } = message;
    pb::Message {
        message_id: id.to_string(),
        sender_id: pair.of(sender).to_string(),
        receiver_id: pair.of(sender.other()).to_string(),
        message: text.into(),
        timestamp: Some(convert::time::to_proto(id.at())),
    }
}

/// A message as JSON, as fronts print it in a list.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MessageJson {
    message_id: String,
    sender_id: String,
    receiver_id: String,
    message: String,
    timestamp: String,
}

/// Returns the event of a message, whose id is that of the message.
pub(crate) fn event(message: Message, pair: Pair) -> Result<Event> {
    let (id, timestamp) = (message.id, millisecond(message.id.at()));
    let pb::Message { message_id, sender_id, receiver_id, message, timestamp: _ } = self::message(message, pair);
    Event::new(id, &MessageJson { message_id, sender_id, receiver_id, message, timestamp })
}

/// Prints an instant as the JSON mapping of proto3 does: in UTC, with three digits of fraction or none.
fn millisecond(at: Timestamp) -> String {
    if at.subsec_millisecond() == 0 { format!("{at}") } else { format!("{at:.3}") }
}

pub(crate) fn messages(page: Page<Message>, pair: Pair) -> pb::ListMessagesResponse {
    let (messages, next_page_token) = convert::page::to_proto(page.map(|it| message(it, pair)));
    pb::ListMessagesResponse { messages, next_page_token }
}

pub(crate) fn conversations(page: Page<Conversation>) -> pb::ListConversationsResponse {
    let (conversations, next_page_token) = convert::page::to_proto(page.map(conversation));
    pb::ListConversationsResponse { conversations, next_page_token }
}

fn conversation(conversation: Conversation) -> pb::Conversation {
    let Conversation { permit, peer_name, last, unread } = conversation;
    pb::Conversation {
        peer_id: permit.peer().to_string(),
        peer_name,
        last_message: Some(message(last, permit.pair())),
        unread_count: convert::count::to_proto(unread),
    }
}

pub(crate) fn read(read: Read, permit: Member) -> pb::ReadMark {
    let Read { message_id, unread } = read;
    pb::ReadMark { peer_id: permit.peer().to_string(), message_id, unread_count: convert::count::to_proto(unread) }
}
