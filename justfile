# What CI runs, by hand. `just` lists the recipes.

default:
    @just --list

# Start the platform.
run *args:
    cargo run --release -- {{ args }}

# The README's test command.
test:
    cargo test --workspace

# Everything that CI checks without installing anything.
check: fmt clippy docs features test web

fmt:
    cargo fmt --all --check

clippy:
    cargo clippy --workspace --all-targets --all-features -- -D warnings

docs:
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --all-features

# Every feature alone, and none.
features:
    cargo check -p antiphon-store --no-default-features
    cargo check -p antiphon-store --no-default-features --features conformance
    cargo check -p antiphon-queue --no-default-features
    cargo check -p antiphon-queue --no-default-features --features embedded

# The modules of the pages.
web:
    node --test web/*.test.js

# The main job on real input: NDJSON of comments, one a line.
replay file *args:
    cargo run --release -- replay {{ file }} {{ args }}

# Fuzz every decoder for so many seconds each.
fuzz seconds="30":
    fuzz/run {{ seconds }}

# The lattice beside the crates that one would take instead. Needs minutes to build.
bench *args:
    cargo run --release --manifest-path crates/bench/Cargo.toml -- {{ args }}
