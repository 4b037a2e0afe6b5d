//! Tests of spellings of one address, also of those that an earlier version took for different addresses.

use chassis::SystemEntropy;
use dynamo::{Condition, Key, Transact};
use kernel::{Clock as _, Email, LoginId, Role, Timestamp, UserId};
use kit::engine::Engine;
use kit::fault::{Mode, Proxy};
use serde_json::Value;

use super::World;
use crate::USERS;
use crate::login::Login;
use crate::model::Registration;
use crate::password::Password;
use crate::rekey::{Collision, Outcome, Progress, rekey, rekey_addresses};
use crate::store::{Account, Changed, FoundCredential, Store};

kit::on_each_engine!(
    every_spelling_finds_account_of_earlier_version,
    spelling_of_earlier_version_gets_no_second_account,
    account_of_earlier_version_changes_password_and_ends,
    rekeyed_address_is_found_and_free_after_account_deletion,
    address_is_found_while_it_is_moved,
    colliding_accounts_keep_their_spellings,
    rekeying_retries_changed_credential_and_may_be_repeated,
    domain_that_cannot_exist_keeps_its_account,
);

const UNICODE: &str = "Asha@EXÄMPLE.org";
const PUNYCODE: &str = "asha@xn--exmple-cua.org";

fn email(text: &str) -> Email {
    text.parse().unwrap()
}

fn key(form: &str) -> Key {
    Key::new(format!("EMAIL#{form}"), "ACCOUNT")
}

impl World {
    fn store(&self) -> &Store {
        &self.logins.0.store
    }

    /// Stores an account of this version.
    async fn account(&self, text: &str) -> Account {
        let id = UserId::generate(&self.clock, &SystemEntropy);
        let account = Account::new(id, &email(text), Role::Client, self.clock.now());
        assert!(self.store().add_account(&account, &email(text), "a hash".to_owned()).await.unwrap(), "{text}");
        account
    }

    /// Stores an account as an earlier version did, also where this one would find its address taken.
    async fn old_account(&self, text: &str) -> Account {
        // Under an address of its own, which no test uses.
        let id = UserId::generate(&self.clock, &SystemEntropy);
        let account = Account::new(id, &email(text), Role::Client, self.clock.now());
        let aside = email(&format!("{id}@example.org"));
        assert!(self.store().add_account(&account, &aside, "a hash".to_owned()).await.unwrap());
        self.move_raw(&aside.folded(), &email(text).folded_before()).await;
        account
    }

    async fn move_raw(&self, from: &str, to: &str) {
        let table = self.dynamodb.table(&USERS);
        let item: Value = table.get(&key(from), dynamo::Read::Consistent).await.unwrap().unwrap();
        let put = table.put(&key(to), &item).when(Condition::absent());
        assert!(matches!(table.transact([put.into(), table.delete(&key(from)).into()]).await, Ok(Transact::Done)));
    }

    /// Returns the accounts that have this address, in the order in which they are tried.
    async fn found(&self, text: &str) -> Vec<UserId> {
        let found = self.store().credentials(&email(text)).await.unwrap();
        found.into_iter().map(|found| found.credential.user_id).collect()
    }

    /// Returns the reason for which this address is not registered.
    async fn refusal(&self, text: &str) -> String {
        let password = Password::chosen("seven quiet herons").unwrap();
        let registration = Registration { email: email(text), password, role: Role::Client };
        let refused = self.logins.0.register(registration, [192, 0, 2, 1].into()).await.map(drop).unwrap_err();
        refused.reason().to_owned()
    }

    async fn rekey(&self) -> (Progress, Vec<Collision>) {
        rekey_addresses(&self.dynamodb, |_| ()).await.unwrap()
    }
}

async fn every_spelling_finds_account_of_earlier_version(engine: Engine) {
    let world = World::new(engine).await;
    for (number, (stored, typed)) in [
        (UNICODE, PUNYCODE),
        (PUNYCODE, UNICODE),
        ("\"Asha\"@exämple.org", PUNYCODE),
        (UNICODE, "\"asha\"@exämple.org"),
    ]
    .into_iter()
    .enumerate()
    {
        // A mailbox of its own for each row.
        let [stored, typed] = [stored, typed].map(|text| text.to_lowercase().replace("asha", &format!("asha{number}")));
        let account = world.old_account(&stored).await;
        assert_eq!(world.found(&typed).await, [account.user_id], "{stored} {typed}");
        assert_eq!(world.refusal(&typed).await, "EMAIL_TAKEN", "{stored} {typed}");
    }
}

