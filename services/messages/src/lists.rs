//! Lists the messages of a conversation and the conversations of a person, newest first.

use std::collections::HashMap;
use std::time::Duration;

use chassis::Context;
use dynamo::{Item, PageRequest};
use kernel::{Error, Page, Result, UserId};

use crate::model::{Message, Pair, Position, Side, Wanted};
use crate::ops::Ops;
use crate::policy::{Member, Own};
use crate::store::{Head, Row, cursor_of, thread};

/// Maximum reads of a page that shows only part of a batch.
const MAX_READS: u32 = 10;
/// Bytes of text at which a page of conversations ends before it has its size: a response has at most 4 MB.
const MAX_TEXT_BYTES: usize = 1024 * 1024;
/// Binding of the page tokens of conversation lists.
const CONVERSATIONS: &[u8] = b"conversations";

/// A conversation as one of its members sees it.
#[derive(Debug)]
pub(crate) struct Conversation {
    pub(crate) permit: Member,
    /// Name of the other member; empty without a profile.
    pub(crate) peer_name: String,
    pub(crate) last: Message,
    /// Number of the other member's messages after the caller's read mark.
    pub(crate) unread: u64,
}

impl Ops {
    /// Returns one page of a conversation.
    pub(crate) async fn list(&self, context: &Context, permit: Member, wanted: &Wanted) -> Result<Page<Message>> {
        let page = self.rows(permit, wanted).await?;
        // The key is requested only if there is something to open, because vault creates a missing key.
        if let Some(Page { items, next }) = &page
            && items.is_empty()
        {
            return Ok(Page { items: Vec::new(), next: next.clone() });
        }
        let Some(key) = self.key(context, permit).await? else {
            return match permit.side() {
                Side::Client => Err(Error::account_ended()),
                Side::Therapist => Ok(Page::whole(Vec::new())),
            };
        };
        let gaps = || Error::unavailable("a conversation has gaps, and they don't close");
        let Page { items: rows, next } = page.ok_or_else(gaps)?;
        let opened = rows.into_iter().map(|row| self.store.open(permit, &key, row)).collect::<Result<_>>()?;
        Ok(Page { items: opened, next })
    }

    /// Reads one page of a conversation, still sealed, by one Query.
    ///
    /// A Query may run while a batch is being stored, and see a later message of it without an earlier one. Then it is
    /// repeated, so that no message appears later among those that were shown. Returns `None` if the gap stays, as
    /// while the conversation is erased.
    async fn rows(&self, permit: Member, wanted: &Wanted) -> Result<Option<Page<Row>>> {
        let caller = permit.pair().of(permit.side());
        let Wanted { size, token } = wanted;
        for attempt in 0..MAX_READS {
            tokio::time::sleep(Duration::from_millis(5) * attempt).await;
            let request = PageRequest { caller: caller.as_bytes(), token, size: *size, filters: &[] };
            let page = self.tokens.page(self.store.history(permit), request).await?;
            let rows = page.items.into_iter().map(Item::parse).collect::<Result<Vec<Row>>>()?;
            let is_whole = page.next.is_some() || rows.last().is_none_or(is_first);
            if is_whole && is_dense(&rows)? {
                return Ok(Some(Page { items: rows, next: page.next }));
            }
        }
        Ok(None)
    }

    /// Returns one page of the caller's conversations.
    pub(crate) async fn conversations(
        &self,
        context: &Context,
        permit: Own,
        wanted: &Wanted,
    ) -> Result<Page<Conversation>> {
        let (caller, Wanted { size, token }) = (permit.id(), wanted);
        let query = self.store.conversations(permit).limit(size.get());
        let query = match token.as_str() {
            "" => query,
            token => query.after(self.tokens.open(caller.as_bytes(), CONVERSATIONS, token)?),
        };
        let rows = query.page().await?;
        let mut next = rows.next.clone();
        let heads = rows.parse::<Head>()?;
        if heads.is_empty() {
            return Ok(Page::whole(Vec::new()));
        }
        let peer_side = permit.side().other();
        let peers = heads.iter().map(|head| head.pair().of(peer_side));
        let (newest, keys, mut names) = tokio::try_join!(
            self.store.newest(permit, &heads),
            self.keyring.keys(context, heads.iter().map(|head| head.pair().client.into())),
            self.names(context, peer_side, peers),
        )?;
        if permit.side() == Side::Client && keys.is_empty() {
            return Err(Error::account_ended());
        }
        let mut newest = by_pair(&heads, newest)?;
        let (mut conversations, mut bytes) = (Vec::with_capacity(heads.len()), 0);
        for (at, head) in heads.iter().enumerate() {
            let member = permit.of(head.pair())?;
            // Skips a conversation that was erased since the index was written.
            let Some((row, key)) = newest.remove(&head.pair()).zip(keys.get(&head.pair().client.into())) else {
                continue;
            };
            let last = self.store.open(member, key, row)?;
            bytes += last.text.as_str().len();
            let peer_name = names.remove(&member.peer()).unwrap_or_default();
            conversations.push(Conversation { permit: member, peer_name, last, unread: head.unread(permit.side()) });
            if bytes >= MAX_TEXT_BYTES && at + 1 < heads.len() {
                next = Some(cursor_of(head, permit.side()));
                break;
            }
        }
        let seal = |place| self.tokens.seal(caller.as_bytes(), CONVERSATIONS, &place);
        Ok(Page { items: conversations, next: next.map(seal).transpose()? })
    }

    /// Returns the names of people of one side, by one call. People without a profile are left out.
    async fn names(
        &self,
        context: &Context,
        side: Side,
        ids: impl Iterator<Item = UserId>,
    ) -> Result<HashMap<UserId, String>> {
        Ok(match side {
            Side::Client => {
                let names = self.clients.of(context, ids.map(UserId::into)).await?;
                names.into_iter().map(|(id, name)| (id.into(), name)).collect()
            }
            Side::Therapist => {
                let names = self.therapists.of(context, ids.map(UserId::into)).await?;
                names.into_iter().map(|(id, it)| (id.into(), it.name)).collect()
            }
        })
    }
}

fn is_first(row: &Row) -> bool {
    row.position().is_ok_and(|position| position == Position(1))
}

/// Returns whether the positions of the rows have no gap.
pub(crate) fn is_dense(rows: &[Row]) -> Result<bool> {
    let positions = rows.iter().map(Row::position).collect::<Result<Vec<_>>>()?;
    Ok(positions.windows(2).all(|pair| matches!(pair, [one, next] if one.0.abs_diff(next.0) == 1)))
}

/// Maps the newest messages to their conversations.
fn by_pair(heads: &[Head], items: Vec<Item>) -> Result<HashMap<Pair, Row>> {
    let pairs: HashMap<_, _> = heads.iter().map(|head| (thread(head.pair()), head.pair())).collect();
    let row = |item: Item| {
        let pair = item.text("pk").and_then(|pk| pairs.get(pk)).copied();
        let pair = pair.ok_or_else(|| Error::internal("a message was read that nobody asked for"))?;
        Ok((pair, item.parse()?))
    };
    items.into_iter().map(row).collect()
}
