//! Those who play: readers, writers, hosts, and clients that are impatient, confused or broken.
//!
//! They speak HTTP and nothing else. Every deed is told to the auditor before it is sent, and so is what came back.
//!
//! | file | what |
//! |---|---|
//! | `board` | what people know of each other: links that are passed around |
//! | `person` | signing in, sending until something is said |
//! | `habits` | how much of what they do in a run |
//! | `browser` | a reader's own join of the tallies that it was shown |
//! | `reading`, `writing`, `hosting`, `arranging`, `opinions`, `rubbish` | what they do |

mod arranging;
mod board;
mod browser;
mod habits;
mod hosting;
mod opinions;
mod person;
mod reading;
mod rubbish;
mod writing;

pub use browser::Browser;

use crate::auditor::Auditor;
use crate::core::lock;
use crate::run::Play;
use crate::world::World;
use board::Board;
use fastrand::Rng;
use habits::{Habits, Wish};
use person::Person;
use std::sync::{Arc, Mutex};

/// The fewest and the most authors of stories.
const HOSTS: (u32, u32) = (1, 2);
/// The fewest and the most people who only read and write.
const GUESTS: (u32, u32) = (2, 6);
/// The shortest and the longest pause between two deeds of one person, in milliseconds, where the run is not longer than
/// an hour. In a longer one all pauses are longer in proportion, up to [`STRETCH_MAX`].
const PAUSE_MS: (u64, u64) = (200, 30_000);
/// How much longer pauses are in the longest runs.
const STRETCH_MAX: u64 = 500;
const HOUR_MS: u64 = 3_600_000;
/// The most deeds of one person.
const DEEDS_MAX: usize = 400;

/// The whole company: it plays in any world, and is judged by the auditor.
#[derive(Debug, Default)]
pub struct Company {
    cast: Mutex<Option<Cast>>,
    is_plain: bool,
}

impl Company {
    /// One in which everybody does a little of everything, in every run: for whoever knows what a run has to see, and
    /// wants it in few seeds.
    pub fn plain() -> Self {
        Self { is_plain: true, ..Self::default() }
    }
}

impl Play for Company {
    fn enter(&self, world: &World) {
        let habits = if self.is_plain { Habits::plain() } else { Habits::draw(&mut world.rng("habits")) };
        *lock(&self.cast) = Some(Cast::enter(world, habits));
    }

    async fn verdict(&self, world: &World) {
        let Some(cast) = lock(&self.cast).clone() else {
            return world.fail("actors", "nobody played".to_owned());
        };
        cast.verdict().await;
    }
}

/// All who play. Clones are the same.
#[derive(Debug, Clone)]
struct Cast {
    auditor: Auditor,
    board: Arc<Board>,
    habits: Arc<Habits>,
}

impl Cast {
    /// Draws who plays, and lets them begin.
    fn enter(world: &World, habits: Habits) -> Self {
        let auditor = Auditor::new(world.clone());
        let cast = Self { auditor, board: Arc::default(), habits: Arc::new(habits) };
        let mut rng = world.rng("cast");
        let stretch = (world.plan().duration_ms / HOUR_MS).clamp(1, STRETCH_MAX);
        let (hosts, guests) = (between(&mut rng, HOSTS), between(&mut rng, GUESTS));
        for number in 0..hosts + guests {
            let name = format!("{}{number}", if number < hosts { "host" } else { "guest" });
            let person = Person::new(&cast, world.clone(), number, name.clone(), stretch);
            let is_host = number < hosts;
            world.spawn(live(person, is_host));
        }
        cast
    }

    /// Every check of the end. Call it once all is quiet; what fails is told to the world.
    async fn verdict(&self) {
        let exact = self.auditor.judge().await;
        if self.auditor.world().failed() {
            return;
        }
        let world = self.auditor.world();
        let losses = world.losses();
        for (reader, browser) in self.board.browsers() {
            if let Err(wrong) = browser.agrees(&exact, &losses) {
                self.auditor.world().fail("a browser ends exact", format!("{reader}: {wrong}"));
                return;
            }
        }
    }
}

fn between(rng: &mut Rng, (least, most): (u32, u32)) -> u32 {
    rng.u32(least..=most)
}

/// What somebody does in the course of a run.
async fn live(mut person: Person, is_host: bool) {
    if !person.sign_up().await {
        return;
    }
    if is_host && !person.begin_story().await {
        return;
    }
    for _ in 0..DEEDS_MAX {
        person.pause(PAUSE_MS).await;
        if person.is_over() {
            break;
        }
        match person.habits.wish(&mut person.rng) {
            Wish::Host if is_host => person.host().await,
            Wish::Post => person.post().await,
            Wish::Reply => person.reply().await,
            Wish::DeleteOwn => person.delete_own().await,
            Wish::EditOwn => person.edit_own().await,
            Wish::Vote => person.vote().await,
            Wish::Rename => person.rename().await,
            Wish::Shelve => person.shelve().await,
            Wish::BreakAKey => person.break_a_key().await,
            Wish::Rubbish => person.rubbish().await,
            Wish::ReadList => person.read_list().await,
            Wish::Host | Wish::ReadPart => person.read_part().await,
        }
    }
    person.leave();
}
