//! What happens to the replicas, decided by a seed; and what must be true then.

use super::replica::{News, Place, Replica, Stories};
use crate::comment::Comment;
use lattice::{Contributes, ReplicaId};
use messages::{CommentId, Group, ParagraphId, PartId, TallyKey};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use store::{Memory, SeededWorld};

/// Which faults there are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Faults {
    /// Half of all messages are lost.
    pub(super) lossy: bool,
    /// Replicas are set back to old backups, told or not.
    pub(super) restores: bool,
    /// Replicas are lost, adopted by one heir or by several, and come back; the living are adopted too.
    pub(super) losses: bool,
}

/// The rule with a part left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plant {
    Nothing,
    DeletesCountWhereAccepted,
    NobodyHeals,
    HeirsForgetWhatStoriesKnows,
    CountsOnFromBefore,
}

#[derive(Debug)]
pub(super) enum Outcome {
    Exact,
    Wrong(String),
}

/// A message on its way, to a replica or to Stories.
type Sent = (Option<usize>, News);

/// Replicas at once, with those that came back.
const REPLICAS_MAX: usize = 5;
/// Rounds of exchange until nothing differs.
const ROUNDS_MAX: usize = 60;

pub(super) struct World {
    rnd: fastrand::Rng,
    faults: Faults,
    plant: Plant,
    entropy: Arc<SeededWorld>,
    replicas: Vec<Replica>,
    stories: Stories,
    net: Vec<Sent>,
    backups: BTreeMap<usize, Memory>,
    /// Disks of replicas that were taken for lost.
    lost: Vec<Memory>,
    posted: Vec<CommentId>,
    accepted: u64,
    /// Data was lost: what was accepted is no bound any more.
    data_lost: bool,
}

fn id(number: usize) -> CommentId {
    // Spread, as hashes are.
    let number = u64::try_from(number).unwrap().wrapping_mul(0x9e37_79b9_7f4a_7c15);
    CommentId::from_bytes(u128::from(number).rotate_left(64).to_be_bytes())
}

impl World {
    pub(super) fn new(seed: u64, faults: Faults, plant: Plant) -> Self {
        let entropy = Arc::new(SeededWorld::new(seed, 1_700_000_000_000));
        let fresh = |_| Replica::on(Memory::new(), entropy.clone());
        Self {
            rnd: fastrand::Rng::with_seed(seed),
            faults,
            plant,
            replicas: (0..3).map(fresh).collect(),
            entropy,
            stories: Stories::default(),
            net: Vec::new(),
            backups: BTreeMap::new(),
            lost: Vec::new(),
            posted: Vec::new(),
            accepted: 0,
            data_lost: false,
        }
    }

    pub(super) fn run(mut self) -> Outcome {
        for _ in 0..self.rnd.usize(20..120) {
            self.act();
            let shown: u64 = (0..3).map(|n| self.stories.shown(part(n))).sum();
            // A sum of unsigned numbers is never below nothing; it is not above all that was accepted either.
            if !self.data_lost && self.plant == Plant::Nothing && shown > self.accepted {
                return Outcome::Wrong(format!("{shown} are shown, {} were accepted", self.accepted));
            }
        }
        match self.settle() {
            Ok(()) => self.verdict(),
            Err(why) => Outcome::Wrong(why),
        }
    }

    fn any(&mut self) -> usize {
        self.rnd.usize(..self.replicas.len())
    }

    fn act(&mut self) {
        match self.rnd.u32(..100) {
            0..30 => self.post(),
            30..42 => self.delete(),
            42..46 => self.hide(),
            46..62 => self.announce(),
            84..90 => {
                let one = self.any();
                self.heal(one);
            }
            90..92 => {
                let one = self.any();
                self.replicas[one].restart();
            }
            92..96 if self.faults.restores => self.back_up_or_restore(),
            96..100 if self.faults.losses => self.lose_or_adopt(),
            _ => self.deliver(),
        }
    }

    fn place(&mut self) -> Place {
        let part = PartId::from_bytes([self.rnd.u8(..3); 16]);
        let paragraph = self.rnd.bool().then(|| ParagraphId::from_bytes([self.rnd.u8(..2); 16]));
        let parent = (!self.posted.is_empty() && self.rnd.u32(..3) == 0)
            .then(|| self.posted[self.rnd.usize(..self.posted.len())]);
        Place { part, paragraph, parent }
    }

    /// Mostly at one replica; a client that heard nothing asks another one, and a broken one in another place.
    fn post(&mut self) {
        let id = id(self.posted.len());
        let mut place = self.place();
        self.posted.push(id);
        for _ in 0..if self.rnd.u32(..100) < 15 { 2 } else { 1 } {
            if self.rnd.u32(..5) == 0 {
                place = self.place();
            }
            place.parent = place.parent.filter(|parent| *parent != id);
            let one = self.any();
            if self.plant == Plant::DeletesCountWhereAccepted {
                self.post_wrongly(one, id, place);
            } else if self.replicas[one].post(id, place) {
                self.accepted += 1;
            }
        }
    }

