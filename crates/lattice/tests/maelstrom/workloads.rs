//! Each workload on five nodes, while partitions come and go; then the partition heals, and all must agree exactly.

use crate::network::{Cluster, Damage, NODES, Random, name};
use crate::process::PATIENCE;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

const ROUNDS: usize = 12;
const REQUESTS: usize = 25;

/// What a client knows of its requests: it makes them, and judges what is answered.
trait Client {
    /// The next request to this node, and the exact keys of its reply beside `type` and `in_reply_to`.
    fn request(&mut self, node: usize, random: &mut Random) -> (Value, &'static [&'static str]);
    /// Judges a reply, given its request.
    fn judge(&mut self, node: usize, request: &Value, reply: &Value);
}

/// Asks random nodes while the network is cut again and again. No answer may wait for a cut to end.
fn play(cluster: &mut Cluster, client: &mut impl Client) {
    for _ in 0..ROUNDS {
        cluster.cut();
        let mut asked = BTreeMap::new();
        for _ in 0..REQUESTS {
            let node = cluster.random.node();
            let (request, keys) = client.request(node, &mut cluster.random);
            asked.insert(cluster.ask(node, request.clone()), (request, keys));
            let pause = Duration::from_millis(cluster.random.below(7));
            cluster.work_for(pause);
        }
        for answer in cluster.await_answers() {
            let (request, keys) = &asked[&answer.id];
            let mut exact: Vec<&str> = [&["in_reply_to", "type"], *keys].concat();
            exact.sort_unstable();
            let found: Vec<&String> = answer.body.as_object().unwrap().keys().collect();
            assert_eq!(found, exact, "{}", answer.body);
            assert_eq!(answer.body["type"], format!("{}_ok", request["type"].as_str().unwrap()));
            client.judge(answer.node, request, &answer.body);
        }
    }
}

/// Heals the network, which goes on losing and delaying, and reads until all nodes say this.
fn agree(cluster: &mut Cluster, key: &str, expected: &Value) -> Damage {
    cluster.heal();
    let deadline = Instant::now() + PATIENCE;
    loop {
        for node in 0..NODES {
            cluster.ask(node, json!({"type": "read"}));
        }
        let mut answers = cluster.await_answers();
        answers.sort_by_key(|answer| answer.node);
        if answers.iter().all(|answer| answer.body[key] == *expected) {
            return cluster.damage;
        }
        if Instant::now() >= deadline {
            let said: Vec<_> = answers.iter().map(|answer| (name(answer.node), &answer.body[key])).collect();
            panic!("the nodes do not agree on {expected}: {said:?}");
        }
        cluster.work_for(Duration::from_millis(50));
    }
}

/// A test of a network that hurts nobody proves nothing.
fn hurt(damage: Damage) {
    println!("{damage:?}");
    assert!(damage.delivered > 0 && damage.lost > 0 && damage.repeated > 0 && damage.cut > 0, "{damage:?}");
}

/// Broadcast and g-set: what was sent to which node, and what each node was seen to have.
struct Sets {
    write: &'static str,
    field: &'static str,
    list: &'static str,
    next: i64,
    sent: BTreeSet<i64>,
    at: [BTreeSet<i64>; NODES],
    /// What each read, asked at this time, must find at least: the node's own, and what it showed before.
    least: BTreeMap<usize, Vec<BTreeSet<i64>>>,
}

impl Sets {
    fn new(write: &'static str, field: &'static str, list: &'static str) -> Self {
        let (sent, at, least) = (BTreeSet::new(), Default::default(), BTreeMap::new());
        Self { write, field, list, next: 0, sent, at, least }
    }
}

impl Client for Sets {
    fn request(&mut self, node: usize, random: &mut Random) -> (Value, &'static [&'static str]) {
        if random.below(3) == 0 {
            let reads = self.least.entry(node).or_default();
            reads.push(self.at[node].clone());
            return (
                json!({"type": "read"}),
                if self.list == "messages" { &["messages"] } else { &["value"] },
            );
        }
        self.next += 1;
        // Any order of the values, negative ones too; each but once, or the last write of one could stand in for it.
        let value = if random.below(2) == 0 { self.next } else { -self.next };
        self.sent.insert(value);
        self.at[node].insert(value);
        (json!({"type": self.write, self.field: value}), &[])
    }

    fn judge(&mut self, node: usize, request: &Value, reply: &Value) {
        if request["type"] != "read" {
            return;
        }
        let listed: Vec<i64> =
            reply[self.list].as_array().unwrap().iter().map(|v| v.as_i64().unwrap()).collect();
        let read: BTreeSet<i64> = listed.iter().copied().collect();
        assert_eq!(listed.len(), read.len(), "an element twice");
        assert!(read.is_subset(&self.sent), "made up: {:?}", read.difference(&self.sent));
        let least = self.least.get_mut(&node).unwrap().remove(0);
        assert!(read.is_superset(&least), "{} lost {:?}", name(node), least.difference(&read));
        self.at[node].extend(read);
    }
}

