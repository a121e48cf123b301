//! Every type has its laws, its history, its golden bytes, its fuzzing, its page and its row: read from the sources.
//!
//! The types are those that the rooms' `mod.rs` export. Who adds one finds here by name what is still missing. The
//! table is printed: `cargo test --test catalogue -- --nocapture`.

#![expect(clippy::expect_used, reason = "a test may panic, in its helpers too")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

const ROOMS: [&str; 8] =
    ["clocks", "registers", "counters", "sets", "products", "causal", "graphs", "sequences"];

const HEADINGS: [&str; 6] = ["Promise", "Anomaly", "Cost", "Choose another", "Source", "JSON"];

/// Exports that are neither CRDT nor clock, and why. Errors are told by their names.
const HELPERS: &[(&str, &str)] = &[
    ("ReplicaId", "a name, which is part of states and is none"),
    ("Hlc", "a moment: `Clock` makes them"),
    ("Stamp", "the identity of one write: `Clock` makes them"),
    ("Dot", "the identity of one event: `VersionVector` and `CausalContext` make them"),
    ("TooFarAhead", "an error"),
    ("CausalMessage", "what `CausalDelivery` takes and gives"),
    ("NotTaken", "an error"),
    ("ItcId", "the half of an `IntervalTreeClock` that says who; tests/itc.rs"),
    ("ItcDecodeFault", "a field of an error"),
    ("DotStore", "a trait of what a `Causal` holds"),
    ("DotsExhausted", "an error"),
    ("Bias", "a field of `Cursor`"),
    ("Cursor", "a place in a `Sequence`, and no state of it"),
    ("Lane", "a field of `Stamp`"),
    ("Clock", "mints stamps, holds no shared state; tests/clock.rs"),
    ("Epoch", "a field of `Tally`"),
    ("Contribution", "what a row says of itself; tests/counting.rs"),
    ("Contributes", "a trait of rows"),
    ("Moved", "an answer"),
    ("OwnedTallies", "one replica's own, never sent; tests/counting.rs"),
    ("LwwBias", "a trait that names a tie-break"),
    ("AddWins", "a name of a tie-break: every line of `LwwSet` is one of it"),
    ("RemoveWins", "a name of a tie-break, which has lines of its own under `LwwSet`"),
    ("DagView", "borrows a `Dag`"),
    ("Walk", "an iterator"),
];

/// What a type need not have, and why.
const EXCUSED: &[(&str, Tick, &str)] = &[
    ("VectorClock", Tick::Laws, "one replica's own clock, no lattice: what it shares is a `VersionVector`"),
    ("VectorClock", Tick::Histories, "it has a model test of its own beside them; tests/histories/clocks.rs"),
    ("IntervalTreeClock", Tick::Laws, "it forks, no lattice: what is joined is its `EventTree`"),
    (
        "IntervalTreeClock",
        Tick::Histories,
        "its replicas fork and retire, the three of a history cannot; tests/itc.rs",
    ),
    ("CausalDelivery", Tick::Laws, "a buffer, no lattice"),
    (
        "CausalDelivery",
        Tick::Histories,
        "it is told of each message, and not of states; tests/causal_delivery.rs",
    ),
    ("CausalDelivery", Tick::Golden, "never encoded: its `CausalMessage` is, with a golden file of its own"),
    ("CausalDelivery", Tick::Fuzz, "never decoded: its `CausalMessage` is, with a line of its own"),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Tick {
    Laws,
    Histories,
    Golden,
    Fuzz,
    Page,
    Row,
}

impl Tick {
    const ALL: [Self; 6] = [Self::Laws, Self::Histories, Self::Golden, Self::Fuzz, Self::Page, Self::Row];

    const fn name(self) -> &'static str {
        match self {
            Self::Laws => "laws",
            Self::Histories => "histories",
            Self::Golden => "golden",
            Self::Fuzz => "fuzz",
            Self::Page => "page",
            Self::Row => "row",
        }
    }
}

/// What the sources say.
struct Sources {
    /// Every file of `src`.
    library: Vec<String>,
    /// The types in the lines of the macros, by the tick that they give.
    lines: BTreeMap<Tick, Vec<String>>,
    front_page: String,
    /// Whether `fuzz/` is there. A package has none.
    has_fuzz: bool,
}

impl Sources {
    fn read(root: &Path) -> Self {
        let tests = root.join("tests");
        let golden = entries(&files(&tests.join("golden")), "golden! {");
        for (name, _) in &golden {
            assert!(tests.join("golden").join(format!("{name}.json")).exists(), "{name} has no golden file");
        }
        let types = |entries: Vec<(String, String)>| entries.into_iter().map(|(_, of)| of).collect();
        let fuzz = ["src", "fuzz_targets"].map(|folder| root.join("../../fuzz").join(folder));
        Self {
            library: files(&root.join("src")),
            lines: BTreeMap::from([
                (Tick::Laws, types(entries(&files(&tests.join("laws")), "every_type! {"))),
                (Tick::Histories, types(entries(&files(&tests.join("histories")), "histories! {"))),
                (Tick::Golden, types(golden)),
                (
                    Tick::Fuzz,
                    fuzz.iter().flat_map(|folder| files(folder)).flat_map(|text| code(&text)).collect(),
                ),
            ]),
            front_page: fs::read_to_string(root.join("src/lib.rs")).expect("the crate has a front page"),
            has_fuzz: root.join("../../fuzz").is_dir(),
        }
    }

