//! Rounds of `antiphon replay` against the server, while faults strike.

use std::fmt;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::faults::{Fault, Struck, draw};
use crate::scene::{Scene, binary};

/// Of a round, whose comments are on so many parts by so many people.
const PARTS: usize = 16;
const PEOPLE: usize = 40;

/// What came of it.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Figures {
    pub(crate) rounds: u64,
    pub(crate) kills: u64,
    pub(crate) pauses: u64,
    pub(crate) cuts: u64,
    /// Writes that were answered with success: comments, deletions, people.
    pub(crate) acknowledged: u64,
    /// Acknowledged comments that are not listed.
    pub(crate) lost: u64,
    /// Parts in which anything else differs, and promises that were not kept.
    pub(crate) wrong: u64,
    pub(crate) took: Duration,
}

impl Figures {
    pub(crate) fn and(&self, other: &Self) -> Self {
        Self {
            rounds: self.rounds + other.rounds,
            kills: self.kills + other.kills,
            pauses: self.pauses + other.pauses,
            cuts: self.cuts + other.cuts,
            acknowledged: self.acknowledged + other.acknowledged,
            lost: self.lost + other.lost,
            wrong: self.wrong + other.wrong,
            took: self.took + other.took,
        }
    }

    fn note(&mut self, report: &Value) {
        let number = |value: &Value| value.as_u64().unwrap();
        let totals = &report["totals"];
        self.rounds += 1;
        self.acknowledged +=
            number(&totals["posted"]) + number(&totals["deleted"]) + number(&report["people"]);
        let missing = report["parts"].as_array().unwrap().iter();
        self.lost += missing.map(|part| part["missing"].as_array().unwrap().len() as u64).sum::<u64>();
        self.wrong += number(&totals["differing"]) + number(&report["broken_promises"]);
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} kills, {} pauses, {} cut links in {:.0} s and {} rounds; {} acknowledged writes: {} lost, {} wrong",
            self.kills,
            self.pauses,
            self.cuts,
            self.took.as_secs_f64(),
            self.rounds,
            self.acknowledged,
            self.lost,
            self.wrong,
        )
    }
}

/// Conversations on a few parts.
fn corpus(path: &Path, comments: usize) {
    let mut lines = String::new();
    for n in 0..comments {
        let reply = if n >= 2 * PARTS && n % 3 != 0 {
            format!(r#", "reply_to": "c{}""#, n - PARTS)
        } else {
            String::new()
        };
        let (part, author) = (n % PARTS, n % PEOPLE);
        writeln!(
            lines,
            r#"{{"id":"c{n}","part":"p{part}","author":"a{author}","text":"comment {n}"{reply}}}"#
        )
        .unwrap();
    }
    std::fs::write(path, lines).unwrap();
}

/// How far a replay is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    /// It looks for the server, once, and signs people up.
    Begun,
    /// It posts, and insists.
    Posting,
    /// It waits for quiet, reads back and compares.
    Posted,
}

/// A replay in a process of its own.
struct Replay {
    child: Child,
    phase: watch::Receiver<Phase>,
    told: tokio::task::JoinHandle<String>,
}

impl Replay {
    fn start(scene: &Scene, corpus: &Path, report: &Path, seed: u64) -> Self {
        let mut child = Command::new(binary())
            .arg("replay")
            .arg(corpus)
            .args(["--url", &format!("http://{}", scene.address()), "--connections", "8"])
            .args(["--hostile", &seed.to_string(), "--json"])
            .arg(report)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (tell, phase) = watch::channel(Phase::Begun);
        let told = tokio::spawn(async move {
            let mut all = String::new();
            while let Ok(Some(line)) = lines.next_line().await {
                // The line at the end of a phase says how long it took.
                let ended = line.ends_with("s)");
                match line.trim_start().split(' ').next() {
                    Some("people") if ended => drop(tell.send_replace(Phase::Posting)),
                    Some("comments") if ended => drop(tell.send_replace(Phase::Posted)),
                    _ => {}
                }
                writeln!(all, "{line}").unwrap();
            }
            all
        });
        Self { child, phase, told }
    }

    /// Waits until it is so far, or has ended: then its report tells why.
    async fn reaches(&mut self, phase: Phase) {
        self.phase.wait_for(|now| *now >= phase).await.map(drop).unwrap_or_default();
    }

    /// Waits for its end; its report.
    async fn report(mut self, path: &Path) -> Value {
        let status = self.child.wait().await.unwrap();
        let told = self.told.await.unwrap();
        println!("{}", told.lines().last().unwrap_or_default());
        let report = std::fs::read_to_string(path).unwrap();
        assert!(!report.is_empty(), "replay ended with {status} and without a report: {told}");
        serde_json::from_str(&report).unwrap()
    }
}

/// Rounds of so many comments for so long, and until the last of them has ended.
pub(crate) async fn havoc(scene: &Scene, seed: u64, how_long: Duration, comments: usize) -> Figures {
    let mut rng = fastrand::Rng::with_seed(seed);
    let folder = tempfile::tempdir().unwrap();
    let (file, json) = (folder.path().join("corpus.ndjson"), folder.path().join("report.json"));
    corpus(&file, comments);
    let (mut figures, mut struck, began) = (Figures::default(), Struck::default(), Instant::now());
    while began.elapsed() < how_long {
        let mut replay = Replay::start(scene, &file, &json, rng.u64(..));
        replay.reaches(Phase::Posting).await;
        // Each misfortune is seen to its end, so that what follows the last one is a healthy world.
        loop {
            let (pause, first, second) = draw(&mut rng, scene.elsewhere.is_some());
            tokio::select! {
                () = sleep(pause) => {}
                () = replay.reaches(Phase::Posted) => break,
            }
            strike(scene, first, second, &mut struck).await;
        }
        // Once more, for what is on its way now.
        let broker = scene.elsewhere.as_ref().map(|_| Fault::KillBroker(Duration::ZERO));
        strike(scene, Fault::KillServer(Duration::ZERO), broker, &mut struck).await;
        figures.note(&replay.report(&json).await);
    }
    let Struck { kills, pauses, cuts } = struck;
    Figures { kills, pauses, cuts, took: began.elapsed(), ..figures }
}

async fn strike(scene: &Scene, first: Fault, second: Option<Fault>, struck: &mut Struck) {
    let (mut one, mut other) = (Struck::default(), Struck::default());
    let beside = async {
        if let Some(second) = second {
            scene.strike(second, &mut other).await;
        }
    };
    tokio::join!(scene.strike(first, &mut one), beside);
    struck.kills += one.kills + other.kills;
    struck.pauses += one.pauses + other.pauses;
    struck.cuts += one.cuts + other.cuts;
}