/// An account with such a spelling is found by that spelling alone before the rekeying.
async fn spelling_of_earlier_version_gets_no_second_account(engine: Engine) {
    let world = World::new(engine).await;
    for text in ["\"a\\sha\"@example.org", "ben@mail。exämple.org", "cara@xn--EXMPLE-CUA.org", "\"d.\\.a\"@example.org"]
    {
        let account = world.old_account(text).await;
        assert_eq!(world.found(text).await, [account.user_id], "{text}");
        assert_eq!(world.refusal(text).await, "EMAIL_TAKEN", "{text}");
        // Also if both registrations had found the address free.
        let twin =
            Account::new(UserId::generate(&world.clock, &SystemEntropy), &email(text), Role::Client, world.clock.now());
        assert!(!world.store().add_account(&twin, &email(text), "a hash".to_owned()).await.unwrap(), "{text}");
    }
}

async fn account_of_earlier_version_changes_password_and_ends(engine: Engine) {
    let world = World::new(engine).await;
    let (account, other) = (world.old_account(UNICODE).await, world.old_account(PUNYCODE).await);
    let FoundCredential { form, .. } = world.store().credentials(&account.address()).await.unwrap().remove(0);
    let (hashes, now) = (("a hash", "another hash"), world.clock.now());
    let id = LoginId::generate(&world.clock, &SystemEntropy);
    let login = Login::begun(1, now, i64::MAX);
    world.store().add_login(account.user_id, id, login).await.unwrap();
    let changed = world.store().change_password(&account, &form, hashes, id, now).await;
    assert!(matches!(changed, Ok(Changed::Done)));
    let hashes =
        world.store().credentials(&account.address()).await.unwrap().into_iter().map(|it| it.credential.password_hash);
    assert_eq!(hashes.collect::<Vec<_>>(), ["another hash", "a hash"]);

    world.logins.0.end_account(account.user_id).await.unwrap();
    assert_eq!(world.found(UNICODE).await, [other.user_id]);
    world.logins.0.end_account(other.user_id).await.unwrap();
    assert!(world.found(UNICODE).await.is_empty());
    world.account(UNICODE).await;
}

async fn rekeyed_address_is_found_and_free_after_account_deletion(engine: Engine) {
    let world = World::new(engine).await;
    let unicode = world.old_account(UNICODE).await;
    let quoted = world.old_account("\"b\\en\"@example.org").await;
    let plain = world.account("cara@example.org").await;
    assert_eq!(world.rekey().await, (Progress { moved: 2, collisions: 0 }, vec![]));
    for (text, account) in [
        (UNICODE, &unicode),
        (PUNYCODE, &unicode),
        ("\"b\\en\"@example.org", &quoted),
        ("ben@example.org", &quoted),
        ("cara@example.org", &plain),
    ] {
        assert_eq!(world.found(text).await, [account.user_id], "{text}");
        assert_eq!(world.refusal(text).await, "EMAIL_TAKEN", "{text}");
    }
    assert_eq!(world.store().account(unicode.user_id).await.unwrap().unwrap().email, UNICODE, "shown as it was typed");
    world.logins.0.end_account(unicode.user_id).await.unwrap();
    assert!(world.found(PUNYCODE).await.is_empty());
    world.account(PUNYCODE).await;
}