#[test]
fn broadcast_reaches_all_along_any_topology() {
    for seed in [1, 2] {
        let mut cluster = Cluster::start("broadcast", seed);
        // A line, then a star of one-way streets: what the topology cannot carry is for the digests.
        let line =
            json!({"n1": ["n2"], "n2": ["n1", "n3"], "n3": ["n2", "n4"], "n4": ["n3", "n5"], "n5": ["n4"]});
        let star = json!({"n1": [], "n2": ["n1"], "n3": ["n1"], "n4": ["n1"], "n5": ["n1"]});
        let topology = if seed == 1 { line } else { star };
        for node in 0..NODES {
            cluster.ask(node, json!({"type": "topology", "topology": topology}));
        }
        for answer in cluster.await_answers() {
            assert_eq!(answer.body, json!({"type": "topology_ok", "in_reply_to": answer.id}));
        }
        let mut client = Sets::new("broadcast", "message", "messages");
        play(&mut cluster, &mut client);
        hurt(agree(&mut cluster, "messages", &json!(client.sent)));
    }
}

#[test]
fn g_set_loses_nothing_and_makes_nothing_up() {
    let mut cluster = Cluster::start("g-set", 3);
    let mut client = Sets::new("add", "element", "value");
    play(&mut cluster, &mut client);
    hurt(agree(&mut cluster, "value", &json!(client.sent)));
}

/// What was added where: a read shows the node's own sum and some part of the others'.
#[derive(Default)]
struct Counts {
    negative: bool,
    up: [i64; NODES],
    down: [i64; NODES],
    reads: BTreeMap<usize, Vec<i64>>,
}

impl Client for Counts {
    fn request(&mut self, node: usize, random: &mut Random) -> (Value, &'static [&'static str]) {
        if random.below(3) == 0 {
            self.reads.entry(node).or_default().push(self.up[node] - self.down[node]);
            return (json!({"type": "read"}), &["value"]);
        }
        let delta = i64::try_from(random.below(10)).unwrap();
        if self.negative && random.below(2) == 0 {
            self.down[node] += delta;
            return (json!({"type": "add", "delta": -delta}), &[]);
        }
        self.up[node] += delta;
        (json!({"type": "add", "delta": delta}), &[])
    }

    fn judge(&mut self, node: usize, request: &Value, reply: &Value) {
        if request["type"] == "read" {
            let value = reply["value"].as_i64().unwrap();
            let own = self.reads.get_mut(&node).unwrap().remove(0);
            let others = |sums: &[i64; NODES]| sums.iter().sum::<i64>() - sums[node];
            // More may have been added here and elsewhere since; nothing was before it was asked.
            let bounds = own - others(&self.down)..=own + others(&self.up);
            assert!(bounds.contains(&value), "{} says {value}, not in {bounds:?}", name(node));
        }
    }
}

fn count(workload: &str, negative: bool, seed: u64) {
    let mut cluster = Cluster::start(workload, seed);
    let mut client = Counts { negative, ..Counts::default() };
    play(&mut cluster, &mut client);
    let sum = client.up.iter().sum::<i64>() - client.down.iter().sum::<i64>();
    hurt(agree(&mut cluster, "value", &json!(sum)));
}

#[test]
fn g_counter_reads_the_exact_sum() {
    count("g-counter", false, 4);
}

#[test]
fn pn_counter_reads_the_exact_sum() {
    count("pn-counter", true, 5);
}

/// Echoes come back as they were, and no two ids are the same.
#[derive(Default)]
struct Stateless {
    ids: BTreeSet<String>,
    echo: bool,
}

impl Client for Stateless {
    fn request(&mut self, _: usize, random: &mut Random) -> (Value, &'static [&'static str]) {
        if self.echo {
            let payload = [json!(random.next()), json!("ü\n"), json!(null), json!([{"a": [1.5]}])];
            let chosen = payload[usize::try_from(random.below(4)).unwrap()].clone();
            return (json!({"type": "echo", "echo": chosen}), &["echo"]);
        }
        (json!({"type": "generate"}), &["id"])
    }

    fn judge(&mut self, _: usize, request: &Value, reply: &Value) {
        if self.echo {
            assert_eq!(reply["echo"], request["echo"]);
        } else {
            assert!(self.ids.insert(reply["id"].to_string()), "given twice: {reply}");
        }
    }
}

#[test]
fn unique_ids_are_unique() {
    let (mut cluster, mut client) = (Cluster::start("unique-ids", 6), Stateless::default());
    play(&mut cluster, &mut client);
    assert_eq!(client.ids.len(), ROUNDS * REQUESTS);
}

#[test]
fn echo_comes_back() {
    let mut cluster = Cluster::start("echo", 7);
    play(&mut cluster, &mut Stateless { echo: true, ..Stateless::default() });
}
