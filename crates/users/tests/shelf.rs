//! The library shelf: what its reader puts there and takes off, and that nobody else sees it.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests, where a panic is the verdict"
)]

mod common;

use antiphon_users::rows::ShelfRow;
use antiphon_users::shelf::Shelf;
use antiphon_users::{SHELF_MAX, SHELF_WRITERS_MAX};
use common::{Ask, FINN, ORLA, Person, START_MS, Service, Site, ask, signing_key};
use lattice::ReplicaId;
use messages::{StoryId, UserId};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::Arc;
use store::Abort;
use store::SeededWorld;

fn story(n: u16) -> String {
    story_id(n).to_string()
}

fn story_id(n: u16) -> StoryId {
    let [high, low] = n.to_be_bytes();
    StoryId::from_bytes([high, low, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7])
}

impl Person {
    fn shelf(&self) -> String {
        format!("{}/shelf", self.path())
    }

    /// A request about one story, with their token.
    fn ask(&self, method: &str, story: &str) -> Ask {
        ask(method, &format!("{}/{story}", self.shelf())).bearer(&self.token)
    }

    fn id(&self) -> UserId {
        self.id.parse().unwrap()
    }
}

impl Service {
    async fn orla(&self) -> Person {
        self.create(ORLA, r#"{"name":"Orla"}"#).await
    }

    async fn shelf(&self, of: &Person) -> Vec<String> {
        let (status, answer) = self.ok(ask("GET", &of.shelf()).bearer(&of.token)).await;
        assert_eq!(status, 200);
        let items = answer["items"].as_array().unwrap().iter();
        items.map(|item| item["story"].as_str().unwrap().to_owned()).collect()
    }

    /// Joins what a sibling replica is told to know into the row, as its row's merge will.
    async fn heard(&self, of: UserId, delta: Shelf) {
        let join = move |view: &mut store::View<'_>| {
            view.join::<ShelfRow>(&of, delta.clone())?;
            Ok::<_, Abort<Infallible>>(())
        };
        self.users.store().write(join).await.unwrap();
    }

    async fn row(&self, of: UserId) -> Shelf {
        self.users.store().reader().unwrap().get::<ShelfRow>(&of).await.unwrap().unwrap_or_default()
    }
}

/// What a sibling has whose reader put these stories on the shelf there.
fn sibling(stories: impl IntoIterator<Item = u16>) -> Shelf {
    let mut shelf = Shelf::default();
    for n in stories {
        shelf.put(ReplicaId::from_u128(0xab), story_id(n)).unwrap();
    }
    shelf
}

fn lies(story: &str, on_shelf: bool) -> (u16, Value) {
    (200, json!({"story": story, "on_shelf": on_shelf}))
}

#[tokio::test]
async fn a_story_is_put_on_the_shelf_and_taken_off_and_repeating_either_changes_nothing() {
    let site = Site::new();
    let service = site.start().await;
    let orla = service.orla().await;
    assert_eq!(service.shelf(&orla).await, [""; 0], "a shelf needs no making");
    let one = story(1);
    assert_eq!(service.ok(orla.ask("GET", &one)).await, lies(&one, false));

    let mut commits = Vec::new();
    for _ in 0..2 {
        assert_eq!(service.ok(orla.ask("PUT", &one)).await, lies(&one, true));
        assert_eq!(service.ok(orla.ask("GET", &one)).await, lies(&one, true));
        assert_eq!(service.shelf(&orla).await, [one.as_str()]);
        commits.push(site.disk.commits());
    }
    assert_eq!(commits[0], commits[1], "what is there already is not written again");

    for _ in 0..2 {
        assert_eq!(service.ok(orla.ask("DELETE", &one)).await, lies(&one, false));
        assert_eq!(service.shelf(&orla).await, [""; 0]);
        commits.push(site.disk.commits());
    }
    assert_eq!(commits[2], commits[3], "what is not there is not taken off again");

    service.ok(orla.ask("PUT", &one)).await;
    assert_eq!(service.shelf(&orla).await, [one], "taken off is not for ever");
}