/// One call reads all forms: a move between two reads would hide the account from both.
async fn address_is_found_while_it_is_moved(engine: Engine) {
    let config = engine.config().await;
    let proxy = Proxy::start(&engine.endpoint().await);
    let proxied = dynamo::Config { endpoint: Some(proxy.endpoint()), ..config };
    let dynamodb = proxied.connect(kit::entropy::seeded()).await;
    dynamodb.create_or_verify(&[&USERS]).await.unwrap();
    let world = World::over(dynamodb, Timestamp::from_second(4_102_444_800).unwrap(), |_| ()).await;
    let account = world.old_account(UNICODE).await;
    let _ = proxy.take_calls();
    // The first attempt meets a move.
    proxy.next([Mode::Conflict]);
    assert_eq!(world.found(PUNYCODE).await, [account.user_id]);
    assert!(world.found("nobody@exämple.org").await.is_empty());
    let calls = ["TransactGetItems", "TransactGetItems", "TransactGetItems"];
    assert_eq!(proxy.take_calls(), calls, "an unknown address takes the same call");

    let moving = async {
        for _ in 0..8 {
            world.move_raw(&email(UNICODE).folded_before(), PUNYCODE).await;
            world.move_raw(PUNYCODE, &email(UNICODE).folded_before()).await;
        }
    };
    let looking_up = async {
        for text in [UNICODE, PUNYCODE].repeat(16) {
            assert_eq!(world.found(text).await, [account.user_id], "{text}");
        }
    };
    tokio::join!(moving, looking_up);
}

async fn colliding_accounts_keep_their_spellings(engine: Engine) {
    let world = World::new(engine).await;
    let (unicode, punycode) = (world.old_account(UNICODE).await, world.old_account(PUNYCODE).await);
    // Registered since, because no look-up leads from one spelling to the other.
    let (unusual, plain) = (world.old_account("\"b\\en\"@example.org").await, world.account("ben@example.org").await);
    for _ in 0..2 {
        assert_eq!(world.found(UNICODE).await, [unicode.user_id, punycode.user_id]);
        assert_eq!(world.found(PUNYCODE).await, [punycode.user_id, unicode.user_id]);
        assert_eq!(world.found("\"b\\en\"@example.org").await[0], unusual.user_id);
        assert_eq!(world.found("ben@example.org").await, [plain.user_id]);
        let (progress, mut collisions) = world.rekey().await;
        assert_eq!(progress, Progress { moved: 0, collisions: 2 });
        collisions.sort_by_key(|it| it.stays != unicode.user_id);
        let collision = |stays: &Account, has: &Account| Collision { stays: stays.user_id, has: has.user_id };
        assert_eq!(collisions, [collision(&unicode, &punycode), collision(&unusual, &plain)]);
    }
    // Once the other account has ended, the address is moved.
    world.logins.0.end_account(punycode.user_id).await.unwrap();
    assert_eq!(world.rekey().await.0, Progress { moved: 1, collisions: 1 });
    assert_eq!(world.found(PUNYCODE).await, [unicode.user_id]);
}

async fn rekeying_retries_changed_credential_and_may_be_repeated(engine: Engine) {
    let world = World::new(engine).await;
    let account = world.old_account(UNICODE).await;
    let FoundCredential { form, mut credential } = world.store().credentials(&email(UNICODE)).await.unwrap().remove(0);
    // Read before the password was changed.
    credential.epoch -= 1;
    credential.password_hash = "an older hash".to_owned();
    let stale = FoundCredential { form, credential };
    assert!(matches!(rekey(world.store(), stale.clone()).await, Ok(Outcome::Moved)));
    let found = world.store().credentials(&email(PUNYCODE)).await.unwrap().remove(0);
    assert_eq!((found.form.as_str(), found.credential.password_hash.as_str()), (PUNYCODE, "a hash"));
    assert_eq!(found.credential.user_id, account.user_id);
    // Another run that read the same page.
    assert!(matches!(rekey(world.store(), stale).await, Ok(Outcome::Settled)));
    assert_eq!(world.rekey().await, (Progress::default(), vec![]));
}

async fn domain_that_cannot_exist_keeps_its_account(engine: Engine) {
    let world = World::new(engine).await;
    let account = world.old_account("Asha@under_score.org").await;
    assert_eq!(world.rekey().await, (Progress::default(), vec![]));
    assert_eq!(world.found("ASHA@under_score.org").await, [account.user_id]);
    world.logins.0.end_account(account.user_id).await.unwrap();
    assert!(world.found("asha@under_score.org").await.is_empty());
}
