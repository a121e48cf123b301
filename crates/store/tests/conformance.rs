//! Every engine passes the one suite.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking; clippy knows tests, and not their helpers"
)]

use antiphon_store::conformance::{self, Home};
use antiphon_store::engine::remote::Remote;
use antiphon_store::{Fjall, FjallConfig, Memory};

struct Kept<E>(E);

impl Home for Kept<Memory> {
    type Engine = Memory;
    fn engine(&self) -> Memory {
        self.0.clone()
    }
}

impl Home for Kept<Remote> {
    type Engine = Remote;
    fn engine(&self) -> Remote {
        self.0.clone()
    }
}

impl Home for Kept<tempfile::TempDir> {
    type Engine = Fjall;
    fn engine(&self) -> Fjall {
        let config = FjallConfig { disk_free_bytes_min: 0, ..FjallConfig::default() };
        Fjall::open(&self.0.path().join("suite"), config, "suite").unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn memory() {
    conformance::run(|| Kept(Memory::new())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn remote_which_misses_every_row_at_first() {
    conformance::run(|| Kept(Remote::new())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fjall() {
    conformance::run(|| Kept(tempfile::tempdir().unwrap())).await;
}
