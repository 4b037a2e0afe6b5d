use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity};
use kernel::{Error, Result};
use serde::de::DeserializeOwned;

use crate::call::traced;
use crate::condition::Placeholders;
use crate::def::{IndexDef, KeyDef};
use crate::fault::Rejection;
use crate::frame::frame;
use crate::item::{Cursor, Item};
use crate::table::{Read, Table};

/// The sort keys that a query selects. Text is ordered by its UTF-8 bytes.
#[derive(Clone, PartialEq, Eq)]
pub enum Sort {
    /// Equal to this one.
    Is(String),
    /// With this prefix; the empty prefix selects all.
    BeginsWith(String),
    /// From the first to the second, both included. DynamoDB refuses a first that comes after the second.
    Between(String, String),
    /// Less than this one.
    Before(String),
    /// Less than or equal to this one.
    UpTo(String),
    /// Greater than or equal to this one.
    From(String),
    /// Greater than this one.
    After(String),
}

/// A read of one partition in the order of the sort key. Made by [`Table::query`] and [`Table::query_index`].
#[must_use]
#[derive(Clone)]
pub struct Query {
    table: Table,
    index: Option<&'static IndexDef>,
    partition: String,
    sort: Option<Sort>,
    descending: bool,
    read: Read,
    limit: Option<u16>,
    after: Option<Cursor>,
}

/// The page that one Query returns.
#[derive(Debug)]
pub struct Rows {
    /// The items, in order.
    pub items: Vec<Item>,
    /// The cursor of the next page; none at the end. May be set though nothing follows.
    pub next: Option<Cursor>,
}

impl Rows {
    /// Parses the items as a type of the domain.
    ///
    /// # Errors
    /// INTERNAL when one has another shape.
    pub fn parse<T: DeserializeOwned>(self) -> Result<Vec<T>> {
        self.items.into_iter().map(Item::parse).collect()
    }
}

impl Table {
    /// Returns a query for the items of a partition, in the order of the sort key.
    pub fn query(&self, partition: impl Into<String>) -> Query {
        Query::new(self.clone(), None, partition.into())
    }

    /// Returns a query for the items of a partition of an index. An index lags behind: permission checks never read it.
    pub fn query_index(&self, index: &'static IndexDef, partition: impl Into<String>) -> Query {
        Query::new(self.clone(), Some(index), partition.into())
    }
}

impl Query {
    const fn new(table: Table, index: Option<&'static IndexDef>, partition: String) -> Self {
        Self { table, index, partition, sort: None, descending: false, read: Read::Eventual, limit: None, after: None }
    }

    /// Restricts the query to these sort keys.
    pub fn sort(mut self, sort: Sort) -> Self {
        self.sort = Some(sort).filter(|sort| *sort != Sort::BeginsWith(String::new()));
        self
    }

    /// Reverses the order: from the last to the first.
    pub const fn descending(mut self) -> Self {
        self.descending = true;
        self
    }

    /// Makes the read consistent: it sees every acknowledged write. DynamoDB refuses this for an index.
    pub const fn consistent(mut self) -> Self {
        self.read = Read::Consistent;
        self
    }

    /// Sets the maximum items of a page. Without it a page ends only at 1 MB.
    pub const fn limit(mut self, limit: u16) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Starts after the end of a page.
    pub fn after(mut self, cursor: Cursor) -> Self {
        self.after = Some(cursor);
        self
    }

    /// Starts after this cursor, if there is one.
    pub(crate) fn starting_after(self, place: Option<Cursor>) -> Self {
        Self { after: place, ..self }
    }

    /// Returns the cursor right after an item of the query.
    pub(crate) fn cursor_of(&self, item: &Item) -> Result<Cursor> {
        let names =
            self.table.def.key.attributes().chain(self.index.into_iter().flat_map(|index| index.key.attributes()));
        let parts = names.map(|name| Some((name.to_owned(), item.text(name)?.to_owned())));
        let parts: Option<Vec<_>> = parts.collect();
        parts.map(Cursor::new).ok_or_else(|| Error::internal("an item has no text where its key belongs"))
    }

