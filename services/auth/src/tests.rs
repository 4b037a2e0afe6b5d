//! Tests of ended logins, on both engines.

mod addresses;
mod budgets;
mod refreshes;

use std::sync::Arc;
use std::time::Duration;

use chassis::{Platform, SystemEntropy, Tasks, server};
use clap::Parser;
use dynamo::secret::{Secret, Secrets};
use kernel::{Email, LoginId, ManualClock, Role, Timestamp, UserId};
use kit::engine::Engine;
use proto::auth::v1 as pb;
use proto::auth::v1::login_service_server::LoginService as _;
use tonic::{Code, Request, Status};

use crate::login::Login;
use crate::model::RefreshToken;
use crate::service::Logins;
use crate::store::{Account, Changed};
use crate::{Config, Deps, USERS, ops};

kit::on_each_engine!(
    logout_or_expiry_ends_login,
    refresh_extends_login_and_reuse_ends_it,
    password_change_ends_other_logins,
    account_deletion_ends_its_logins,
    unknown_login_counts_as_ended,
    more_than_200_logins_are_rejected,
);

const LIFE: Duration = Duration::from_secs(30 * 24 * 3600);

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    server: server::Config,

    #[command(flatten)]
    config: Config,
}

struct World {
    logins: Logins,
    clock: ManualClock,
    dynamodb: dynamo::Client,
}

/// Somebody with logins.
struct Somebody {
    account: Account,
    email: Email,
    logins: Vec<LoginId>,
}

impl Somebody {
    fn login_refs(&self) -> Vec<(String, String)> {
        self.logins.iter().map(|login| (self.account.user_id.to_string(), login.to_string())).collect()
    }
}

impl World {
    async fn new(engine: Engine) -> Self {
        let dynamodb = engine.client().await;
        dynamodb.create_or_verify(&[&USERS]).await.unwrap();
        // In the year 2100: what expires by this clock must not have expired by the engines' own.
        Self::over(dynamodb, Timestamp::from_second(4_102_444_800).unwrap(), |_| ()).await
    }

    /// Returns a replica over an existing table, with its clock at this time.
    async fn over(dynamodb: dynamo::Client, now: Timestamp, change: impl FnOnce(&mut Config)) -> Self {
        let clock = ManualClock::new(now);
        let platform =
            Platform { clock: Arc::new(clock.clone()), entropy: Arc::new(SystemEntropy), tasks: Tasks::default() };
        let Cli { server, mut config } = Cli::parse_from(["test"]);
        change(&mut config);
        let (secrets, identity) = (Secrets::new(Secret::new([7; 32]), vec![]), server.identity().clone());
        let ops = ops(config, Deps { dynamodb: dynamodb.clone(), secrets, identity, platform }).await.unwrap();
        Self { logins: Logins(Arc::new(ops)), clock, dynamodb }
    }

    /// Creates an account with this many logins.
    async fn somebody(&self, logins: usize) -> Somebody {
        let id = UserId::generate(&self.clock, &SystemEntropy);
        let email: Email = format!("{id}@example.org").parse().unwrap();
        let account = Account::new(id, &email, Role::Client, self.logins.0.clock.now());
        assert!(self.logins.0.store.add_account(&account, &email, "a hash".to_owned()).await.unwrap());
        let mut somebody = Somebody { account, email, logins: vec![] };
        for _ in 0..logins {
            let login = LoginId::generate(&self.clock, &SystemEntropy);
            let now = self.logins.0.clock.now();
            let new = Login::begun(1, now, now.saturating_add(LIFE).unwrap().as_second());
            self.logins.0.store.add_login(id, login, new).await.unwrap();
            somebody.logins.push(login);
        }
        somebody
    }

    async fn ask(&self, login_refs: Vec<(String, String)>) -> Result<Vec<String>, Status> {
        let login = |(user_id, login_id)| pb::Login { user_id, login_id };
        let request = pb::ListEndedLoginsRequest { logins: login_refs.into_iter().map(login).collect() };
        Ok(self.logins.list_ended_logins(Request::new(request)).await?.into_inner().login_ids)
    }

