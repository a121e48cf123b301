//! The dependency rules of the design, held against cargo's own metadata.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests, where a panic is the verdict"
)]

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// Every crate and the crates of ours that it may use, bottom up: nothing may point to a later line, and services never
/// point to each other.
const MAY_USE: [(&str, &[&str]); 16] = [
    ("pbs", &[]),
    ("testbed", &[]),
    ("lattice", &[]),
    ("store", &["lattice"]),
    ("queue", &["store"]),
    ("sqs-server", &["store"]),
    ("consumer", &["lattice", "queue"]),
    ("conformance", &["store", "queue", "consumer", "testbed", "sqs-server"]),
    ("messages", &["lattice", "store"]),
    ("api", &["lattice", "store", "messages"]),
    ("choreography", &["pbs", "lattice", "store", "queue", "consumer", "messages", "api"]),
    ("users", &["lattice", "store", "queue", "messages", "api", "choreography"]),
    ("stories", &["lattice", "store", "queue", "messages", "api", "choreography"]),
    ("comments", &["lattice", "store", "queue", "messages", "api", "choreography"]),
    (
        "antiphon",
        &[
            "pbs",
            "lattice",
            "store",
            "queue",
            "sqs-server",
            "consumer",
            "messages",
            "api",
            "choreography",
            "users",
            "stories",
            "comments",
        ],
    ),
    (
        "sim",
        &[
            "lattice",
            "store",
            "queue",
            "consumer",
            "messages",
            "api",
            "choreography",
            "users",
            "stories",
            "comments",
        ],
    ),
];

/// Only these may pull in what speaks to the outside world.
const OUTSIDE: [(&str, &[&str]); 13] = [
    ("axum", &["api", "users", "stories", "comments", "sqs-server", "antiphon", "sim"]),
    ("async-nats", &["queue"]),
    ("aws-config", &["queue"]),
    ("aws-sdk-sns", &["queue"]),
    ("aws-sdk-sqs", &["queue"]),
    ("aws-smithy-http-client", &["queue"]),
    ("lapin", &["queue"]),
    ("rdkafka", &["queue"]),
    ("fjall", &["store"]),
    ("getrandom", &["store"]),
    ("ed25519-dalek", &["api"]),
    ("hyper", &["antiphon"]),
    ("clap", &["antiphon", "sim"]),
];

fn short(package: &str) -> String {
    package.strip_prefix("antiphon-").unwrap_or(package).to_owned()
}

/// Licences that ask for nothing but their notice; one of those that a package offers has to be among them.
const LICENCES: [&str; 9] =
    ["0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "ISC", "MIT", "Unicode-3.0", "Zlib"];

fn try_metadata(args: &[&str]) -> Result<Value, String> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1"])
        .args(args)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    Ok(serde_json::from_slice(&output.stdout).unwrap())
}

fn metadata(args: &[&str]) -> Value {
    try_metadata(&[&["--offline"], args].concat()).unwrap()
}

/// What each crate of the workspace depends on, tests aside.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let metadata = metadata(&["--no-deps"]);
    let names = |package: &Value| {
        let normal = |dependency: &&Value| dependency["kind"].is_null();
        package["dependencies"]
            .as_array()
            .unwrap()
            .iter()
            .filter(normal)
            .map(|dependency| short(dependency["name"].as_str().unwrap()))
            .collect()
    };
    let packages = metadata["packages"].as_array().unwrap();
    packages.iter().map(|package| (short(package["name"].as_str().unwrap()), names(package))).collect()
}

#[test]
fn arrows_point_from_the_bottom_up() {
    let dependencies = dependencies();
    let rules: BTreeMap<_, _> = MAY_USE.into_iter().collect();
    let ours: BTreeSet<_> = rules.keys().map(|name| (*name).to_owned()).collect();
    assert_eq!(
        dependencies.keys().cloned().collect::<BTreeSet<_>>(),
        ours,
        "a crate without a rule, or a rule without one"
    );
    for (name, uses) in &dependencies {
        for used in uses.intersection(&ours) {
            assert!(rules[name.as_str()].contains(&used.as_str()), "{name} may not use {used}");
        }
    }
}

#[test]
fn the_rules_themselves_have_no_cycle() {
    for (n, (name, uses)) in MAY_USE.iter().enumerate() {
        let below: Vec<_> = MAY_USE[..n].iter().map(|(name, _)| *name).collect();
        assert!(uses.iter().all(|used| below.contains(used)), "{name}");
    }
}

#[test]
fn the_outside_world_stays_where_it_belongs() {
    let dependencies = dependencies();
    for (outside, allowed) in OUTSIDE {
        for (name, uses) in &dependencies {
            assert!(
                !uses.contains(outside) || allowed.contains(&name.as_str()),
                "{name} may not use {outside}"
            );
        }
    }
    assert_eq!(dependencies["lattice"], BTreeSet::from(["serde".to_owned()]), "lattice is pure");
}

/// Every package that is built here with any feature, for this kind of machine.
#[test]
fn every_licence_is_one_that_we_may_ship() {
    let rustc = Command::new("rustc").arg("-vV").output().unwrap();
    let version = String::from_utf8(rustc.stdout).unwrap();
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let platform = ["--filter-platform", host];
    let all = [&platform[..], &["--all-features"]].concat();
    // Packages of features that were never built here are not on this machine: cargo fetches them.
    let found = try_metadata(&[&all[..], &["--offline"]].concat()).or_else(|_| try_metadata(&all));
    let metadata = found.unwrap_or_else(|error| {
        println!(
            "passed over: the licences of what only features bring, since cargo cannot fetch it: {error}"
        );
        metadata(&platform)
    });
    for package in metadata["packages"].as_array().unwrap() {
        let licence = package["license"].as_str().unwrap_or_default().replace('/', " OR ");
        // "A AND (B OR C)" asks for both; an exception only allows more.
        let allowed = licence.split(" AND ").all(|all| {
            let any = all.trim_matches(['(', ')']).split(" OR ");
            any.map(|one| one.split(" WITH ").next().unwrap().trim()).any(|one| LICENCES.contains(&one))
        });
        assert!(allowed, "{}: {licence:?}", package["name"]);
    }
}