#[tokio::test]
async fn a_shelf_is_its_readers_alone() {
    let site = Site::new();
    let service = site.start().await;
    let (orla, finn) = (service.orla().await, service.create(FINN, r#"{"name":"Finn"}"#).await);
    let one = story(1);
    service.ok(orla.ask("PUT", &one)).await;
    let before = site.disk.commits();
    let nobody = format!("/v1/users/{}/shelf", "0".repeat(32));
    for path in [orla.shelf(), nobody] {
        let requests = [
            ask("GET", &path),
            ask("GET", &format!("{path}/{one}")),
            ask("PUT", &format!("{path}/{one}")),
            ask("DELETE", &format!("{path}/{one}")),
        ];
        for request in requests {
            let (problem, _) = service.refused(request.bearer(&finn.token)).await;
            assert_eq!((problem.status, problem.field), (403, None), "nor does it tell whether there is one");
        }
        for (method, path) in [
            ("GET", path.clone()),
            ("GET", format!("{path}/{one}")),
            ("PUT", format!("{path}/{one}")),
            ("DELETE", format!("{path}/{one}")),
        ] {
            for request in [ask(method, &path), ask(method, &path).bearer("nonsense")] {
                let (problem, headers) = service.refused(request).await;
                assert_eq!((problem.status, problem.field.as_deref()), (401, Some("Authorization")));
                assert!(headers.contains_key("www-authenticate"));
            }
        }
    }
    assert_eq!(site.disk.commits(), before);
    assert_eq!(service.shelf(&finn).await, [""; 0]);

    let (_, headers, _) = service.send(ask("GET", &orla.shelf()).bearer(&orla.token)).await;
    assert_eq!(headers["cache-control"], "no-store", "what one reads stays in nobody's cache");
    let (_, headers, _) = service.send(orla.ask("GET", &one)).await;
    assert_eq!(headers["cache-control"], "no-store");
}

#[tokio::test]
async fn what_is_no_id_and_what_is_no_parameter() {
    let site = Site::new();
    let service = site.start().await;
    let orla = service.orla().await;
    let before = site.disk.commits();
    for wrong in ["7", &"A".repeat(32), &"0".repeat(33), "%00", "%FF"] {
        for method in ["GET", "PUT", "DELETE"] {
            let (problem, _) = service.refused(orla.ask(method, wrong)).await;
            assert_eq!((problem.status, problem.field.as_deref()), (400, Some("story")), "{method} {wrong}");
            let path = format!("/v1/users/{wrong}/shelf/{}", story(1));
            let (problem, _) = service.refused(ask(method, &path).bearer(&orla.token)).await;
            assert_eq!((problem.status, problem.field.as_deref()), (400, Some("user")), "{method} {path}");
        }
    }
    let query = service.refused(orla.ask("PUT", &format!("{}?x=1", story(1)))).await.0;
    assert_eq!((query.status, query.field.as_deref()), (400, Some("x")));
    let query = service.refused(ask("GET", &format!("{}?limit=5", orla.shelf())).bearer(&orla.token)).await.0;
    assert_eq!((query.status, query.field.as_deref()), (400, Some("limit")), "the answer is the whole shelf");
    assert_eq!(service.refused(orla.ask("POST", &story(1))).await.0.status, 405);
    assert_eq!(site.disk.commits(), before);
}

/// The token says who they are, and is believed without a row: the account may be at a sibling still.
#[tokio::test]
async fn a_shelf_does_not_wait_for_the_account_to_arrive() {
    let site = Site::new();
    let service = site.start().await;
    let id = UserId::from_bytes([9; 16]);
    let token = signing_key().sign_token(id.to_bytes(), START_MS / 1000, 60);
    let someone = Person { id: id.to_string(), token };
    service.ok(someone.ask("PUT", &story(1))).await;
    assert_eq!(service.shelf(&someone).await, [story(1)]);
}

#[tokio::test]
async fn a_full_shelf_takes_no_more_and_says_how_many() {
    let site = Site::new();
    let service = site.start().await;
    let orla = service.orla().await;
    let full = u16::try_from(SHELF_MAX).unwrap();
    service.heard(orla.id(), sibling(0..full - 1)).await;
    service.ok(orla.ask("PUT", &story(full - 1))).await;
    let before = site.disk.commits();
    let (problem, _) = service.refused(orla.ask("PUT", &story(full))).await;
    let limit = u64::try_from(SHELF_MAX).unwrap();
    assert_eq!((problem.status, problem.field.as_deref(), problem.limit), (409, Some("story"), Some(limit)));
    assert!(problem.detail.contains("1000"), "{}", problem.detail);
    service.ok(orla.ask("PUT", &story(0))).await;
    assert_eq!(site.disk.commits(), before, "the refusal changed nothing, and what is there is no news");

    service.ok(orla.ask("DELETE", &story(0))).await;
    service.ok(orla.ask("PUT", &story(full))).await;
    assert_eq!(service.shelf(&orla).await.len(), SHELF_MAX);

    // Two replicas filled it at the same time: all of it is shown, and it takes more again when it has room.
    service.heard(orla.id(), sibling(0..full + 2)).await;
    let shown = service.shelf(&orla).await.len();
    assert!(shown > SHELF_MAX, "{shown}");
    assert_eq!(service.refused(orla.ask("PUT", &story(full + 9))).await.0.status, 409);
    for n in 1..5 {
        service.ok(orla.ask("DELETE", &story(n))).await;
    }
    service.ok(orla.ask("PUT", &story(full + 9))).await;
    assert_eq!(service.shelf(&orla).await.len(), shown - 3);
}

/// Bytes that no honest replica writes: it has made the last dot that there is.
#[tokio::test]
async fn a_row_that_leaves_no_dots_is_a_refusal_and_no_panic() {
    let site = Site::new();
    let service = site.start().await;
    let orla = service.orla().await;
    service.ok(orla.ask("PUT", &story(1))).await;
    let replica = service.users.store().identity().replica;
    let text = json!({"stories": {"store": [], "context": {replica.to_string(): [[9, u64::MAX]]}}});
    service.heard(orla.id(), serde_json::from_value(text).unwrap()).await;
    assert_eq!(service.refused(orla.ask("PUT", &story(2))).await.0.status, 500);
    assert_eq!(service.shelf(&orla).await, [story(1)]);
    service.ok(orla.ask("DELETE", &story(1))).await;
    assert_eq!(service.shelf(&orla).await, [""; 0], "what is there can still be taken off");
}

/// However often it is used, a shelf costs what lies on it.
#[tokio::test]
async fn what_was_taken_off_leaves_nothing_behind() {
    let site = Site::new();
    let service = site.start().await;
    let orla = service.orla().await;
    let row_bytes = async || serde_json::to_string(&service.row(orla.id()).await).unwrap().len();
    let mut sizes = Vec::new();
    for n in 0..200 {
        service.ok(orla.ask("PUT", &story(n))).await;
        service.ok(orla.ask("DELETE", &story(n))).await;
        sizes.push(row_bytes().await);
    }
    // The number of the replica's last event has more digits: that is all.
    assert!(sizes[199] <= sizes[0] + 4, "{} and {} bytes", sizes[0], sizes[199]);
}

#[tokio::test]
async fn two_replicas_agree_and_who_put_it_back_wins() {
    let (here, there) = (Site::new(), Site::with_seed(8));
    let (one, two) = (here.start().await, there.start().await);
    let orla = one.orla().await;
    let id = orla.id();
    let (kept, again, gone) = (story(1), story(2), story(3));
    for wanted in [&kept, &again, &gone] {
        one.ok(orla.ask("PUT", wanted)).await;
    }
    two.heard(id, one.row(id).await).await;

    // At the same time: taken off at one, taken off and put on again at the other.
    for wanted in [&again, &gone] {
        one.ok(orla.ask("DELETE", wanted)).await;
    }
    two.ok(orla.ask("DELETE", &again)).await;
    two.ok(orla.ask("PUT", &again)).await;
    // A retry at a replica that has it already is no new wish: it does not bring back what was taken off.
    two.ok(orla.ask("PUT", &gone)).await;

    let (first, second) = (one.row(id).await, two.row(id).await);
    one.heard(id, second.clone()).await;
    two.heard(id, first.clone()).await;
    two.heard(id, first).await;
    assert_eq!(one.row(id).await, two.row(id).await);
    let mut shown = one.shelf(&orla).await;
    shown.sort();
    assert_eq!(shown, [kept, again]);
}

/// A site that tells siblings what it has.
fn with_siblings(seed: u64) -> Site {
    Site { siblings: true, ..Site::with_seed(seed) }
}

/// The same replica as that of this seed, from a backup in which there is nothing but its name.
async fn restored(seed: u64) -> Site {
    let site = with_siblings(seed);
    site.store().close().await;
    Site { world: Arc::new(SeededWorld::new(!seed, START_MS + 1_000)), ..site }
}

/// A dot that it has forgotten is not given again, so nobody takes the new story for the old one.
#[tokio::test]
async fn what_a_replica_that_was_restored_in_silence_puts_there_stays() {
    let (here, there) = (with_siblings(7), with_siblings(8));
    let (one, two) = (here.start().await, there.start().await);
    let orla = one.orla().await;
    let id = orla.id();
    one.ok(orla.ask("PUT", &story(1))).await;
    two.heard(id, one.row(id).await).await;
    let restored = restored(7).await.start().await;
    assert_eq!(restored.users.store().identity().replica, one.users.store().identity().replica);
    let orla = restored.orla().await;
    restored.ok(orla.ask("PUT", &story(2))).await;
    restored.heard(id, two.row(id).await).await;
    assert_eq!(restored.shelf(&orla).await.len(), 2);
    two.heard(id, restored.row(id).await).await;
    assert_eq!(two.row(id).await, restored.row(id).await);
}

/// Every process that writes is remembered, up to a limit; then the replica writes itself, and nothing is refused.
#[tokio::test]
async fn a_shelf_remembers_so_many_writers_and_is_written_on() {
    let site = with_siblings(7);
    let mut orla = None;
    for n in 0..u16::try_from(SHELF_WRITERS_MAX).unwrap() + 10 {
        let service = site.start().await;
        let orla = match &orla {
            Some(orla) => orla,
            None => orla.insert(service.orla().await),
        };
        service.ok(orla.ask("PUT", &story(n))).await;
        let row = service.row(orla.id()).await;
        assert!(row.stories.context().replicas().count() <= SHELF_WRITERS_MAX + 1, "{n}");
        assert_eq!(row.len(), usize::from(n) + 1);
        service.users.store().clone().close().await;
    }
}

#[tokio::test]
async fn a_restart_forgets_nothing_and_nobody_is_told() {
    let site = Site::new();
    let service = site.start().await;
    let orla = service.orla().await;
    let depth = service.users.store().outbox_depth();
    service.ok(orla.ask("PUT", &story(1))).await;
    service.ok(orla.ask("PUT", &story(2))).await;
    service.ok(orla.ask("DELETE", &story(1))).await;
    assert_eq!(
        service.users.store().outbox_depth(),
        depth,
        "what one reads is announced to nobody but siblings"
    );
    service.users.store().clone().close().await;
    drop(service);
    site.disk.crash();
    assert_eq!(site.start().await.shelf(&orla).await, [story(2)]);
}
