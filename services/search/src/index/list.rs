use dynamo::{Cursor, Sort};
use kernel::{Error, Result};

use crate::index::document::{Document, DocumentId};
use crate::index::forward::Forward;
use crate::index::scope::{FORWARD, Scope, forward, parse_forward};
use crate::index::{Index, SEARCH_INDEX};

/// A document as it is indexed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Indexed {
    /// The document.
    pub document: Document,
    /// Its version.
    pub version: u64,
    /// The number of its terms.
    pub terms: usize,
    /// True if the write of this version is complete.
    pub is_settled: bool,
}

/// A page of the documents of a scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexedPage {
    /// The documents, in the order of their ids. Removed ones are left out.
    pub documents: Vec<Indexed>,
    /// The id after which the next page begins; none at the end. May be set though nothing follows.
    pub next: Option<DocumentId>,
}

impl Index {
    /// Lists the documents of a scope in the order of their ids, by one Query of at most `limit` of them.
    ///
    /// # Errors
    /// UNAVAILABLE or INTERNAL.
    pub async fn list(&self, scope: &Scope, after: Option<DocumentId>, limit: u16) -> Result<IndexedPage> {
        let partition = scope.partition().to_string();
        let query = self.table.query(&*partition).sort(Sort::BeginsWith(FORWARD.to_owned())).consistent().limit(limit);
        let query = match after {
            Some(id) => {
                let (pk, sk) = (SEARCH_INDEX.key.partition, SEARCH_INDEX.key.sort.unwrap_or_default());
                query.after(Cursor::new([(pk.to_owned(), partition), (sk.to_owned(), forward(id))]))
            }
            None => query,
        };
        let rows = query.page().await?;
        let (mut documents, mut last) = (Vec::new(), None);
        for item in rows.items {
            let id = item.text("sk").and_then(parse_forward);
            let id = id.ok_or_else(|| Error::internal("a forward item has another key"))?;
            last = Some(id);
            let Forward { target, is_settled, .. } = Forward::open(&self.table, scope, &scope.forward(id), item)?;
            if !target.is_removed {
                let document = Document::new(target.millisecond, id);
                documents.push(Indexed { document, version: target.version, terms: target.tags.len(), is_settled });
            }
        }
        Ok(IndexedPage { documents, next: last.filter(|_| rows.next.is_some()) })
    }
}
