//! Account data for others: the RPC of other services, and the addresses for an operator's migration.

use std::sync::Arc;

use chassis::{Context, to_status};
use kernel::{Email, Result as Outcome, UserId};
use proto::auth::v1 as pb;
use proto::auth::v1::account_service_server::AccountService;
use tonic::{Request, Response, Status};

use crate::ops::Ops;
use crate::store::{Store, USERS};

/// Implementation of `AccountService`.
#[derive(Clone)]
pub(crate) struct Accounts(pub(crate) Arc<Ops>);

impl Accounts {
    async fn own_address(&self, context: Context) -> Outcome<pb::GetOwnAddressResponse> {
        let account = self.0.store.account(context.person()?.user_id).await?;
        Ok(pb::GetOwnAddressResponse { email: account.map(|account| account.email).unwrap_or_default() })
    }
}

#[tonic::async_trait]
impl AccountService for Accounts {
    async fn get_own_address(
        &self,
        request: Request<pb::GetOwnAddressRequest>,
    ) -> Result<Response<pb::GetOwnAddressResponse>, Status> {
        let context = Context::of(&request);
        let pb::GetOwnAddressRequest {} = request.into_inner();
        self.own_address(context).await.map(Response::new).map_err(to_status)
    }
}

/// The addresses of all accounts, for a migration that an operator runs beside the services.
#[derive(Debug, Clone)]
pub struct Addresses(Store);

impl Addresses {
    /// Returns the addresses in this DynamoDB.
    #[must_use]
    pub fn new(dynamodb: &dynamo::Client) -> Self {
        Self(Store::new(dynamodb.table(&USERS)))
    }

    /// Returns the address of an account, read consistently; nothing when there is no such account any more.
    ///
    /// # Errors
    /// UNAVAILABLE or INTERNAL.
    pub async fn of(&self, user: UserId) -> Outcome<Option<Email>> {
        Ok(self.0.account(user).await?.map(|account| account.address()))
    }
}
