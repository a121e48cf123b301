//! Digests, wants and facts that are forged, garbled, or another deployment's: they cost a little, and nothing else.
//!
//! The messages are made by hand, from what ADR 15 and `wire` say of them.

use super::pair::{Here, Pair, Rows, There, key, put, rows, tally};
use antiphon_choreography::anti_entropy::{DIGEST_TYPE, WANT_TYPE};
use antiphon_choreography::{Cover, Link};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use consumer::{Context, Handler as _, HandlerError};
use flate2::Compression;
use flate2::read::DeflateEncoder;
use lattice::{Hlc, Lww, Stamp};
use messages::{Fact, Profile, ProfileFact, TallyFact, TallyKey, UserId};
use queue::{Envelope, EnvelopeData, Message, Subscription};
use serde::Serialize;
use std::convert::Infallible;
use std::io::Read as _;
use store::key::KEY_BYTES_MAX;
use store::{Abort, KeyRange, Row, Scan, Store, Sums};

const NOW_MS: u64 = 1_700_000_000_000;

fn some(count: u128) -> Rows {
    (1..=count).map(|id| (key(id << 100), tally(3))).collect()
}

async fn hear(link: &Link, message: &Message) -> Result<(), HandlerError> {
    let subscription = Subscription::new(link.topic.clone(), "s", "main").unwrap();
    link.handler.handle(message, &Context::new(subscription)).await
}

/// An envelope in the name of a store.
fn envelope(of: &Store, event_type: &str, data: EnvelopeData) -> Envelope {
    let mut envelope =
        Envelope::new("forged", format!("/comments/{}", of.identity().replica), event_type).at(NOW_MS);
    envelope.deployment = Some(of.identity().deployment.clone());
    envelope.data = data;
    envelope
}

/// Facts that nobody understands, in the name of the publisher.
async fn garble(pair: &Pair, keys: impl Iterator<Item = TallyKey>) {
    let facts = keys.map(|key| (key.to_string(), "no tally".into())).collect();
    let data = EnvelopeData::Json(serde_json::Value::Object(facts));
    let message = Message::new(envelope(&pair.there, TallyFact::TYPE, data).encode());
    let refused = hear(&pair.link, &message).await.unwrap_err();
    assert!(refused.to_string().contains("facts in it"), "{refused}");
}

#[derive(Serialize)]
struct Run {
    from: Vec<u8>,
    pieces: Vec<(Vec<u8>, Sums)>,
}

#[derive(Serialize)]
struct Digest {
    answers: Option<[u8; 16]>,
    changes: u64,
    runs: Vec<Run>,
}

#[derive(Serialize)]
#[expect(dead_code, reason = "the first of the two, which gives the second its number")]
enum Item {
    Split { range: KeyRange, here: Sums },
    Values { range: KeyRange, within: KeyRange, rows: Vec<(Vec<u8>, Vec<u8>)> },
}

#[derive(Serialize)]
struct Want {
    publisher: [u8; 16],
    items: Vec<Item>,
}

fn id_of(store: &Store) -> [u8; 16] {
    store.identity().replica.to_u128().to_be_bytes()
}

fn packed<F: Fact>(of: &Store, event_type: &str, value: &impl Serialize) -> Envelope {
    let bytes = postcard::to_allocvec(value).unwrap();
    let mut deflated = vec![1];
    DeflateEncoder::new(bytes.as_slice(), Compression::best()).read_to_end(&mut deflated).unwrap();
    let mut envelope = envelope(of, event_type, EnvelopeData::Base64(STANDARD.encode(deflated)));
    envelope.extensions.insert("fact".to_owned(), F::TYPE.into());
    envelope
}

async fn tell(pair: &Pair, digest: &Digest) {
    let envelope = packed::<TallyFact>(&pair.there, DIGEST_TYPE, digest);
    hear(&pair.link, &Message::new(envelope.encode())).await.unwrap();
}

/// What the subscriber was sent, did not understand, and the publisher has not: there is no row to cut a range at.
#[tokio::test]
async fn garbled_rows_that_the_publisher_has_not_are_forgotten() {
    let pair = Pair::new(3, 0.0);
    garble(&pair, (1..=20).map(key)).await;
    pair.round().await;
    assert!(pair.is_equal(), "{:?}", pair.link.heard.all());
}

