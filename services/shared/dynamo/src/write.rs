use aws_sdk_dynamodb::types::{ReturnConsumedCapacity, ReturnValue, ReturnValuesOnConditionCheckFailure};
use kernel::{Error, Result};
use serde::Serialize;

use crate::call::{Attempts, retry_conflicts, traced};
use crate::condition::{Condition, Placeholders};
use crate::fault::Rejection;
use crate::item::{Attributes, Item, Key, value};
use crate::table::Table;

/// Outcome of [`Table::put_new`].
#[derive(Debug)]
#[must_use]
pub enum Put {
    /// It is stored.
    Done,
    /// There is one with this key already; nothing was changed.
    Exists(Item),
}

/// Outcome of a conditional write.
#[derive(Debug)]
#[must_use]
pub enum Update {
    /// The item as it is now.
    Done(Item),
    /// The condition does not hold of the item that is there, if one is; nothing was changed.
    ConditionFailed(Option<Item>),
}

/// Outcome of a deletion.
#[derive(Debug)]
#[must_use]
pub enum Delete {
    /// There is no such item any more: this one was deleted, if there was one.
    Done(Option<Item>),
    /// The condition does not hold of the item that is there, if one is; nothing was changed.
    ConditionFailed(Option<Item>),
}

impl Table {
    /// Stores an item if none has its key.
    ///
    /// # Errors
    /// UNAVAILABLE, ABORTED (`CONFLICT`) or INTERNAL; never because the item exists.
    pub async fn put_new<T: Serialize + ?Sized>(&self, key: &Key, item: &T) -> Result<Put> {
        match self.put(key, item).when(Condition::absent()).run().await? {
            Update::Done(_) => Ok(Put::Done),
            Update::ConditionFailed(Some(old)) => Ok(Put::Exists(old)),
            Update::ConditionFailed(None) => Err(Error::internal("DynamoDB kept the item that exists to itself")),
        }
    }

    /// Returns a write of a whole item. Its key attributes are those of `key`, also if the item has others.
    ///
    /// serde writes `None` as NULL, which an index refuses as a key: skip it (`skip_serializing_if`).
    pub fn put<T: Serialize + ?Sized>(&self, key: &Key, item: &T) -> PutRequest {
        PutRequest { table: self.clone(), item: with_key(self, key, item), condition: None }
    }

    /// Returns a change of some attributes of the item with this key.
    pub fn update(&self, key: &Key) -> UpdateRequest {
        let key = key.attributes(self.def);
        UpdateRequest { table: self.clone(), key, changes: Vec::new(), condition: None }
    }

    /// Returns a deletion of the item with this key.
    pub fn delete(&self, key: &Key) -> DeleteRequest {
        DeleteRequest { table: self.clone(), key: key.attributes(self.def), condition: None }
    }
}

/// A write of a whole item that replaces an existing one. Made by [`Table::put`].
#[must_use]
pub struct PutRequest {
    pub(crate) table: Table,
    pub(crate) item: Result<Item>,
    pub(crate) condition: Option<Condition>,
}

impl PutRequest {
    /// Adds the condition for the write to happen.
    pub fn when(mut self, condition: Condition) -> Self {
        self.condition = Some(condition);
        self
    }

    /// Runs the request.
    ///
    /// # Errors
    /// UNAVAILABLE, ABORTED (`CONFLICT`) or INTERNAL; never for a condition that does not hold.
    pub async fn run(self) -> Result<Update> {
        let Self { table, item, condition } = self;
        let item = item?;
        let mut placeholders = Placeholders::default();
        let condition = condition.map(|condition| condition.render(table.def.key, &mut placeholders)).transpose()?;
        let (names, values) = placeholders.split();
        let request = table
            .sdk
            .put_item()
            .table_name(&*table.name)
            .set_item(Some(item.0.clone()))
            .set_condition_expression(condition)
            .set_expression_attribute_names(names)
            .set_expression_attribute_values(values)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let attempts = Attempts::default();
        let outcome = retry_conflicts(&*table.entropy, || {
            let call = request.clone().customize().interceptor(attempts.clone()).send();
            traced("PutItem", &table.name, |output| output.consumed_capacity.as_slice(), call)
        })
        .await;
        match outcome {
            Ok(_) => Ok(Update::Done(item)),
            Err(Rejection::ConditionFailed(Some(old))) if attempts.repeated() && old == item => Ok(Update::Done(item)),
            Err(rejection) => rejection.into_failed_condition().map(Update::ConditionFailed),
        }
    }
}