    /// Returns the numbers of somebody's logins that have ended.
    async fn ended(&self, somebody: &Somebody) -> Vec<usize> {
        let ended = self.ask(somebody.login_refs()).await.unwrap();
        let number = |id: &String| somebody.logins.iter().position(|login| login.to_string() == *id).unwrap();
        let mut numbers: Vec<_> = ended.iter().map(number).collect();
        numbers.sort_unstable();
        numbers
    }
}

async fn logout_or_expiry_ends_login(engine: Engine) {
    let world = World::new(engine).await;
    let asha = world.somebody(3).await;
    assert_eq!(world.ended(&asha).await, [0; 0]);
    world.logins.0.store.end_login(asha.account.user_id, asha.logins[1]).await.unwrap();
    assert_eq!(world.ended(&asha).await, [1]);
    world.clock.advance(LIFE - Duration::from_secs(1));
    assert_eq!(world.ended(&asha).await, [1]);
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(world.ended(&asha).await, [0, 1, 2]);
}

async fn refresh_extends_login_and_reuse_ends_it(engine: Engine) {
    let world = World::new(engine).await;
    let asha = world.somebody(2).await;
    let (ops, user) = (&world.logins.0, asha.account.user_id);
    let token = |login| ops.refresh_tokens.seal(RefreshToken { user, login, generation: 1 });
    world.clock.advance(LIFE / 2);
    for login in &asha.logins {
        assert!(ops.refresh(&token(*login)).await.is_ok());
    }
    world.clock.advance(LIFE / 2);
    assert_eq!(world.ended(&asha).await, [0; 0]);
    assert!(ops.refresh(&token(asha.logins[0])).await.is_err());
    assert_eq!(world.ended(&asha).await, [0]);
}

async fn password_change_ends_other_logins(engine: Engine) {
    let world = World::new(engine).await;
    let (asha, ravi) = (world.somebody(3).await, world.somebody(1).await);
    let (hashes, now) = (("a hash", "another hash"), world.logins.0.clock.now());
    let changed =
        world.logins.0.store.change_password(&asha.account, &asha.email.folded(), hashes, asha.logins[2], now).await;
    assert!(matches!(changed, Ok(Changed::Done)));
    assert_eq!(world.ended(&asha).await, [0, 1]);
    assert_eq!(world.ended(&ravi).await, [0; 0]);
}

async fn account_deletion_ends_its_logins(engine: Engine) {
    let world = World::new(engine).await;
    let (asha, ravi) = (world.somebody(2).await, world.somebody(1).await);
    world.logins.0.end_account(asha.account.user_id).await.unwrap();
    assert_eq!(world.ended(&asha).await, [0, 1]);
    // A login that was stored during the deletion.
    let late = Login::begun(1, world.logins.0.clock.now(), i64::MAX);
    world.logins.0.store.add_login(asha.account.user_id, asha.logins[0], late).await.unwrap();
    assert_eq!(world.ended(&asha).await, [0, 1]);
    assert_eq!(world.ended(&ravi).await, [0; 0]);
}

async fn unknown_login_counts_as_ended(engine: Engine) {
    let world = World::new(engine).await;
    let (asha, ravi) = (world.somebody(1).await, world.somebody(1).await);
    let (her, her_login) = asha.login_refs().remove(0);
    let (_, his_login) = ravi.login_refs().remove(0);
    let never = LoginId::generate(&world.clock, &SystemEntropy).to_string();
    for (user, login) in
        [(&her, &never), (&her, &his_login), (&her, &"none".to_owned()), (&"nobody".to_owned(), &her_login)]
    {
        let login_refs = vec![(user.clone(), login.clone())];
        assert_eq!(world.ask(login_refs).await.unwrap(), std::slice::from_ref(login), "{user} {login}");
    }
    assert!(world.ask(vec![]).await.unwrap().is_empty());
}

async fn more_than_200_logins_are_rejected(engine: Engine) {
    let world = World::new(engine).await;
    let asha = world.somebody(200).await;
    assert_eq!(world.ended(&asha).await, [0; 0]);
    let one_more = asha.login_refs().into_iter().chain([("nobody".to_owned(), "none".to_owned())]).collect();
    assert_eq!(world.ask(one_more).await.unwrap_err().code(), Code::InvalidArgument);
}