    fn has(&self, name: &str, tick: Tick) -> bool {
        match tick {
            Tick::Page => self.missing_of_page(name).is_empty(),
            Tick::Row => self.front_page.lines().any(|line| line.starts_with(&format!("//! | [`{name}`"))),
            tick => self.lines.get(&tick).is_some_and(|types| types.iter().any(|text| has_word(text, name))),
        }
    }

    /// The headings that the page of a type lacks, and the example that its anomaly lacks.
    fn missing_of_page(&self, name: &str) -> Vec<String> {
        let Some(page) = self.library.iter().find_map(|text| page(text, name)) else {
            return vec!["a page".to_owned()];
        };
        let has = |heading: &str| page.iter().any(|line| line == &format!("# {heading}"));
        let mut missing: Vec<String> =
            HEADINGS.iter().filter(|heading| !has(heading)).map(|heading| format!("# {heading}")).collect();
        let anomaly = page.iter().skip_while(|line| *line != "# Anomaly").skip(1);
        let anomaly: Vec<&String> = anomaly
            .take_while(|line| !HEADINGS.iter().any(|heading| **line == format!("# {heading}")))
            .collect();
        let runs =
            anomaly.iter().any(|line| *line == "```") && anomaly.iter().any(|line| line.contains("assert"));
        if has("Anomaly") && !runs {
            missing.push("an anomaly that runs".to_owned());
        }
        missing
    }
}

/// The texts of all Rust files in a folder, and in those below it. None, if there is no such folder.
fn files(folder: &Path) -> Vec<String> {
    let Ok(found) = fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = found.map(|entry| entry.expect("the folder can be read").path()).collect();
    paths.sort();
    let read = |path: PathBuf| {
        if path.is_dir() {
            files(&path)
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            vec![fs::read_to_string(&path).expect("a source is text")]
        } else {
            Vec::new()
        }
    };
    paths.into_iter().flat_map(read).collect()
}

/// The lines of code, without those that are comments or uses.
fn code(text: &str) -> Vec<String> {
    let is_code = |line: &&str| !line.trim_start().starts_with("//") && !line.starts_with("use ");
    text.lines().filter(is_code).map(str::to_owned).collect()
}

/// The entries of a macro of this name: `name: Type`, one indentation deep, each with its type.
fn entries(texts: &[String], head: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for text in texts {
        let mut inside = false;
        for line in text.lines() {
            inside = (inside && line != "}") || line == head;
            let entry = line
                .strip_prefix("    ")
                .filter(|rest| inside && rest.starts_with(|first: char| first.is_ascii_lowercase()));
            if let Some((name, rest)) = entry.and_then(|entry| entry.split_once(": "))
                && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
            {
                found.push((name.to_owned(), type_at_start(rest)));
            }
        }
    }
    found
}

/// Up to the comma or the sign that ends a type, outside its brackets.
fn type_at_start(text: &str) -> String {
    let mut depth = 0;
    let ends = |letter: char| {
        depth += i32::from("<([".contains(letter)) - i32::from(">)]".contains(letter));
        depth == 0 && (letter == ',' || letter == '=')
    };
    text.split(ends).next().unwrap_or_default().to_owned()
}

fn has_word(text: &str, word: &str) -> bool {
    text.split(|letter: char| !letter.is_alphanumeric() && letter != '_').any(|part| part == word)
}

/// The lines of the doc comment of a public type.
fn page(text: &str, name: &str) -> Option<Vec<String>> {
    let lines: Vec<&str> = text.lines().collect();
    let declares = |line: &str| {
        ["pub struct ", "pub enum ", "pub trait ", "pub type "].iter().any(|kind| {
            line.strip_prefix(kind)
                .and_then(|rest| rest.strip_prefix(name))
                .is_some_and(|rest| !rest.starts_with(char::is_alphanumeric))
        })
    };
    let at = lines.iter().position(|line| declares(line))?;
    let above = lines.get(..at)?.iter().rev();
    // Attributes may stand between, over several lines.
    let mut page: Vec<String> = above
        .skip_while(|line| !line.starts_with("///") && !line.is_empty())
        .take_while(|line| line.starts_with("///"))
        .map(|line| line.trim_start_matches("///").trim_start().to_owned())
        .collect();
    page.reverse();
    Some(page)
}

