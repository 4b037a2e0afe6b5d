use std::sync::Arc;

use dynamo::secret::{Secret, Secrets};
use dynamo::{Key, Read, Table};
use kernel::{ClientId, LoginId, ManualClock, Person, Role, Timestamp, UserId};
use kit::engine::Engine;
use kit::entropy::SeededEntropy;

use crate::chain::Signers;
use crate::link::Linker;
use crate::model::{Access, AccessId, Action};
use crate::ops::Recorder;
use crate::store::{Place, Record, Store, record_key};
use crate::{AUDIT, Chain, Finding, Heads, Report, policy, verify};

/// The fixture of a table with its store, recorder and clock.
pub(crate) struct World {
    pub(crate) dynamodb: dynamo::Client,
    pub(crate) table: Table,
    pub(crate) store: Store,
    pub(crate) clock: ManualClock,
    pub(crate) entropy: Arc<SeededEntropy>,
    pub(crate) recorder: Recorder,
}

pub(crate) fn secrets(numbers: &[u8]) -> Secrets {
    let mut secrets = numbers.iter().map(|number| Secret::new([*number; 32]));
    Secrets::new(secrets.next().unwrap(), secrets.collect())
}

impl World {
    pub(crate) async fn new(engine: Engine) -> Self {
        Self::over(engine.client().await).await
    }

    pub(crate) async fn over(dynamodb: dynamo::Client) -> Self {
        dynamodb.create_or_verify(&[&AUDIT]).await.unwrap();
        let table = dynamodb.table(&AUDIT);
        let store = Store::new(table.clone());
        let clock = ManualClock::new(Timestamp::from_second(4_102_444_800).unwrap());
        let entropy = Arc::new(SeededEntropy::default());
        let recorder =
            Recorder { store: store.clone(), clock: Arc::new(clock.clone()), entropy: Arc::clone(&entropy) as _ };
        Self { dynamodb, table, store, clock, entropy, recorder }
    }

    pub(crate) fn client(&self) -> ClientId {
        ClientId::generate(&self.clock, &*self.entropy)
    }

    pub(crate) fn linker(&self, numbers: &[u8]) -> Linker {
        let signers = Signers::new(&secrets(numbers)).unwrap();
        Linker::new(self.store.clone(), Arc::new(signers), Arc::new(self.clock.clone()))
    }

    /// Records an access of one of three therapists.
    pub(crate) async fn read_by_therapist(&self, client: ClientId, number: u32) -> AccessId {
        let therapist = u8::try_from(number % 3).unwrap();
        let user_id = UserId::from_bytes([therapist; 16]);
        let person = Person { user_id, role: Role::Therapist, login_id: LoginId::from_bytes([9; 16]) };
        let actions = [Action::List, Action::Entry, Action::Insight];
        let action = actions[usize::from(therapist)];
        let entry_id = if action == Action::Entry { format!("entry {number}") } else { String::new() };
        let access = Access { action, entry_count: number, entry_id, grant_id: format!("grant {therapist}") };
        self.recorder.record(policy::therapist(person).unwrap().reading(client), access).await.unwrap()
    }

    /// Links until no record is unlinked.
    pub(crate) async fn link_all(&self, linker: &Linker) {
        while self.waiting().await > 0 {
            linker.link_once().await;
        }
    }

    pub(crate) async fn waiting(&self) -> usize {
        let mut count = 0;
        for query in self.store.waiting(policy::all_chains()) {
            count += query.page().await.unwrap().items.len();
        }
        count
    }

    pub(crate) async fn verify(&self, numbers: &[u8], client: Option<ClientId>) -> Report {
        self.verify_knowing(&Heads::default(), numbers, client).await.0
    }

    /// Verifies against the heads known from before; returns also the heads known now.
    pub(crate) async fn verify_knowing(
        &self,
        known: &Heads,
        numbers: &[u8],
        client: Option<ClientId>,
    ) -> (Report, Heads) {
        let (mut chains, mut heads) = (0, known.clone());
        let note = |chain: &Chain| {
            chains += 1;
            heads.note(chain);
        };
        let report = verify(&self.dynamodb, &secrets(numbers), client, known, note).await.unwrap();
        assert_eq!(chains, report.chains);
        (report, heads)
    }

    /// Returns the ids of a client's linked records in the order of the chain.
    pub(crate) async fn linked(&self, client: ClientId) -> Vec<AccessId> {
        let mut linked = Vec::new();
        let mut query = Some(self.store.records(policy::all_chains(), client));
        while let Some(page) = query.take() {
            let rows = page.page().await.unwrap();
            for item in rows.items {
                let record = Record::try_from(item).unwrap();
                if let Place::Linked(link) = record.place {
                    linked.push((link.seq, record.facts.id));
                }
            }
            query = rows.next.map(|cursor| self.store.records(policy::all_chains(), client).after(cursor));
        }
        linked.sort_unstable();
        let numbers: Vec<_> = linked.iter().map(|(seq, _)| *seq).collect();
        assert!(numbers.iter().copied().eq(1..=numbers.len() as u64), "gapless: {numbers:?}");
        linked.into_iter().map(|(_, id)| id).collect()
    }

    pub(crate) async fn record(&self, client: ClientId, id: AccessId) -> Record {
        let item = self.table.get_item(&record_key(client, id), Read::Consistent).await.unwrap();
        Record::try_from(item.expect("the record is there")).unwrap()
    }

    pub(crate) async fn delete(&self, key: &Key) {
        self.table.delete(key).run().await.map(drop).unwrap();
    }
}

pub(crate) fn findings(report: &Report) -> Vec<String> {
    report.findings.iter().map(Finding::to_string).collect()
}