    /// Reads one page by one Query: it ends at the limit, at 1 MB, or at the end.
    ///
    /// # Errors
    /// UNAVAILABLE or INTERNAL.
    pub async fn page(self) -> Result<Rows> {
        let mut placeholders = Placeholders::default();
        let condition = self.render(&mut placeholders)?;
        let (names, values) = placeholders.split();
        let Self { table, index, descending, read, limit, after, partition: _, sort: _ } = self;
        let call = table
            .sdk
            .query()
            .table_name(&*table.name)
            .set_index_name(index.map(|index| index.name.to_owned()))
            .key_condition_expression(condition)
            .set_expression_attribute_names(names)
            .set_expression_attribute_values(values)
            .scan_index_forward(!descending)
            .consistent_read(read == Read::Consistent)
            .set_limit(limit.map(i32::from))
            .set_exclusive_start_key(after.map(Cursor::into_attributes))
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send();
        let output = traced("Query", &table.name, |output| output.consumed_capacity.as_slice(), call)
            .await
            .map_err(Rejection::into_error)?;
        Ok(Rows {
            items: output.items.unwrap_or_default().into_iter().map(Item).collect(),
            next: output.last_evaluated_key.filter(|key| !key.is_empty()).map(Cursor::from_attributes).transpose()?,
        })
    }

    /// Returns the data that a page token is bound to: everything that decides the items and their order.
    pub(crate) fn binding(&self) -> Vec<u8> {
        let (word, first, second) = match &self.sort {
            None => ("", "", ""),
            Some(Sort::Is(key)) => ("is", &**key, ""),
            Some(Sort::BeginsWith(prefix)) => ("begins with", &**prefix, ""),
            Some(Sort::Between(first, last)) => ("between", &**first, &**last),
            Some(Sort::Before(key)) => ("before", &**key, ""),
            Some(Sort::UpTo(key)) => ("up to", &**key, ""),
            Some(Sort::From(key)) => ("from", &**key, ""),
            Some(Sort::After(key)) => ("after", &**key, ""),
        };
        let index = self.index.map_or("", |index| index.name);
        let order = if self.descending { "descending" } else { "ascending" };
        frame([self.table.def.name, index, &self.partition, word, first, second, order].map(str::as_bytes))
    }

    pub(crate) fn accepts(&self, cursor: &Cursor) -> bool {
        cursor.fits(self.table.def.key, self.index.map(|index| index.key))
    }

    const fn key(&self) -> KeyDef {
        match self.index {
            Some(index) => index.key,
            None => self.table.def.key,
        }
    }

    fn render(&self, placeholders: &mut Placeholders) -> Result<String> {
        let key = self.key();
        let partition = format!(
            "{} = {}",
            placeholders.name(key.partition),
            placeholders.value(AttributeValue::S(self.partition.clone()))
        );
        let Some(sort) = &self.sort else { return Ok(partition) };
        let attribute = key.sort.ok_or_else(|| Error::internal("the query sorts by a key that has no order"))?;
        let name = placeholders.name(attribute);
        let mut text = |text: &String| placeholders.value(AttributeValue::S(text.clone()));
        let sort = match sort {
            Sort::Is(key) => format!("{name} = {}", text(key)),
            Sort::BeginsWith(prefix) => format!("begins_with({name}, {})", text(prefix)),
            Sort::Between(first, last) => format!("{name} BETWEEN {} AND {}", text(first), text(last)),
            Sort::Before(key) => format!("{name} < {}", text(key)),
            Sort::UpTo(key) => format!("{name} <= {}", text(key)),
            Sort::From(key) => format!("{name} >= {}", text(key)),
            Sort::After(key) => format!("{name} > {}", text(key)),
        };
        Ok(format!("{partition} AND {sort}"))
    }
}
