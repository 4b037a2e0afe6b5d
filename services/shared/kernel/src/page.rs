/// Number of items on a page: 1 to 200, 50 by default (AIP-158).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageSize(u16);

impl PageSize {
    const DEFAULT: Self = Self(50);
    /// The most that a page holds.
    pub const MAX: Self = Self(200);

    /// Returns the size that a request asks for: the default for zero, the maximum for more than that, none for less
    /// than zero.
    #[must_use]
    pub fn from_request(asked: i32) -> Option<Self> {
        match u16::try_from(asked) {
            Ok(0) => Some(Self::DEFAULT),
            Ok(size) => Some(Self(size.min(Self::MAX.0))),
            Err(_) if asked > 0 => Some(Self::MAX),
            Err(_) => None,
        }
    }

    /// The size as a number.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// Items of the page.
    pub items: Vec<T>,
    /// The opaque token of the next page, if there may be one.
    pub next: Option<String>,
}

impl<T> Page<T> {
    /// A page that is the whole list.
    #[must_use]
    pub const fn whole(items: Vec<T>) -> Self {
        Self { items, next: None }
    }

    /// The same page of other items.
    #[must_use]
    pub fn map<U>(self, f: impl FnMut(T) -> U) -> Page<U> {
        Page { items: self.items.into_iter().map(f).collect(), next: self.next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_size_is_50_by_default_and_200_at_most() {
        let cases = [
            (0, Some(50)),
            (1, Some(1)),
            (200, Some(200)),
            (201, Some(200)),
            (i32::MAX, Some(200)),
            (-1, None),
            (i32::MIN, None),
        ];
        for (asked, expected) in cases {
            assert_eq!(PageSize::from_request(asked).map(PageSize::get), expected, "{asked}");
        }
    }
}