/// The row is here as the publisher has it; a damaged copy of the message that brought it says nothing.
#[tokio::test]
async fn a_garbled_duplicate_changes_nothing() {
    let (pair, mut all) = (Pair::new(3, 0.0), some(100));
    put::<There>(&pair.there, &all).await;
    put::<Here>(&pair.here, &all).await;
    pair.round().await;
    assert!(pair.is_equal());
    let one = *all.keys().nth(50).unwrap();
    garble(&pair, [one].into_iter()).await;
    for n in 0..4 {
        let fresh = Rows::from([(key(n + 7), tally(5))]);
        put::<There>(&pair.there, &fresh).await;
        all.extend(&fresh);
        // The announcement is lost: a digest has to find out.
        pair.wire.reset(1.0);
        pair.settle().await;
        pair.wire.reset(0.0);
        let rounds = pair.heal_quietly(5).await;
        assert!(rounds <= 3, "{rounds} digests for the one row that was lost");
    }
    pair.heal(3).await;
    assert_eq!(rows::<Here>(&pair.here).await, all);
}

struct Accounts;
impl Row for Accounts {
    const TAG: u8 = 0x11;
    const NAME: &'static str = "profile";
    type Key = UserId;
    type State = Profile;
}

struct Copies;
impl Row for Copies {
    const TAG: u8 = 0x12;
    const NAME: &'static str = "copy of a profile";
    type Key = UserId;
    type State = Profile;
}

fn profile(avatar: usize) -> Profile {
    let at = Stamp { hlc: Hlc::new(7, 0), ..Stamp::default() };
    Profile { avatar: Lww::new(at, Some("a".repeat(avatar))), ..Profile::default() }
}

async fn put_profiles<R: Row<Key = UserId, State = Profile>>(store: &Store, ids: u8, avatar: usize) {
    let written = store.write(move |view| {
        for id in 1..=ids {
            view.join::<R>(&UserId::from_bytes([id; 16]), profile(avatar))?;
        }
        Ok::<_, Abort<Infallible>>(())
    });
    written.await.unwrap();
}

async fn profiles<R: Row<Key = UserId, State = Profile>>(store: &Store) -> usize {
    store.reader().unwrap().rows::<R>(&Scan::prefix(&[R::TAG])).await.unwrap().len()
}

/// Few rows, and too large together for one want, that only the subscriber has: the publisher cannot cut what it has not.
#[tokio::test]
async fn a_publisher_gets_a_few_middling_rows_back() {
    for (ids, avatar) in [(1, 2_000), (5, 1_000), (5, 2_000), (12, 800), (13, 2_000)] {
        let pair = Pair::of::<ProfileFact, Accounts, Copies>(5, 0.0, Cover::new());
        put_profiles::<Copies>(&pair.here, ids, avatar).await;
        for _ in 0..12 {
            pair.round().await;
        }
        let back = profiles::<Accounts>(&pair.there).await;
        assert_eq!(back, usize::from(ids), "profiles with pictures of {avatar} bytes");
        assert!(pair.is_equal(), "{ids} profiles with pictures of {avatar} bytes");
    }
}

/// A digest that is not of everything proves nothing, whatever agrees in it.
#[tokio::test]
async fn what_leaves_something_out_does_not_say_equal() {
    let pair = Pair::new(3, 0.0);
    put::<There>(&pair.there, &some(10)).await;
    let range =
        pair.here.track::<Here>(&KeyRange::new(TallyFact::KEYS_FROM, TallyFact::KEYS_TO)).range().clone();
    let half = [range.from.as_slice(), &[9]].concat();
    let run =
        |from: &[u8], to: &[u8]| Run { from: from.to_vec(), pieces: vec![(to.to_vec(), Sums::default())] };
    for runs in [
        vec![],
        vec![Run { from: range.from.clone(), pieces: vec![] }],
        vec![run(&range.from, &half)],
        vec![run(&half, &range.to)],
        vec![run(&half, &range.to), run(&range.from, &half)],
    ] {
        tell(&pair, &Digest { answers: None, changes: 0, runs }).await;
        assert!(
            pair.link.heard.all().values().all(|status| !status.equal && status.exact_as_of_ms.is_none())
        );
    }
    tell(
        &pair,
        &Digest { answers: None, changes: 0, runs: vec![run(&range.from, &half), run(&half, &range.to)] },
    )
    .await;
    assert!(pair.is_equal(), "and all of it, in pieces, does");
}

