//! Five nodes and the network between them: it loses, repeats, delays, reorders and cuts, as its seed says.

use crate::process::{PATIENCE, Process};
use serde_json::{Value, json};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::io::BufRead;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

pub(crate) const NODES: usize = 5;

/// `SplitMix64`: the steps of the processes are theirs, but what the network and the client do follows from the seed.
pub(crate) struct Random(pub u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(crate) fn node(&mut self) -> usize {
        usize::try_from(self.below(NODES as u64)).unwrap()
    }
}

/// What the network did to the nodes' messages.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Damage {
    pub(crate) delivered: u32,
    pub(crate) lost: u32,
    pub(crate) repeated: u32,
    pub(crate) cut: u32,
}

/// A line between nodes: due when, a tie-break, from, to, and what it says.
type UnderWay = (Duration, u64, usize, usize, String);

/// A reply that came, beside its request.
pub(crate) struct Answer {
    pub(crate) node: usize,
    pub(crate) id: u64,
    pub(crate) body: Value,
}

pub(crate) struct Cluster {
    nodes: Vec<Process>,
    output: Receiver<(usize, Option<String>)>,
    pub(crate) random: Random,
    clock: Instant,
    under_way: BinaryHeap<Reverse<UnderWay>>,
    /// The side of a partition that each node is on: those on one side reach each other.
    pub(crate) sides: [u64; NODES],
    pub(crate) damage: Damage,
    last_id: u64,
    unanswered: BTreeMap<u64, usize>,
    pub(crate) answers: Vec<Answer>,
}

pub(crate) fn name(node: usize) -> String {
    format!("n{}", node + 1)
}

impl Cluster {
    /// Starts and initialises the nodes.
    pub(crate) fn start(workload: &str, seed: u64) -> Self {
        println!("workload {workload}, seed {seed}");
        let (told, output) = channel();
        let nodes = (0..NODES).map(|node| {
            let (process, lines) = Process::start(&[workload]);
            let told = told.clone();
            thread::spawn(move || {
                for line in lines.lines().map_while(Result::ok) {
                    told.send((node, Some(line))).ok();
                }
                told.send((node, None)).ok();
            });
            process
        });
        let mut cluster = Self {
            nodes: nodes.collect(),
            output,
            random: Random(seed),
            clock: Instant::now(),
            under_way: BinaryHeap::new(),
            sides: [0; NODES],
            damage: Damage::default(),
            last_id: 0,
            unanswered: BTreeMap::new(),
            answers: Vec::new(),
        };
        let ids: Vec<String> = (0..NODES).map(name).collect();
        for node in 0..NODES {
            cluster.ask(node, json!({"type": "init", "node_id": name(node), "node_ids": ids}));
        }
        for Answer { body, id, .. } in cluster.await_answers() {
            assert_eq!(body, json!({"type": "init_ok", "in_reply_to": id}));
        }
        cluster
    }

    /// Sends a client's request. Clients reach every node at once and in order, also in a partition.
    pub(crate) fn ask(&mut self, node: usize, mut body: Value) -> u64 {
        self.last_id += 1;
        body["msg_id"] = json!(self.last_id);
        self.unanswered.insert(self.last_id, node);
        self.nodes[node].tell(&json!({"id": 7, "src": "c1", "dest": name(node), "body": body}).to_string());
        self.last_id
    }

    /// Lets the network work until every request is answered, and hands over what came.
    pub(crate) fn await_answers(&mut self) -> Vec<Answer> {
        let deadline = self.clock.elapsed() + PATIENCE;
        while !self.unanswered.is_empty() {
            assert!(self.clock.elapsed() < deadline, "no answer to {:?}", self.unanswered);
            self.work_for(Duration::from_millis(1));
        }
        std::mem::take(&mut self.answers)
    }

    /// Lets the network work for a while.
    pub(crate) fn work_for(&mut self, time: Duration) {
        let until = self.clock.elapsed() + time;
        loop {
            let now = self.clock.elapsed();
            while self.under_way.peek().is_some_and(|Reverse((due, ..))| *due <= now) {
                let Reverse((_, _, from, to, line)) = self.under_way.pop().unwrap();
                if self.sides[from] == self.sides[to] {
                    self.damage.delivered += 1;
                    self.nodes[to].tell(&line);
                } else {
                    self.damage.cut += 1;
                }
            }
            if now >= until {
                return;
            }
            let next = self.under_way.peek().map_or(until, |Reverse((due, ..))| until.min(*due));
            match self.output.recv_timeout(next.saturating_sub(now)) {
                Ok((from, Some(line))) => self.route(from, &line),
                Ok((node, None)) => panic!("{} ended", name(node)),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => panic!("all nodes ended"),
            }
        }
    }

    fn route(&mut self, from: usize, line: &str) {
        let message: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let keys: Vec<&String> = message.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["body", "dest", "src"], "{line}");
        assert_eq!(message["src"], json!(name(from)), "{line}");
        if message["dest"] == "c1" {
            let body = message["body"].clone();
            let id = body["in_reply_to"].as_u64().unwrap_or_else(|| panic!("a reply to nothing: {line}"));
            assert_eq!(self.unanswered.remove(&id), Some(from), "answered twice, or by another: {line}");
            self.answers.push(Answer { node: from, id, body });
            return;
        }
        let to = (0..NODES).find(|&node| message["dest"] == json!(name(node)));
        let to = to.unwrap_or_else(|| panic!("to nobody: {line}"));
        if self.random.below(100) < 20 {
            self.damage.lost += 1;
            return;
        }
        let copies = 1 + u32::from(self.random.below(100) < 20);
        self.damage.repeated += copies - 1;
        for _ in 0..copies {
            let late = if self.random.below(10) == 0 { 300 } else { 40 };
            let due = self.clock.elapsed() + Duration::from_millis(self.random.below(late));
            let tie = self.random.next();
            self.under_way.push(Reverse((due, tie, from, to, line.to_owned())));
        }
    }

    /// Cuts the nodes apart anew: sometimes each for itself, sometimes into two sides, sometimes not at all.
    pub(crate) fn cut(&mut self) {
        let sides = [NODES as u64, 2, 2, 1][usize::try_from(self.random.below(4)).unwrap()];
        for node in 0..NODES {
            self.sides[node] = if sides == NODES as u64 { node as u64 } else { self.random.below(sides) };
        }
    }

    pub(crate) fn heal(&mut self) {
        self.sides = [0; NODES];
    }
}
