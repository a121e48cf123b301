//! Writes the first seeds of every target from the golden files: `cargo run --example seeds`, in this folder.

use antiphon_fuzz::json::TYPES;
use lattice::{HyperLogLog, IntervalTreeClock, Lattice};
use std::fs;
use std::path::{Path, PathBuf};

/// The JSON of a golden file's states, one after the other.
fn golden(name: &str) -> Vec<String> {
    let path = format!("../crates/lattice/tests/golden/{name}.json");
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let states: Vec<Box<serde_json::value::RawValue>> =
        serde_json::from_str(&text).expect("an array of states");
    states.into_iter().map(|state| state.get().to_owned()).collect()
}

fn write(target: &str, name: &str, bytes: impl AsRef<[u8]>) {
    let folder: PathBuf = Path::new("corpus").join(target);
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join(format!("golden-{name}")), bytes).expect("a file");
}

fn chosen(choice: usize, rest: &[u8]) -> Vec<u8> {
    [&[u8::try_from(choice).expect("fewer than 256 lines")], rest].concat()
}

fn main() {
    for (nth, of) in TYPES.iter().enumerate() {
        // The bottom is the first, and joining with it is tried anyway.
        let states: Vec<String> = golden(of.name).into_iter().skip(1).take(3).collect();
        write("json", &format!("{nth:02}-{}", of.name), chosen(nth, states.join("\n").as_bytes()));
    }

    let empty = HyperLogLog::<4>::default();
    let sketch = (0..40_u64).fold(empty.clone(), |mut all, hash| {
        all.insert_hash(hash.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        all
    });
    write("packed", "sketch-empty", chosen(0, &empty.to_bytes()));
    write("packed", "sketch", chosen(0, &sketch.clone().joined(empty).to_bytes()));
    write("packed", "sketch-12", chosen(1, &HyperLogLog::<12>::default().to_bytes()));
    write("packed", "stamp", chosen(2, &[7; 26]));
    for (choice, name) in
        [(3, "causal_message"), (4, "vector_clock"), (5, "cursor"), (6, "sequence"), (7, "text")]
    {
        for (nth, state) in golden(name).iter().enumerate() {
            write("packed", &format!("{name}-{nth}"), chosen(choice, state.as_bytes()));
        }
    }

    let texts = ["stamp", "dot", "replica_id", "hlc", "itc_id", "event_tree", "interval_tree_clock"];
    for name in texts {
        for (nth, state) in golden(name).iter().enumerate() {
            write("stamps", &format!("{name}-{nth}"), state.trim_matches('"'));
        }
    }

    let clocks = golden("interval_tree_clock");
    let bits = |text: &String| -> (Vec<u8>, usize) {
        text.trim_matches('"').parse::<IntervalTreeClock>().expect("a clock").to_bits()
    };
    for (nth, (bytes, count)) in clocks.iter().map(bits).enumerate() {
        // How many bytes the first of the two has, and how many bits of its last one do not count.
        let split = (bytes.len() << 3) | (bytes.len() * 8 - count);
        write("itc", &format!("clock-{nth}"), chosen(split, &[&bytes[..], &bytes[..]].concat()));
    }
}
