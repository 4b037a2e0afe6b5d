use std::fmt;

use prost::bytes::Bytes;

/// `google.api.HttpBody`: an answer that fronts pass to REST callers as it is, or one part of a stream of them.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
#[prost(skip_debug)]
pub struct HttpBody {
    /// The content type; of a stream, the one of its first part counts.
    #[prost(string, tag = "1")]
    pub content_type: String,
    /// The body, or the next part of it.
    #[prost(bytes = "bytes", tag = "2")]
    pub data: Bytes,
}

/// Prints no data: people may have written it.
impl fmt::Debug for HttpBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpBody").field("content_type", &self.content_type).finish_non_exhaustive()
    }
}
