use aws_sdk_dynamodb::types::{ReturnConsumedCapacity, ReturnValue, ReturnValuesOnConditionCheckFailure};
use kernel::Result;
use serde::Serialize;

use crate::call::{Attempts, past_conflicts, traced};
use crate::condition::{Condition, Words};
use crate::fault::Rejection;
use crate::item::{Attributes, Item, Key, value};
use crate::table::Table;

/// What became of a new item.
#[derive(Debug)]
#[must_use]
pub enum Put {
    /// It is stored.
    Done,
    /// There is one with this key already; nothing was changed.
    Exists(Item),
}

/// What became of a conditional write.
#[derive(Debug)]
#[must_use]
pub enum Update {
    /// The item as it is now.
    Done(Item),
    /// The condition does not hold of the item that is there, if one is; nothing was changed.
    Unmet(Option<Item>),
}

/// What became of a deletion.
#[derive(Debug)]
#[must_use]
pub enum Delete {
    /// There is no such item any more: this one was deleted, if there was one.
    Done(Option<Item>),
    /// The condition does not hold of the item that is there, if one is; nothing was changed.
    Unmet(Option<Item>),
}

/// A write of a whole item, whatever was there. Made by [`Table::put`].
#[must_use]
pub struct PutRequest {
    pub(crate) table: Table,
    pub(crate) item: Result<Item>,
    pub(crate) condition: Option<Condition>,
}

impl PutRequest {
    /// Only if this holds.
    pub fn when(mut self, condition: Condition) -> Self {
        self.condition = Some(condition);
        self
    }

    /// Runs it.
    ///
    /// # Errors
    /// UNAVAILABLE, ABORTED (`CONFLICT`) or INTERNAL; never for a condition that does not hold.
    pub async fn run(self) -> Result<Update> {
        let Self { table, item, condition } = self;
        let item = item?;
        let mut words = Words::default();
        let condition = condition.map(|condition| condition.render(table.def.key, &mut words)).transpose()?;
        let (names, values) = words.split();
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
        let outcome = past_conflicts(|| {
            let call = request.clone().customize().interceptor(attempts.clone()).send();
            traced("PutItem", &table.name, |output| output.consumed_capacity.as_slice(), call)
        })
        .await;
        match outcome {
            Ok(_) => Ok(Update::Done(item)),
            Err(Rejection::Unmet(Some(old))) if attempts.repeated() && old == item => Ok(Update::Done(item)),
            Err(rejection) => rejection.unmet().map(Update::Unmet),
        }
    }
}

/// A change of some attributes. Made by [`Table::update`].
///
/// The item is made if it is not there, unless a condition forbids.
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

    /// Only if this holds.
    pub fn when(mut self, condition: Condition) -> Self {
        self.condition = Some(condition);
        self
    }

    /// Runs it.
    ///
    /// # Errors
    /// UNAVAILABLE, ABORTED (`CONFLICT`) or INTERNAL; never for a condition that does not hold.
    pub async fn run(self) -> Result<Update> {
        let Rendered { table, key, update, condition, names, values, wanted } = self.render()?;
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
        let outcome = past_conflicts(|| {
            let call = request.clone().customize().interceptor(attempts.clone()).send();
            traced("UpdateItem", &table.name, |output| output.consumed_capacity.as_slice(), call)
        })
        .await;
        match outcome {
            Ok(output) => Ok(Update::Done(Item(output.attributes.unwrap_or_default()))),
            Err(Rejection::Unmet(Some(old)))
                if attempts.repeated() && wanted.is_some_and(|wanted| wanted.held_by(&old)) =>
            {
                Ok(Update::Done(old))
            }
            Err(rejection) => rejection.unmet().map(Update::Unmet),
        }
    }

    pub(crate) fn render(self) -> Result<Rendered> {
        let Self { table, key, changes, condition } = self;
        let mut words = Words::default();
        let condition = condition.map(|condition| condition.render(table.def.key, &mut words)).transpose()?;
        let (mut sets, mut adds, mut removes) = (Vec::new(), Vec::new(), Vec::new());
        let mut wanted = Wanted::default();
        for change in changes {
            match change {
                Change::Set(attribute, to) => {
                    let to = to?;
                    sets.push(format!("{} = {}", words.name(attribute), words.value(to.clone())));
                    wanted.set.insert(attribute.to_owned(), to);
                }
                Change::Add(attribute, amount) => {
                    adds.push(format!("{} {}", words.name(attribute), words.value(value(&amount)?)));
                }
                Change::Remove(attribute) => {
                    removes.push(words.name(attribute));
                    wanted.removed.push(attribute);
                }
            }
        }
        // After an addition nobody can tell whether it was ours.
        let wanted = (adds.is_empty() && !wanted.set.is_empty()).then_some(wanted);
        let clauses: Vec<String> = [("SET", sets), ("ADD", adds), ("REMOVE", removes)]
            .into_iter()
            .filter(|(_, parts)| !parts.is_empty())
            .map(|(word, parts)| format!("{word} {}", parts.join(", ")))
            .collect();
        let update = (!clauses.is_empty()).then(|| clauses.join(" "));
        let (names, values) = words.split();
        Ok(Rendered { table, key, update, condition, names, values, wanted })
    }
}

pub(crate) struct Rendered {
    pub(crate) table: Table,
    pub(crate) key: Attributes,
    pub(crate) update: Option<String>,
    pub(crate) condition: Option<String>,
    pub(crate) names: Option<std::collections::HashMap<String, String>>,
    pub(crate) values: Option<Attributes>,
    pub(crate) wanted: Option<Wanted>,
}

/// What an update leaves behind: how a repeated attempt knows the work of the first.
#[derive(Default)]
pub(crate) struct Wanted {
    set: Attributes,
    removed: Vec<&'static str>,
}

impl Wanted {
    fn held_by(&self, item: &Item) -> bool {
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
    /// Only if this holds.
    pub fn when(mut self, condition: Condition) -> Self {
        self.condition = Some(condition);
        self
    }

    /// Runs it. An attempt that is repeated because its answer got lost finds nothing to delete any more: whoever needs
    /// to know what was there reads it before.
    ///
    /// # Errors
    /// UNAVAILABLE, ABORTED (`CONFLICT`) or INTERNAL; never for a condition that does not hold.
    pub async fn run(self) -> Result<Delete> {
        let Self { table, key, condition } = self;
        let mut words = Words::default();
        let condition = condition.map(|condition| condition.render(table.def.key, &mut words)).transpose()?;
        let (names, values) = words.split();
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
        let outcome = past_conflicts(|| {
            let call = request.clone().customize().interceptor(attempts.clone()).send();
            traced("DeleteItem", &table.name, |output| output.consumed_capacity.as_slice(), call)
        })
        .await;
        match outcome {
            Ok(output) => Ok(Delete::Done(output.attributes.filter(|old| !old.is_empty()).map(Item))),
            Err(Rejection::Unmet(None)) if attempts.repeated() => Ok(Delete::Done(None)),
            Err(rejection) => rejection.unmet().map(Delete::Unmet),
        }
    }
}

pub(crate) fn with_key<T: Serialize + ?Sized>(table: &Table, key: &Key, item: &T) -> Result<Item> {
    let mut item = Item::of(item)?;
    item.0.extend(key.attributes(table.def));
    Ok(item)
}
