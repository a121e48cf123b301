//! States that converge over any queue, and the clock that orders their writes.
//!
//! Two services tell each other what they know through a queue that repeats, reorders and delays. If the message says
//! what to *do*, each of these is a bug. If it says what is *known*, and the receiver joins it into what it knew, none
//! is. This crate holds such knowledge: join-semilattices, also called state-based CRDTs (Shapiro, Preguiça, Baquero,
//! Zawirski, *A comprehensive study of convergent and commutative replicated data types*, 2011), under the one trait
//! [`Lattice`], whose page says what implementers and callers owe each other.
//!
//! # The running example
//!
//! What one service knows of a part of a story: its title, and how many comments each replica counts there.
//!
//! ```
//! use antiphon_lattice::{Clock, Epoch, Lane, Lattice, Lww, Map, ReplicaId, Tally, total};
//!
//! #[derive(Clone, Debug, Default, PartialEq, Eq)]
//! struct Part {
//!     title: Lww<String>,
//!     comments: Map<ReplicaId, Tally>,
//! }
//!
//! impl Lattice for Part {
//!     fn join(&mut self, other: Self) -> bool {
//!         let Self { title, comments } = other;
//!         self.title.join(title) | self.comments.join(comments)
//!     }
//! }
//!
//! // The writer: a mutator changes the state here, and returns a delta to be joined elsewhere.
//! let me = ReplicaId::from_u128(1);
//! let mut clock = Clock::new(me, Lane(0));
//! let mut here = Part { comments: Map::of(me, Tally::opened(Epoch { generation: 0, owner: me })), ..Part::default() };
//! let mut sent = vec![here.clone()];
//! for title in ["Chapter 199", "Chapter 200"] {
//!     let delta = here.title.set(clock.mint(1_000, here.title.stamp()), title.to_owned());
//!     sent.push(Part { title: delta, ..Part::default() });
//! }
//! for _ in 0..3 {
//!     let delta = here.comments.update(me, Tally::added_one);
//!     sent.push(Part { comments: delta, ..Part::default() });
//! }
//!
//! // The queue: in the wrong order, and everything twice. One delta in the middle is lost for good.
//! sent.remove(4);
//! sent.reverse();
//! sent.extend(sent.clone());
//!
//! // The reader: the message handler is the join.
//! let mut there = Part::default();
//! let news = sent.into_iter().filter(|delta| there.join(delta.clone())).count();
//! assert_eq!(there, here);
//! assert_eq!(there.title.get().map(String::as_str), Some("Chapter 200"));
//! assert_eq!(total(there.comments.values()), 3);
//! assert_eq!(news, 2, "ten messages, two of which said anything new");
//! ```
//!
//! # The types
//!
//! Each has a page that tells what it promises, its anomaly with an example, what it costs, when to choose another, and
//! where it comes from. Sizes are JSON, without the values themselves. `tests/catalogue.rs` checks that none is missing
//! its laws, its histories, its golden bytes, its fuzzing, its page, or its row here.
//!
//! **One value**
//!
//! | type | promises | costs | choose another | from |
//! |---|---|---|---|---|
//! | [`Max`] | the greatest value written | the value | to count: [`Tally`] | Shapiro 2011 |
//! | [`Min`] | the least value written: the first stays | the value | for what is edited: [`Lww`] | the dual of it |
//! | [`Lww`] | the value with the greatest stamp | 72 bytes | if no write may be lost: [`MvRegister`] | Shapiro 2011, §3.2.1 |
//! | [`MvRegister`] | every write that no later one has seen | 58 bytes a replica | to show one value: [`Lww`] | Shapiro 2011, §3.2.2 |
//! | [`Life`] | gone stays gone | 6 bytes | if it may come back: [`EnableWinsFlag`] | the 2P-set, §3.3.2, of one element |
//! | [`EnableWinsFlag`] | off until enabled; of two at once, enabling wins | 25 bytes, 51 while on, 42 a replica | [`DisableWinsFlag`], [`Life`] | Almeida 2018, §7 |
//! | [`DisableWinsFlag`] | on until disabled; of two at once, disabling wins | the same | [`EnableWinsFlag`] | its dual |
//!
//! **How many**
//!
//! | type | promises | costs | choose another | from |
//! |---|---|---|---|---|
//! | [`GCounter`] | the sum of all increments | 36 bytes and its number a replica | to count down: [`PnCounter`] | Shapiro 2011, §3.1.1 |
//! | [`PnCounter`] | increments less decrements | 39 bytes and two numbers a replica | not below zero: [`BoundedCounter`]; things with identity: [`Tally`] | Shapiro 2011, §3.1.3 |
//! | [`Tally`] | one writer's exact count, that an heir may count again | 91 bytes for small numbers | to know which, not how many: [`GSet`] | the PN-counter, one entry, with epochs |
//! | [`BoundedCounter`] | never below zero, without asking anybody | 64 bytes a replica, 36 a transfer, and the numbers | if nothing breaks below zero: [`PnCounter`] | Balegas et al. 2015 |
//! | [`ResetCounter`] | a reset takes away what it saw, and no more | 119 bytes for 10,000 ones | if nobody resets it: [`PnCounter`] | Baquero et al. 2016 |
//! | [`HyperLogLog`] | how many different ones, 1.6 % standard error | 12 bytes to 4,102 | to know which: [`GSet`] | Flajolet 2007, Heule 2013, Ertl 2017 |
//!
//! **Which**
//!
//! | type | promises | costs | choose another | from |
//! |---|---|---|---|---|
//! | [`GSet`] | what was inserted is there | its elements | to remove: [`OrSet`] | Shapiro 2011, §3.3.1 |
//! | [`OrSet`] | of an addition and a removal at once, the addition wins | 57 bytes an element, nothing for a removed one | if the removal is to win: [`RemoveWinsSet`] | Bieniusa 2012, Almeida 2018 |
//! | [`RemoveWinsSet`] | … the removal wins | 62 bytes an element, removed ones too | [`OrSet`] | Almeida 2018, §7 |
//! | [`LwwSet`] | the last word on each element; ties by a named bias | 66 bytes an element, removed ones too | without clocks: [`OrSet`] | Shapiro 2011, §3.3.3 |
//! | [`TwoPhaseSet`] | what was removed never returns | every element ever, and 21 bytes | if it may return: [`OrSet`] | Shapiro 2011, §3.3.2 |
//! | [`USet`] | each element once, under its own dot | 55 bytes an element; what is gone is ranges | if values return: [`OrSet`] | Shapiro 2011, §3.3.2, with packed tombstones |
//! | [`PnSet`] | not to be used: counts, where a set was meant | a [`PnCounter`] an element | [`OrSet`] | Shapiro 2011, §3.3.4 |
//!
//! **What points where**
//!
//! | type | promises | costs | choose another | from |
//! |---|---|---|---|---|
//! | [`Dag`] | no ring whatever arrives; a reply waits for what it answers | 6 bytes beside a vertex and its parent | if they must go: [`OrGraph`] | Shapiro 2011, §3.4.2 |
//! | [`OrGraph`] | vertices and edges come and go; dangling edges are masked | as [`OrSet`], for both | if nothing goes: [`GSet`] of edges | Shapiro 2011, Bieniusa 2012 |
//! | [`TwoPhaseGraph`] | no edge hangs in the air; removed is removed | every vertex and edge ever, and 64 bytes | if they may return: [`OrGraph`] | Shapiro 2011, §3.4.1 |
//! | [`PartialOrder`] | what came before stays before, through removals | about six times the element, and 45 bytes | a list that people edit: [`Sequence`] | Shapiro 2011, §3.4.2 |
//!
//! **In which order**
//!
//! | type | promises | costs | choose another | from |
//! |---|---|---|---|---|
//! | [`Sequence`] | one order for all; runs typed at once at one place never mix | its values, some 30 bytes a run, for ever | to move elements: [`Arrangement`] | Weidner, Kleppmann 2023 |
//! | [`Text`] | the same for characters | its text, some 30 bytes a run | if the last writer shall win: [`Lww`] | the same |
//! | [`Arrangement`] | each item once, where it was moved last | some 160 bytes an item, some 40 a move | if nothing moves: [`Sequence`] | Kleppmann 2020 |
//!
//! **Lattices of lattices**
//!
//! | type | promises | costs | choose another | from |
//! |---|---|---|---|---|
//! | [`Map`] | each key's own promise | its entries | to remove keys: [`OrMap`]; for many rows: a store | the product |
//! | [`Pair`] | each half's own promise | 3 bytes | if the halves belong together: one register | the product |
//! | [`OrMap`] | keys that go with what was seen of them; nests any of the stores below | its entries and one context | if no key goes: [`Map`] | Almeida 2018, §7 |
//!
//! **The base of all that forgets**
//!
//! | type | promises | costs | choose another | from |
//! |---|---|---|---|---|
//! | [`CausalContext`] | which events were seen, in any order, with holes | 43 bytes a replica, 6 or more a hole | without holes: [`VersionVector`] | Almeida 2018, §7 |
//! | [`Causal`] | what is live stays, what was seen to go never comes back | store and context | if nothing goes: a type without dots | Almeida 2018, §7 |
//! | [`DotSet`] | events, each live or not | 51 bytes a dot | with values: [`DotFun`] | Almeida 2018, §7 |
//! | [`DotFun`] | all values that were written at once | 53 bytes a value | one value: [`Lww`] | Almeida 2018, §7 |
//! | [`DotMap`] | a store for each key | its entries | if no key goes: [`Map`] | Almeida 2018, §7 |
//! | [`Increments`] | a counter that can be nested in an [`OrMap`] | 10 bytes a run, 37 a replica | alone: [`ResetCounter`] | Baquero et al. 2016 |
//!
//! **Before, after, at once**
//!
//! | type | promises | costs | choose another | from |
//! |---|---|---|---|---|
//! | [`Lamport`] | what came before has the lesser time | its digits | to see what was at once: [`VersionVector`] | Lamport 1978 |
//! | [`VersionVector`] | before, after, equal or at once, exactly | 37 bytes a replica | replicas that come and go: [`IntervalTreeClock`] | Parker et al. 1983 |
//! | [`VectorClock`] | one event led to another exactly if its stamp is less | a vector a stamp | small stamps: [`Lamport`] | Fidge 1988, Mattern 1989 |
//! | [`CausalDelivery`] | each message once, after all that led to it | a vector a message | any lattice here needs no order | Birman, Schiper, Stephenson 1991 |
//! | [`DottedVersionVectorSet`] | no value is lost but to a write that had read it | 58 bytes a replica | the replica is its own client: [`MvRegister`] | Almeida et al. 2014 |
//! | [`IntervalTreeClock`] | causality among replicas without names | four processes 2 bytes each | replicas restored from backups: [`VersionVector`] | Almeida et al. 2008 |
//! | [`EventTree`] | its events, without who it is | its notation | named replicas: [`VersionVector`] | Almeida et al. 2008 |
//!
//! and what they are made of:
//!
//! | type | is | size | from |
//! |---|---|---|---|
//! | [`ReplicaId`] | who writes; never used again | 16 bytes, 32 characters | |
//! | [`Dot`] | the identity of one event of one replica | 24 bytes, 49 characters | Almeida 2018 |
//! | [`Hlc`] | milliseconds that never run backwards, and a counter | 8 bytes, 16 characters | Kulkarni et al. 2014 |
//! | [`Stamp`] | the identity and rank of one write | 26 bytes, 54 characters | Lamport 1978 |
//! | [`Clock`] | mints stamps, and is not dragged away by a bad one | | [`AHEAD_MS_MAX`]: `CockroachDB`'s `--max-offset` |
//! | [`Contribution`] | what one row counts for, and who counts it | | [`contributions`] |
//! | [`Cursor`] | a place in a sequence that survives edits | 16 bytes more than a dot | Weidner, Kleppmann 2023 |
//!
//! # Where Antiphon uses them
//!
//! | where | what | type |
//! |---|---|---|
//! | Comments and Stories | how many comments, replies, votes, reads | [`Tally`] by [`contributions`] |
//! | Comments | reply threads | [`Dag`] |
//! | Comments | a post, its end; its text and whether it is shown | [`Min`]; [`Lww`] |
//! | Stories | a part's paragraphs, a story's parts, in their order | [`Arrangement`], a [`Sequence`] whose items move |
//! | Stories | a paragraph's text, a title, a vote | [`Lww`] |
//! | Stories | who created a part, and that it was taken down | [`Min`], [`Life`] |
//! | Stories | a part's different readers | [`HyperLogLog`] |
//! | Users | a reader's library shelf | [`OrSet`] |
//! | Users | names, avatars | [`Lww`] |
//! | everywhere | what newer versions added; a message's rows | [`Map`] |
//! | every store | the time of each write | [`Clock`], [`Stamp`] |
//! | `examples/maelstrom.rs` | Jepsen's workloads | [`GSet`], [`GCounter`], [`PnCounter`], [`Dot`] |
//!
//! # What it never does
//!
//! - **No I/O, no async, no threads, no clock, no randomness.** Times and ids are parameters, so a simulator decides
//!   them, and one seed plays one history.
//! - **No operations on the wire.** A delta has the type of the state. There is no causal delivery to arrange, no log
//!   to replay, no vector clock to trim. ([`CausalDelivery`] is for messages that are none of these types.)
//! - **No way down.** A removal is knowledge too: that an element is gone, or that a dot was seen and is live no more.
//! - **No hash maps.** States iterate in key order, so equal states have equal bytes, and a fingerprint of the bytes
//!   is one of the state.
//! - **No panics on data.** Whatever was decoded can be joined. The three asserts, in [`Clock`] and [`OwnedTallies`],
//!   guard against one's own wiring.
//! - **No suspicion.** Whoever may write deltas may write any: name another's dots, raise another's numbers, hide a vertex.
//!   Replicas converge all the same. Authenticate what arrives, and bound its size.
//! - **No refusal of unknown fields.** A newer version may add some. They are skipped here; the store's rows keep them.
//!
//! # Adding a type
//!
//! One file in its room, and one line in each of `tests/laws`, `tests/histories`, `tests/golden` and the fuzzing targets.
//! The first checks the algebra on picked and on random values, and what damaged bytes do; the second that replicas which
//! mutate and gossip over a bad queue end as a plain model says; the third that the bytes of today can be read for ever.
//! `tests/catalogue.rs` names what is still missing.
#![expect(
    clippy::return_self_not_must_use,
    reason = "a mutator's delta may be dropped where the whole row is announced anyway"
)]

mod causal;
mod clocks;
mod counters;
mod faults;
mod graphs;
mod lattice;
pub mod laws;
mod products;
mod registers;
mod sequences;
mod sets;
mod text;

pub use causal::*;
pub use clocks::*;
pub use counters::*;
pub use faults::identity_faults;
pub use graphs::*;
pub use lattice::Lattice;
pub use products::*;
pub use registers::*;
pub use sequences::*;
pub use sets::*;
pub use text::ParseError;
