use aws_sdk_dynamodb::types::{
    CancellationReason, ConditionCheck, Delete, Get, Put, ReturnConsumedCapacity, ReturnValuesOnConditionCheckFailure,
    TransactGetItem, TransactWriteItem, Update,
};
use kernel::{Error, Result};
use retry::Policy;

use crate::call::{retry_conflicts, traced};
use crate::condition::{Condition, Placeholders};
use crate::fault::{Rejection, is_passing};
use crate::item::{Attributes, Item, Key};
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

struct Check {
    table: Table,
    key: Attributes,
    condition: Condition,
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

/// Outcome of a transaction.
#[derive(Debug)]
#[must_use]
pub enum Transact {
    /// All of it is done.
    Done,
    /// Nothing is done: the condition of at least one action does not hold. One verdict per action, in their order.
    Failed(Vec<Verdict>),
}

/// DynamoDB's verdict on one action of a failed transaction.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// It did not cause the failure.
    Fine,
    /// Its condition does not hold of the item that is there, if one is.
    ConditionFailed(Option<Item>),
}

impl Verdict {
    /// Returns true if the action's condition does not hold.
    #[must_use]
    pub const fn is_condition_failed(&self) -> bool {
        matches!(self, Self::ConditionFailed(_))
    }
}

impl Table {
    /// Returns a transaction's condition on the item with this key, which no other action of it may touch.
    pub fn check(&self, key: &Key, condition: Condition) -> Action {
        Action::from(Check { table: self.clone(), key: key.attributes(self.def), condition })
    }

    /// Applies all actions or none: 1 to 100, each on another item. Costs twice the single writes.
    ///
    /// # Errors
    /// UNAVAILABLE, ABORTED (`CONFLICT`) when others keep changing the same items, or INTERNAL; never for a condition
    /// that does not hold.
    pub async fn transact(&self, actions: impl IntoIterator<Item = Action>) -> Result<Transact> {
        transact(self, actions.into_iter().collect()).await
    }

    /// Reads the items with these keys, 1 to 100 and each once, as they are at one moment. One item per key, in their
    /// order; none if it is missing. Costs twice the consistent reads.
    ///
    /// # Errors
    /// UNAVAILABLE, also when others keep changing the same items, or INTERNAL.
    pub async fn transact_get(&self, keys: &[Key]) -> Result<Vec<Option<Item>>> {
        let gets: Vec<_> = keys.iter().map(|key| render_get(self, key)).collect::<Result<_>>()?;
        let request = self
            .sdk
            .transact_get_items()
            .set_transact_items(Some(gets))
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let mut attempts = Policy::DYNAMODB.start(&*self.entropy);
        while attempts.next().await {
            let call = request.clone().send();
            match traced(GET, &self.name, |output| output.consumed_capacity(), call).await {
                Ok(output) => {
                    let answers = output.responses.unwrap_or_default().into_iter();
                    return Ok(answers.map(|answer| answer.item.map(Item)).collect());
                }
                Err(Rejection::Cancelled(reasons)) => {
                    let rejection = classify(GET, reasons);
                    if !matches!(rejection, Rejection::Conflict) {
                        return Err(rejection.into_error());
                    }
                }
                Err(rejection) => return Err(rejection.into_error()),
            }
        }
        Err(Rejection::Conflict.into_error())
    }
}

const GET: &str = "TransactGetItems";
const WRITE: &str = "TransactWriteItems";

async fn transact(table: &Table, actions: Vec<Action>) -> Result<Transact> {
    let items: Vec<TransactWriteItem> = actions.into_iter().map(Action::render).collect::<Result<_>>()?;
    let request = table
        .sdk
        .transact_write_items()
        .set_transact_items(Some(items))
        .return_consumed_capacity(ReturnConsumedCapacity::Total);
    // The SDK sends a token with each call, so that an attempt it repeats is not done twice.
    let outcome = retry_conflicts(&*table.entropy, || {
        let call = request.clone().send();
        async {
            match traced(WRITE, &table.name, |output| output.consumed_capacity(), call).await {
                Err(Rejection::Cancelled(reasons)) => Err(classify(WRITE, reasons)),
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

const CONDITION_FAILED: &str = "ConditionalCheckFailed";

/// Maps the reasons to one rejection: a failed condition comes first, then any reason that is no conflict, then
/// conflicts.
fn classify(operation: &str, reasons: Vec<CancellationReason>) -> Rejection {
    let codes = || reasons.iter().filter_map(|reason| reason.code()).filter(|code| *code != "None");
    if codes().any(|code| code == CONDITION_FAILED) {
        return Rejection::Cancelled(reasons);
    }
    if let Some(code) = codes().find(|code| *code != "TransactionConflict") {
        let cause = format!("{operation} was cancelled: {code}");
        return Rejection::Fault(if is_passing(code) { Error::unavailable(cause) } else { Error::internal(cause) });
    }
    Rejection::Conflict
}

fn verdict(reason: CancellationReason) -> Verdict {
    if reason.code() == Some(CONDITION_FAILED) {
        Verdict::ConditionFailed(reason.item.filter(|item| !item.is_empty()).map(Item))
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

fn render_get(table: &Table, key: &Key) -> Result<TransactGetItem> {
    let get = Get::builder().table_name(&*table.name).set_key(Some(key.attributes(table.def)));
    Ok(TransactGetItem::builder().get(get.build().map_err(Error::internal)?).build())
}

fn render_put(PutRequest { table, item, condition }: PutRequest) -> Result<Put> {
    let mut placeholders = Placeholders::default();
    let condition = condition.map(|condition| condition.render(table.def.key, &mut placeholders)).transpose()?;
    let (names, values) = placeholders.split();
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
    let Rendered { table, key, update, condition, names, values, expected: _ } = update.render()?;
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
    let mut placeholders = Placeholders::default();
    let condition = condition.map(|condition| condition.render(table.def.key, &mut placeholders)).transpose()?;
    let (names, values) = placeholders.split();
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
    let mut placeholders = Placeholders::default();
    let condition = condition.render(table.def.key, &mut placeholders)?;
    let (names, values) = placeholders.split();
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
