use tonic::Response;
use tonic::metadata::MetadataValue;

/// The metadata that tells a REST caller the token of the next page.
pub const NEXT_PAGE_TOKEN: &str = "x-next-page-token";

/// An answer that is one page of a list: the token of the next one stands in its metadata too, where the message itself
/// is not shown (over REST a list is an array).
#[must_use]
pub fn paged<T>(message: T, next: Option<&str>) -> Response<T> {
    let mut response = Response::new(message);
    if let Some(token) = next.and_then(|token| MetadataValue::try_from(token).ok()) {
        response.metadata_mut().insert(NEXT_PAGE_TOKEN, token);
    }
    response
}