/// The names of the types, traits included, that a room exports.
fn exports(text: &str) -> BTreeSet<String> {
    let is_type = |name: &str| {
        name.starts_with(|first: char| first.is_ascii_uppercase())
            && name.contains(|letter: char| letter.is_ascii_lowercase())
    };
    let uses = text.split("pub use ").skip(1).filter_map(|rest| rest.split(';').next());
    let names = uses.flat_map(|items| items.rsplit("::").next().unwrap_or_default().split(['{', '}', ',']));
    names.map(str::trim).filter(|name| is_type(name)).map(str::to_owned).collect()
}

#[test]
fn every_type_has_all_of_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sources = Sources::read(root);
    let mut missing = Vec::new();
    let mut exported = BTreeSet::new();
    if !sources.has_fuzz {
        println!("there is no fuzz/ here, as in a package: its column is passed over");
    }
    println!("| type | {} |", Tick::ALL.map(Tick::name).join(" | "));
    println!("|---{}|", "|---".repeat(Tick::ALL.len()));
    for room in ROOMS {
        let text = fs::read_to_string(root.join("src").join(room).join("mod.rs")).expect("the room is there");
        let names = exports(&text);
        exported.extend(names.iter().cloned());
        for name in names.iter().filter(|name| !is_helper(name)) {
            let cells = Tick::ALL.map(|tick| {
                let excuse = EXCUSED.iter().find(|(of, from, _)| of == name && *from == tick);
                match (sources.has(name, tick), excuse) {
                    (true, None) => "yes",
                    (false, Some(_)) => "excused",
                    (true, Some(_)) => {
                        missing.push(format!("{name} is excused from {}, and has it", tick.name()));
                        "yes"
                    }
                    (false, None) if tick == Tick::Fuzz && !sources.has_fuzz => "-",
                    (false, None) => {
                        let what = if tick == Tick::Page {
                            sources.missing_of_page(name).join(", ")
                        } else {
                            String::new()
                        };
                        missing.push(format!("{name} lacks {} {what}", tick.name()).trim_end().to_owned());
                        "NO"
                    }
                }
            });
            println!("| `{name}` | {} |", cells.join(" | "));
        }
    }
    for (name, reason) in HELPERS {
        println!("`{name}` is none: {reason}");
        missing.extend(
            (!exported.contains(*name))
                .then(|| format!("{name} is on the list of helpers, and not exported")),
        );
    }
    for (name, tick, reason) in EXCUSED {
        println!("`{name}` is excused from {}: {reason}", tick.name());
        missing.extend((!exported.contains(*name)).then(|| format!("{name} is excused, and not exported")));
    }
    let reasons = HELPERS.iter().copied().chain(EXCUSED.iter().map(|(name, _, reason)| (*name, *reason)));
    for (name, file) in reasons.filter_map(|(name, reason)| Some((name, reason.rsplit_once("; ")?.1))) {
        let text = fs::read_to_string(root.join(file)).unwrap_or_default();
        missing.extend((!has_word(&text, name)).then(|| format!("{file} does not test {name}")));
    }
    assert!(missing.is_empty(), "\n{}\n", missing.join("\n"));
}

fn is_helper(name: &str) -> bool {
    name.ends_with("Error") || HELPERS.iter().any(|(helper, _)| *helper == name)
}

/// The reading itself can fail: here is a room in which everything is missing that may be.
#[test]
fn what_is_missing_is_seen() {
    let room = "pub use a::{Half, LIMIT, half};\npub use b::{\n    Whole, WholeError,\n};\npub use c::Third;";
    assert_eq!(exports(room).into_iter().collect::<Vec<_>>(), ["Half", "Third", "Whole", "WholeError"]);

    let laws = "every_type! {\n    a: Map<u8, Half>, vec![Whole::default()], x;\n        b: Third, y;\n}\n    c: Third, z;";
    let laws = entries(&[laws.to_owned()], "every_type! {");
    assert_eq!(laws, [("a".to_owned(), "Map<u8, Half>".to_owned())]);

    let text = "/// A half.\n///\n/// # Promise\n///\n/// # Anomaly\n///\n/// None.\n///\n/// # Cost\n#[derive(\n    Clone,\n)]\npub struct Half<T>(T);\n\npub struct HalfError;";
    let sources = Sources {
        library: vec![text.to_owned()],
        lines: BTreeMap::from([(Tick::Laws, vec!["Map<u8, Half>".to_owned()])]),
        front_page: "//! | [`Halves`] | |\n//! [`Half`]".to_owned(),
        has_fuzz: true,
    };
    assert!(sources.has("Half", Tick::Laws) && !sources.has("Hal", Tick::Laws));
    for tick in [Tick::Histories, Tick::Golden, Tick::Fuzz, Tick::Page, Tick::Row] {
        assert!(!sources.has("Half", tick), "{tick:?}");
    }
    assert_eq!(
        sources.missing_of_page("Half"),
        ["# Choose another", "# Source", "# JSON", "an anomaly that runs"]
    );
    assert_eq!(sources.missing_of_page("Whole"), ["a page"]);
}
