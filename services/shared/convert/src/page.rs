//! Pages of lists.

use kernel::{FieldError, Page, PageSize};

/// Converts the requested number of items of a page.
///
/// # Errors
/// If it is negative.
pub fn size_from_proto(size: i32) -> Result<PageSize, FieldError> {
    PageSize::from_request(size).ok_or(FieldError::NEGATIVE)
}

/// Converts the token of the next page, which is empty after the last one.
#[must_use]
pub fn token_from_proto(token: String) -> Option<String> {
    Some(token).filter(|token| !token.is_empty())
}

/// Converts a page to its items and the token of the next page, which is empty after the last one.
#[must_use]
pub fn to_proto<T>(page: Page<T>) -> (Vec<T>, String) {
    let Page { items, next } = page;
    (items, next.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn negative_size_is_refused() {
        assert_eq!(size_from_proto(-1), Err(FieldError::NEGATIVE));
        assert_eq!(size_from_proto(7).map(PageSize::get), Ok(7));
    }

    #[test]
    fn last_page_has_empty_token() {
        assert_eq!(to_proto(Page::whole(vec![1])), (vec![1], String::new()));
        assert_eq!(to_proto(Page { items: vec![1], next: Some("t".to_owned()) }), (vec![1], "t".to_owned()));
        assert_eq!((token_from_proto(String::new()), token_from_proto("t".to_owned())), (None, Some("t".to_owned())));
    }
}