/// What is remembered of a link has a bound in bytes, not only in ranges.
#[tokio::test]
async fn ranges_with_huge_bounds_are_not_remembered() {
    let pair = Pair::new(3, 0.0);
    let differs = Sums { count: 5, sum: 5, ..Sums::default() };
    for (bytes, remembered) in [(KEY_BYTES_MAX, 1), (KEY_BYTES_MAX + 1, 1), (2_000_000, 1)] {
        let from = vec![0; bytes];
        let runs = vec![Run { from, pieces: vec![(vec![1; 3], differs)] }];
        tell(&pair, &Digest { answers: Some(id_of(&pair.here)), changes: 0, runs }).await;
        let ranges: usize = pair.link.heard.all().values().map(|status| status.differing_ranges).sum();
        assert_eq!(ranges, remembered, "bounds of {bytes} bytes");
    }
}

/// A row that is too deep to be announced is not taken: every subscriber would refuse the whole message that it is in.
#[tokio::test]
async fn a_row_too_deep_to_be_announced_is_not_taken() {
    for (depth, taken) in [(100, true), (124, true), (125, false), (126, false), (5_000, false)] {
        let pair = Pair::of::<ProfileFact, Accounts, Copies>(5, 0.0, Cover::new());
        pair.round().await;
        let deep = format!(r#"{{"unknown":{}1{}}}"#, "[".repeat(depth), "]".repeat(depth));
        let (range, within) = (KeyRange::default(), KeyRange::default());
        let items = vec![Item::Values { range, within, rows: vec![(vec![9; 16], deep.into_bytes())] }];
        let want = Want { publisher: id_of(&pair.there), items };
        let envelope = packed::<ProfileFact>(&pair.here, WANT_TYPE, &want);
        hear(&pair.wants, &Message::new(envelope.encode())).await.unwrap();
        assert_eq!(profiles::<Accounts>(&pair.there).await, usize::from(taken), "{depth} levels");
        put_profiles::<Accounts>(&pair.there, 3, 10).await;
        for _ in 0..4 {
            pair.round().await;
        }
        assert_eq!(profiles::<Copies>(&pair.here).await, 3 + usize::from(taken), "{depth} levels");
    }
}

/// Another deployment on the same topics, and rubbish: not kept, since digests and wants come for ever.
#[tokio::test]
async fn what_tells_us_nothing_is_passed_over() {
    let pair = Pair::new(3, 0.0);
    let digest = Digest { answers: None, changes: 0, runs: vec![] };
    let want = Want { publisher: id_of(&pair.there), items: vec![] };
    for (link, mut envelope) in [
        (&pair.link, packed::<TallyFact>(&pair.there, DIGEST_TYPE, &digest)),
        (&pair.wants, packed::<TallyFact>(&pair.here, WANT_TYPE, &want)),
    ] {
        let sound = envelope.clone();
        envelope.deployment = Some("f".repeat(32));
        hear(link, &Message::new(envelope.encode())).await.unwrap();
        envelope = Envelope { data: EnvelopeData::Base64("AAAA".to_owned()), ..sound.clone() };
        hear(link, &Message::new(envelope.encode())).await.unwrap();
        envelope = Envelope { source: "/nobody".to_owned(), ..sound.clone() };
        hear(link, &Message::new(envelope.encode())).await.unwrap();
        // What may be a fact is kept; it will not come again.
        envelope = Envelope { event_type: "no.such.type".to_owned(), ..sound };
        hear(link, &Message::new(envelope.encode())).await.unwrap_err();
        hear(link, &Message::new("rubbish")).await.unwrap_err();
    }
    assert!(pair.link.heard.all().is_empty(), "{:?}", pair.link.heard.all());
}
