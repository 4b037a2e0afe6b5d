use aws_sdk_dynamodb::types::{
    CancellationReason, ConditionCheck, Delete, Put, ReturnConsumedCapacity, ReturnValuesOnConditionCheckFailure,
    TransactWriteItem, Update,
};
use kernel::{Error, Result};

use crate::call::{past_conflicts, traced};
use crate::condition::{Condition, Words};
use crate::fault::{Rejection, is_passing};
use crate::item::{Attributes, Item};
use crate::table::Table;
use crate::write::{DeleteRequest, PutRequest, Rendered, UpdateRequest};

/// One write of a transaction: a put, an update, a deletion or a check.
#[must_use]
pub struct Action(Box<Kind>);

enum Kind {
    Put(PutRequest),
    Update(UpdateRequest),
    Delete(DeleteRequest),
    Check(Check),
}

pub(crate) struct Check {
    pub(crate) table: Table,
    pub(crate) key: Attributes,
    pub(crate) condition: Condition,
}

impl From<PutRequest> for Action {
    fn from(put: PutRequest) -> Self {
        Self(Box::new(Kind::Put(put)))
    }
}

impl From<UpdateRequest> for Action {
    fn from(update: UpdateRequest) -> Self {
        Self(Box::new(Kind::Update(update)))
    }
}

impl From<DeleteRequest> for Action {
    fn from(delete: DeleteRequest) -> Self {
        Self(Box::new(Kind::Delete(delete)))
    }
}

impl From<Check> for Action {
    fn from(check: Check) -> Self {
        Self(Box::new(Kind::Check(check)))
    }
}

/// What became of a transaction.
#[derive(Debug)]
#[must_use]
pub enum Transact {
    /// All of it is done.
    Done,
    /// Nothing is done: the condition of at least one action does not hold. One verdict per action, in their order.
    Failed(Vec<Verdict>),
}

/// What DynamoDB says of one action of a transaction that failed.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// It did not stand in the way.
    Fine,
    /// Its condition does not hold of the item that is there, if one is.
    Unmet(Option<Item>),
}

impl Verdict {
    /// Whether the condition of the action does not hold.
    #[must_use]
    pub const fn is_unmet(&self) -> bool {
        matches!(self, Self::Unmet(_))
    }
}

pub(crate) async fn transact(table: &Table, actions: Vec<Action>) -> Result<Transact> {
    let items: Vec<TransactWriteItem> = actions.into_iter().map(Action::render).collect::<Result<_>>()?;
    let request = table
        .sdk
        .transact_write_items()
        .set_transact_items(Some(items))
        .return_consumed_capacity(ReturnConsumedCapacity::Total);
    // The SDK sends a token with each call, so that an attempt it repeats is not done twice.
    let outcome = past_conflicts(|| {
        let call = request.clone().send();
        async {
            match traced("TransactWriteItems", &table.name, |output| output.consumed_capacity(), call).await {
                Err(Rejection::Cancelled(reasons)) => Err(sort(reasons)),
                other => other,
            }
        }
    })
    .await;
    match outcome {
        Ok(_) => Ok(Transact::Done),
        Err(Rejection::Cancelled(reasons)) => Ok(Transact::Failed(reasons.into_iter().map(verdict).collect())),
        Err(rejection) => Err(rejection.into_error()),
    }
}

const UNMET: &str = "ConditionalCheckFailed";

/// A condition that does not hold decides, whatever else went wrong; then what passes; then what is our fault.
fn sort(reasons: Vec<CancellationReason>) -> Rejection {
    let codes = || reasons.iter().filter_map(|reason| reason.code()).filter(|code| *code != "None");
    if codes().any(|code| code == UNMET) {
        return Rejection::Cancelled(reasons);
    }
    if let Some(code) = codes().find(|code| *code != "TransactionConflict") {
        let cause = format!("TransactWriteItems was cancelled: {code}");
        return Rejection::Fault(if is_passing(code) { Error::unavailable(cause) } else { Error::internal(cause) });
    }
    Rejection::Conflict
}

fn verdict(reason: CancellationReason) -> Verdict {
    if reason.code() == Some(UNMET) {
        Verdict::Unmet(reason.item.filter(|item| !item.is_empty()).map(Item))
    } else {
        Verdict::Fine
    }
}

const ALL_OLD: ReturnValuesOnConditionCheckFailure = ReturnValuesOnConditionCheckFailure::AllOld;

impl Action {
    fn render(self) -> Result<TransactWriteItem> {
        let item = TransactWriteItem::builder();
        let item = match *self.0 {
            Kind::Put(put) => item.put(render_put(put)?),
            Kind::Update(update) => item.update(render_update(update)?),
            Kind::Delete(delete) => item.delete(render_delete(delete)?),
            Kind::Check(check) => item.condition_check(render_check(check)?),
        };
        Ok(item.build())
    }
}

fn render_put(PutRequest { table, item, condition }: PutRequest) -> Result<Put> {
    let mut words = Words::default();
    let condition = condition.map(|condition| condition.render(table.def.key, &mut words)).transpose()?;
    let (names, values) = words.split();
    Put::builder()
        .table_name(&*table.name)
        .set_item(Some(item?.0))
        .set_condition_expression(condition)
        .set_expression_attribute_names(names)
        .set_expression_attribute_values(values)
        .return_values_on_condition_check_failure(ALL_OLD)
        .build()
        .map_err(Error::internal)
}

fn render_update(update: UpdateRequest) -> Result<Update> {
    let Rendered { table, key, update, condition, names, values, wanted: _ } = update.render()?;
    Update::builder()
        .table_name(&*table.name)
        .set_key(Some(key))
        .set_update_expression(update)
        .set_condition_expression(condition)
        .set_expression_attribute_names(names)
        .set_expression_attribute_values(values)
        .return_values_on_condition_check_failure(ALL_OLD)
        .build()
        .map_err(Error::internal)
}

fn render_delete(DeleteRequest { table, key, condition }: DeleteRequest) -> Result<Delete> {
    let mut words = Words::default();
    let condition = condition.map(|condition| condition.render(table.def.key, &mut words)).transpose()?;
    let (names, values) = words.split();
    Delete::builder()
        .table_name(&*table.name)
        .set_key(Some(key))
        .set_condition_expression(condition)
        .set_expression_attribute_names(names)
        .set_expression_attribute_values(values)
        .return_values_on_condition_check_failure(ALL_OLD)
        .build()
        .map_err(Error::internal)
}

fn render_check(Check { table, key, condition }: Check) -> Result<ConditionCheck> {
    let mut words = Words::default();
    let condition = condition.render(table.def.key, &mut words)?;
    let (names, values) = words.split();
    ConditionCheck::builder()
        .table_name(&*table.name)
        .set_key(Some(key))
        .condition_expression(condition)
        .set_expression_attribute_names(names)
        .set_expression_attribute_values(values)
        .return_values_on_condition_check_failure(ALL_OLD)
        .build()
        .map_err(Error::internal)
}