    fn post_wrongly(&mut self, one: usize, id: CommentId, place: Place) {
        // The whole comment with its tallies comes to be at a replica beside, and is taken over without them.
        let mut beside = Replica::on(self.replicas[one].backup(), self.entropy.clone());
        if beside.post(id, place) {
            let comment = beside.comments().into_iter().find(|(known, _)| *known == id).unwrap().1;
            self.replicas[one].join_uncounted(id, comment.clone());
            for one_of in comment.contributions() {
                self.replicas[one].count_here(one_of.group, true);
            }
        }
    }

    fn delete(&mut self) {
        if self.posted.is_empty() {
            return;
        }
        let id = self.posted[self.rnd.usize(..self.posted.len())];
        for _ in 0..if self.rnd.u32(..3) == 0 { 2 } else { 1 } {
            let one = self.any();
            if self.plant == Plant::DeletesCountWhereAccepted {
                let mut beside = Replica::on(self.replicas[one].backup(), self.entropy.clone());
                let find = |replica: &mut Replica| -> Comment {
                    let found = replica.comments().into_iter().find(|(known, _)| *known == id);
                    found.map(|(_, comment)| comment).unwrap_or_default()
                };
                let before = find(&mut beside).contributions();
                beside.delete(id);
                let deleted = find(&mut beside);
                self.replicas[one].join_uncounted(id, deleted);
                for was in before {
                    self.replicas[one].count_here(was.group, false);
                }
            } else {
                self.replicas[one].delete(id);
            }
        }
    }

    fn hide(&mut self) {
        if self.posted.is_empty() || self.plant == Plant::DeletesCountWhereAccepted {
            return;
        }
        let id = self.posted[self.rnd.usize(..self.posted.len())];
        let (one, visible) = (self.any(), self.rnd.bool());
        self.replicas[one].set_visible(id, visible);
    }

    fn announce(&mut self) {
        let one = self.any();
        for news in self.replicas[one].announce() {
            self.send(Some(one), &news);
        }
    }

    fn send(&mut self, from: Option<usize>, news: &News) {
        let siblings = (0..self.replicas.len()).filter(|to| Some(*to) != from);
        self.net.extend(siblings.map(|to| (Some(to), news.clone())));
        if matches!(news, News::Tally(..)) {
            self.net.push((None, news.clone()));
        }
    }

    fn deliver(&mut self) {
        if self.net.is_empty() {
            return;
        }
        let message = self.rnd.usize(..self.net.len());
        if self.faults.lossy && self.rnd.bool() {
            self.net.swap_remove(message);
            return;
        }
        let sent = self.net[message].clone();
        self.hand_over(sent);
        if self.rnd.u32(..10) > 2 {
            self.net.swap_remove(message);
        }
    }

    fn hand_over(&mut self, (to, news): Sent) {
        match (to, news) {
            (None, News::Tally(key, tally)) => self.stories.hear(key, tally),
            (None, News::Comment(..)) => {}
            (Some(to), News::Comment(id, comment)) if self.plant == Plant::DeletesCountWhereAccepted => {
                self.replicas[to].join_uncounted(id, comment);
            }
            (Some(to), news) => self.replicas[to].hear(news),
        }
    }

    fn heal(&mut self, one: usize) -> bool {
        self.plant != Plant::NobodyHeals && self.replicas[one].heal()
    }

    fn back_up_or_restore(&mut self) {
        let one = self.any();
        match self.backups.get(&one) {
            Some(backup) if self.rnd.bool() => {
                // A copy: the same backup may be needed again.
                let copy = Replica::on(backup.clone(), self.entropy.clone()).backup();
                self.replicas[one] = Replica::on(copy, self.entropy.clone());
                if self.rnd.u32(..3) == 0 && self.plant != Plant::NobodyHeals {
                    self.replicas[one].tell_it_was_restored();
                }
                self.data_lost = true;
            }
            _ => {
                self.backups.insert(one, self.replicas[one].backup());
            }
        }
    }

    fn lose_or_adopt(&mut self) {
        self.data_lost = true;
        let one = self.any();
        match self.rnd.u32(..4) {
            0 => {
                let empty = Replica::on(Memory::new(), self.entropy.clone());
                self.lost.push(self.replicas[one].disk.clone());
                self.replicas[one] = empty;
                self.backups.remove(&one);
            }
            1 if self.replicas.len() < REPLICAS_MAX && !self.lost.is_empty() => {
                let disk = self.lost.swap_remove(self.rnd.usize(..self.lost.len()));
                self.replicas.push(Replica::on(disk, self.entropy.clone()));
            }
            // An heir, or two that know nothing of each other; of one that is lost, or of one that is not.
            heirs => {
                let owners: Vec<_> = self.named().into_iter().collect();
                if owners.is_empty() {
                    return;
                }
                let old = owners[self.rnd.usize(..owners.len())];
                for _ in 0..heirs.max(1) {
                    let heir = self.any();
                    self.replicas[heir].adopt(old);
                }
            }
        }
    }