/// A change of some attributes. Made by [`Table::update`].
///
/// A missing item is created unless a condition forbids it.
#[must_use]
pub struct UpdateRequest {
    pub(crate) table: Table,
    pub(crate) key: Attributes,
    pub(crate) changes: Vec<Change>,
    pub(crate) condition: Option<Condition>,
}

pub(crate) enum Change {
    Set(&'static str, Result<aws_sdk_dynamodb::types::AttributeValue>),
    Add(&'static str, i64),
    Remove(&'static str),
}

impl UpdateRequest {
    /// Sets an attribute.
    pub fn set(mut self, attribute: &'static str, to: impl Serialize) -> Self {
        self.changes.push(Change::Set(attribute, value(&to)));
        self
    }

    /// Adds to a number; one that is not there counts as 0.
    pub fn add(mut self, attribute: &'static str, amount: i64) -> Self {
        self.changes.push(Change::Add(attribute, amount));
        self
    }

    /// Removes an attribute, and with it the item from every index that has it in its key.
    pub fn remove(mut self, attribute: &'static str) -> Self {
        self.changes.push(Change::Remove(attribute));
        self
    }

    /// Adds the condition for the write to happen.
    pub fn when(mut self, condition: Condition) -> Self {
        self.condition = Some(condition);
        self
    }

    /// Runs the request.
    ///
    /// # Errors
    /// UNAVAILABLE, ABORTED (`CONFLICT`) or INTERNAL; never for a condition that does not hold.
    pub async fn run(self) -> Result<Update> {
        let Rendered { table, key, update, condition, names, values, expected } = self.render()?;
        let request = table
            .sdk
            .update_item()
            .table_name(&*table.name)
            .set_key(Some(key))
            .set_update_expression(update)
            .set_condition_expression(condition)
            .set_expression_attribute_names(names)
            .set_expression_attribute_values(values)
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let attempts = Attempts::default();
        let outcome = retry_conflicts(&*table.entropy, || {
            let call = request.clone().customize().interceptor(attempts.clone()).send();
            traced("UpdateItem", &table.name, |output| output.consumed_capacity.as_slice(), call)
        })
        .await;
        match outcome {
            Ok(output) => Ok(Update::Done(Item(output.attributes.unwrap_or_default()))),
            Err(Rejection::ConditionFailed(Some(old)))
                if attempts.repeated() && expected.is_some_and(|expected| expected.matches(&old)) =>
            {
                Ok(Update::Done(old))
            }
            Err(rejection) => rejection.into_failed_condition().map(Update::ConditionFailed),
        }
    }

    pub(crate) fn render(self) -> Result<Rendered> {
        let Self { table, key, changes, condition } = self;
        let mut placeholders = Placeholders::default();
        let condition = condition.map(|condition| condition.render(table.def.key, &mut placeholders)).transpose()?;
        let (mut sets, mut adds, mut removes) = (Vec::new(), Vec::new(), Vec::new());
        let mut expected = ExpectedState::default();
        for change in changes {
            match change {
                Change::Set(attribute, to) => {
                    let to = to?;
                    sets.push(format!("{} = {}", placeholders.name(attribute), placeholders.value(to.clone())));
                    expected.set.insert(attribute.to_owned(), to);
                }
                Change::Add(attribute, amount) => {
                    adds.push(format!("{} {}", placeholders.name(attribute), placeholders.value(value(&amount)?)));
                }
                Change::Remove(attribute) => {
                    removes.push(placeholders.name(attribute));
                    expected.removed.push(attribute);
                }
            }
        }
        // The result of an addition doesn't show which attempt made it.
        let expected = (adds.is_empty() && !expected.set.is_empty()).then_some(expected);
        let clauses: Vec<String> = [("SET", sets), ("ADD", adds), ("REMOVE", removes)]
            .into_iter()
            .filter(|(_, parts)| !parts.is_empty())
            .map(|(word, parts)| format!("{word} {}", parts.join(", ")))
            .collect();
        let update = (!clauses.is_empty()).then(|| clauses.join(" "));
        let (names, values) = placeholders.split();
        Ok(Rendered { table, key, update, condition, names, values, expected })
    }
}

pub(crate) struct Rendered {
    pub(crate) table: Table,
    pub(crate) key: Attributes,
    pub(crate) update: Option<String>,
    pub(crate) condition: Option<String>,
    pub(crate) names: Option<std::collections::HashMap<String, String>>,
    pub(crate) values: Option<Attributes>,
    pub(crate) expected: Option<ExpectedState>,
}

/// The attributes after an update, by which a repeated attempt recognizes the first one's write.
#[derive(Default)]
pub(crate) struct ExpectedState {
    set: Attributes,
    removed: Vec<&'static str>,
}

impl ExpectedState {
    fn matches(&self, item: &Item) -> bool {
        self.set.iter().all(|(name, value)| item.0.get(name) == Some(value))
            && self.removed.iter().all(|name| !item.0.contains_key(*name))
    }
}

/// A deletion. Made by [`Table::delete`].
#[must_use]
pub struct DeleteRequest {
    pub(crate) table: Table,
    pub(crate) key: Attributes,
    pub(crate) condition: Option<Condition>,
}

impl DeleteRequest {
    /// Adds the condition for the write to happen.
    pub fn when(mut self, condition: Condition) -> Self {
        self.condition = Some(condition);
        self
    }

    /// Runs the request. An attempt that is repeated because its answer got lost finds nothing to delete any more: to
    /// know the deleted item, read it before.
    ///
    /// # Errors
    /// UNAVAILABLE, ABORTED (`CONFLICT`) or INTERNAL; never for a condition that does not hold.
    pub async fn run(self) -> Result<Delete> {
        let Self { table, key, condition } = self;
        let mut placeholders = Placeholders::default();
        let condition = condition.map(|condition| condition.render(table.def.key, &mut placeholders)).transpose()?;
        let (names, values) = placeholders.split();
        let request = table
            .sdk
            .delete_item()
            .table_name(&*table.name)
            .set_key(Some(key))
            .set_condition_expression(condition)
            .set_expression_attribute_names(names)
            .set_expression_attribute_values(values)
            .return_values(ReturnValue::AllOld)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let attempts = Attempts::default();
        let outcome = retry_conflicts(&*table.entropy, || {
            let call = request.clone().customize().interceptor(attempts.clone()).send();
            traced("DeleteItem", &table.name, |output| output.consumed_capacity.as_slice(), call)
        })
        .await;
        match outcome {
            Ok(output) => Ok(Delete::Done(output.attributes.filter(|old| !old.is_empty()).map(Item))),
            Err(Rejection::ConditionFailed(None)) if attempts.repeated() => Ok(Delete::Done(None)),
            Err(rejection) => rejection.into_failed_condition().map(Delete::ConditionFailed),
        }
    }
}

fn with_key<T: Serialize + ?Sized>(table: &Table, key: &Key, item: &T) -> Result<Item> {
    let mut item = Item::of(item)?;
    item.0.extend(key.attributes(table.def));
    Ok(item)
}
