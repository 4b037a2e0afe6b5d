//! Crashes at every call of an update of the index: from one call on, none of the first mesh reaches the tables. A second
//! mesh over the same tables completes what was begun.

use std::fs;
use std::path::PathBuf;

use futures_util::future::join_all;
use kit::engine::Engine;
use kit::fault::{Mode, Proxy};
use kit::mesh::TestMesh;
use mesh::Config;

use crate::search::SOON;
use crate::search::desk::{Desk, all_is_indexed};
use crate::search::steps::{Command, WORDS};
use crate::world::NEVER;

kit::on_each_engine!(crash_at_any_call_of_update_leaves_consistent_index);

/// Number of crashes at a time, each at another call.
const AT_ONCE: usize = 4;

/// Files of the secrets that meshes over the same tables share.
struct Secrets {
    _directory: tempfile::TempDir,
    secrets: PathBuf,
    keys: PathBuf,
}

impl Secrets {
    fn make() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (secrets, keys) = (directory.path().join("secrets"), directory.path().join("keys"));
        fs::write(&secrets, "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=\n").unwrap();
        fs::write(&keys, "CAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAg=\n").unwrap();
        Self { _directory: directory, secrets, keys }
    }

    fn set(&self, config: &mut Config) {
        config.storage.secrets_file = Some(self.secrets.clone());
        config.storage.key_encryption_keys_file = Some(self.keys.clone());
    }
}

async fn crash_at_any_call_of_update_leaves_consistent_index(engine: Engine) {
    for first in (0..).step_by(AT_ONCE) {
        let is_cut = join_all((first..first + AT_ONCE).map(|step| crash(engine, step))).await;
        if is_cut.contains(&false) {
            assert!(first > 0, "an update takes several calls");
            return;
        }
    }
}

/// Crashes at this call of the index. Returns false if the update takes fewer.
async fn crash(engine: Engine, step: usize) -> bool {
    let secrets = Secrets::make();
    let direct = engine.endpoint().await;
    let proxy = Proxy::start(&direct);
    let first = TestMesh::start_with(engine, |config| {
        secrets.set(config);
        config.dynamodb.endpoint = Some(proxy.endpoint());
        config.server.health_interval = NEVER;
        config.account_deletion.recovery_interval = NEVER;
    });
    let first = first.await;
    let desk = Desk::open(&first).await;
    let target = Command::Correct.prepare(&first, &desk).await;
    let mut config = first.dynamodb.clone();
    config.endpoint = Some(direct);
    let store = config.clone().connect(kit::entropy::seeded()).await;
    all_is_indexed(&store).await;

    let index = format!("{}SearchIndex", config.table_prefix);
    proxy.only(move |call| call.names(&index));
    proxy.next(std::iter::repeat_n(Mode::Pass, step));
    proxy.set(Mode::Hang).await;
    Command::Correct.play(&first, &desk, &target).await.expect(200);
    // The crash comes as soon as a call is cut off, unless the update takes fewer.
    let is_cut = tokio::select! {
        () = proxy.held() => true,
        () = all_is_indexed(&store) => false,
    };
    let second = TestMesh::start_with(engine, |settings| {
        secrets.set(settings);
        settings.dynamodb = config;
        settings.account_deletion.recovery_interval = SOON;
    });
    let second = second.await;
    all_is_indexed(&store).await;
    desk.assert_consistent(&second, &WORDS).await;
    second.stop().await;
    is_cut
}