    /// Everybody who is said to count something.
    fn named(&mut self) -> BTreeSet<ReplicaId> {
        let mut named: BTreeSet<_> = self.stories.0.keys().map(|key| key.replica).collect();
        for replica in &mut self.replicas {
            named.extend(replica.tallies().into_iter().map(|(key, _)| key.replica));
            let comments = replica.comments().into_iter();
            named.extend(comments.filter_map(|(_, comment)| comment.post.get().map(|post| post.at.replica)));
        }
        named
    }

    /// Ends all faults, and lets anti-entropy and the operator do what is left.
    fn settle(&mut self) -> Result<(), String> {
        for _ in 0..ROUNDS_MAX {
            let mut changed = false;
            for one in 0..self.replicas.len() {
                let mut steps = 0;
                while self.heal(one) {
                    (changed, steps) = (true, steps + 1);
                    if steps > 1_000 {
                        return Err("healing does not end".to_owned());
                    }
                }
            }
            changed |= self.exchange();
            changed |= self.compare_with_subscribers();
            let owned: BTreeSet<_> = self
                .replicas
                .iter()
                .flat_map(|one| one.identity().owned.iter().map(|(owner, _)| owner).collect::<Vec<_>>())
                .collect();
            let orphans: Vec<_> = self.named().difference(&owned).copied().collect();
            for orphan in &orphans {
                self.replicas[0].adopt(*orphan);
                if self.plant == Plant::CountsOnFromBefore {
                    self.replicas[0].count_on_from_before(*orphan);
                }
            }
            if !changed && orphans.is_empty() {
                return Ok(());
            }
        }
        Err(format!("not settled after {ROUNDS_MAX} rounds"))
    }

    /// All rows to everybody, all tallies to whoever keeps them; true where somebody learned something.
    fn exchange(&mut self) -> bool {
        let before = self.state();
        for one in 0..self.replicas.len() {
            for news in self.replicas[one].announce() {
                self.send(Some(one), &news);
            }
            for (id, comment) in self.replicas[one].comments() {
                self.send(Some(one), &News::Comment(id, comment));
            }
            let owned = self.replicas[one].identity();
            for (key, tally) in self.replicas[one].tallies() {
                if owned.owned.epoch_of(key.replica) == Some(tally.epoch) {
                    self.send(Some(one), &News::Tally(key, tally));
                }
            }
        }
        while let Some(sent) = self.net.pop() {
            self.hand_over(sent);
        }
        self.state() != before
    }

    /// Wants: what Stories and the siblings hold is told to the replicas, which is how one of them meets its own future. Of
    /// what is equal anti-entropy says nothing.
    fn compare_with_subscribers(&mut self) -> bool {
        let before = self.state();
        let mut held: Vec<_> = self.stories.0.iter().map(|(key, tally)| (*key, *tally)).collect();
        for replica in &mut self.replicas {
            held.extend(replica.tallies());
        }
        for (key, tally) in held {
            for one in 0..self.replicas.len() {
                if self.plant == Plant::HeirsForgetWhatStoriesKnows && !self.knows(one, key) {
                    continue;
                }
                if !self.replicas[one].tallies().contains(&(key, tally)) {
                    self.replicas[one].hear(News::Tally(key, tally));
                }
            }
        }
        self.state() != before
    }

    /// Whether a replica has a tally of its own accord.
    fn knows(&mut self, one: usize, key: TallyKey) -> bool {
        self.replicas[one].tallies().iter().any(|(known, _)| *known == key)
    }

    fn state(&mut self) -> Vec<Vec<u8>> {
        let mut state: Vec<_> = self.stories.0.iter().map(|pair| format!("{pair:?}").into_bytes()).collect();
        for replica in &mut self.replicas {
            state.push(
                format!("{:?}{:?}{:?}", replica.identity(), replica.comments(), replica.tallies()).into(),
            );
        }
        state
    }

    fn verdict(mut self) -> Outcome {
        let live = self.replicas[0].live();
        for one in 1..self.replicas.len() {
            if self.replicas[one].comments() != self.replicas[0].comments() {
                return Outcome::Wrong(format!("replica {one} has other rows"));
            }
        }
        let tallies: BTreeMap<_, _> = self.replicas[0].tallies().into_iter().collect();
        let groups: BTreeSet<_> =
            live.keys().copied().chain(self.stories.0.keys().map(|key| key.group)).collect();
        for group in groups {
            let expected = live.get(&group).copied().unwrap_or_default();
            let shown = self.stories.shown(group);
            let of_group = tallies.iter().filter(|(key, _)| key.group == group);
            let here = lattice::total(of_group.map(|(_, tally)| tally));
            if shown != expected || here != expected {
                return Outcome::Wrong(format!(
                    "{group}: {expected} are live, Stories shows {shown}, Comments {here}"
                ));
            }
        }
        Outcome::Exact
    }
}

fn part(number: u8) -> Group {
    Group::Part(PartId::from_bytes([number; 16]))
}
