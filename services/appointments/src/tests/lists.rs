use kernel::{ClientId, Kind, PageSize, Party, Role, TherapistId};
use kit::engine::Engine;

use super::{HOUR, World, person};
use crate::model::{Appointment, Wanted};
use crate::policy::{self, Own};
use crate::transition::{Action, Status};

kit::on_each_engine!(
    pages_of_any_size_list_own_appointments,
    filters_use_current_status_and_peer,
    page_token_is_bound_to_list_and_caller,
);

fn wanted(peer: Option<Party>, status: Option<Status>, size: i32, token: &str) -> Wanted {
    Wanted { peer, status, size: PageSize::from_request(size).unwrap(), token: token.to_owned() }
}

impl World {
    fn own_of_therapist(&self) -> Own {
        policy::list(person(Role::Therapist, self.therapist.into()), "", "").unwrap()
    }

    /// Returns the items of all pages.
    async fn all(&self, own: Own, peer: Option<Party>, status: Option<Status>, size: i32) -> Vec<Appointment> {
        let (mut all, mut token) = (Vec::new(), String::new());
        loop {
            let page = self.ops.list(own, &wanted(peer, status, size, &token)).await.unwrap();
            assert!(page.items.len() <= usize::try_from(size).unwrap());
            all.extend(page.items);
            match page.next {
                Some(next) => token = next,
                None => return all,
            }
        }
    }

    /// Creates requests by three clients in turn, each for another session, and rejects all but three. Returns them
    /// newest first.
    async fn many(&self, count: u32) -> Vec<Appointment> {
        let clients: Vec<ClientId> = (0..3).map(|_| self.user().into()).collect();
        let mut all = Vec::new();
        for number in 0..count {
            let session = self.slot(number % 5 + 1);
            let client = clients[usize::try_from(number).unwrap() % 3];
            self.clock.advance(std::time::Duration::from_millis(1));
            let asked = self.ask(client, session).await.unwrap();
            let keep = number < 9 && number % 3 == 0;
            all.push(if keep { asked } else { self.therapist(asked.id, Action::Reject).await.unwrap() });
        }
        all.reverse();
        all
    }
}

/// The order is newest first.
async fn pages_of_any_size_list_own_appointments(engine: Engine) {
    let world = World::new(engine).await;
    let all = world.many(25).await;
    for size in [1, 2, 7, 24, 25, 26, 200] {
        assert_eq!(world.all(world.own_of_therapist(), None, None, size).await, all, "{size}");
    }
    let client = all[0].pair.client;
    let own = policy::list(person(Role::Client, client.into()), "", "").unwrap();
    let theirs: Vec<_> = all.iter().filter(|it| it.pair.client == client).cloned().collect();
    assert_eq!(world.all(own, None, None, 3).await, theirs);
    let nobody = policy::list(person(Role::Client, world.user()), "", "").unwrap();
    assert_eq!(world.all(nobody, None, None, 3).await, []);
}

async fn filters_use_current_status_and_peer(engine: Engine) {
    let world = World::new(engine).await;
    let all = world.many(25).await;
    world.advance(HOUR * 2);
    let now = world.ops.now();
    let clients = [all[0].pair.client, all[1].pair.client, all[2].pair.client, ClientId::from_bytes([3; 16])];
    let peers = clients.into_iter().map(|id| Some(Party::Client(id))).chain([None]);
    for peer in peers {
        for status in [None, Some(Status::Pending), Some(Status::Expired), Some(Status::Rejected)] {
            let admitted = |it: &&Appointment| {
                peer.is_none_or(|peer| peer == Party::Client(it.pair.client))
                    && status.is_none_or(|status| status == it.status_at(now))
            };
            let expected: Vec<_> = all.iter().filter(admitted).cloned().collect();
            for size in [1, 4, 200] {
                let listed = world.all(world.own_of_therapist(), peer, status, size).await;
                assert_eq!(listed, expected, "{peer:?} {status:?} {size}");
            }
        }
    }
    let some = world.all(world.own_of_therapist(), None, Some(Status::Expired), 200).await;
    assert!(!some.is_empty() && some.len() < all.len());
}

async fn page_token_is_bound_to_list_and_caller(engine: Engine) {
    let world = World::new(engine).await;
    let all = world.many(6).await;
    let own = world.own_of_therapist();
    let token = world.ops.list(own, &wanted(None, None, 2, "")).await.unwrap().next.unwrap();
    let page = async |own, wanted: Wanted| world.ops.list(own, &wanted).await.map_err(|error| error.kind());
    assert_eq!(page(own, wanted(None, None, 2, &token)).await.unwrap().items, all[2..4]);
    let another = policy::list(person(Role::Therapist, world.user()), "", "").unwrap();
    let client = policy::list(person(Role::Client, world.therapist.into()), "", "").unwrap();
    let therapist = Some(Party::Therapist(TherapistId::from_bytes([1; 16])));
    for (own, wanted) in [
        (another, wanted(None, None, 2, &token)),
        (client, wanted(None, None, 2, &token)),
        (own, wanted(Some(Party::Client(all[0].pair.client)), None, 2, &token)),
        (own, wanted(therapist, None, 2, &token)),
        (own, wanted(None, Some(Status::Rejected), 2, &token)),
        (own, wanted(None, None, 2, "token")),
    ] {
        assert_eq!(page(own, wanted).await.err(), Some(Kind::InvalidArgument));
    }
}
