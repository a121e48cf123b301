//! The durable broker in a folder.

#![expect(clippy::unwrap_used, reason = "a test, its helpers included, fails by panicking")]

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use antiphon_conformance::{Control, LocalFuture, Need, Outage, Place, Subject, Timing, Unable, run};
use queue::{EmbeddedQueue, MESSAGES_MAX, Queue};
use store::RealWorld;
use tempfile::TempDir;

struct Embedded;

/// A folder, which belongs to one process at a time.
struct Folder {
    root: TempDir,
    messages_max: u64,
    opened: Mutex<Option<(EmbeddedQueue, Outage)>>,
    /// What is cut: the link of whoever opened it last. A broker in this process has no other way to be away.
    cut: tokio::sync::Mutex<Option<Outage>>,
}

impl Folder {
    fn path(&self) -> PathBuf {
        self.root.path().join("queue")
    }

    fn link(&self) -> Outage {
        self.opened.lock().unwrap().as_ref().unwrap().1.clone()
    }
}

impl Place for Folder {
    fn connect(&self) -> LocalFuture<'_, Arc<dyn Queue>> {
        Box::pin(async {
            if self.opened.lock().unwrap().is_none() {
                let queue = EmbeddedQueue::open_with(&self.path(), Arc::new(RealWorld), self.messages_max)
                    .await
                    .unwrap();
                let link = Outage::new(Arc::new(queue.clone()));
                *self.opened.lock().unwrap() = Some((queue, link));
            }
            Arc::new(self.link()) as Arc<dyn Queue>
        })
    }

    fn leave(&self) -> LocalFuture<'_, ()> {
        Box::pin(async {
            let opened = self.opened.lock().unwrap().take();
            if let Some((queue, link)) = opened {
                drop(link);
                queue.close().await;
            }
        })
    }

    fn url(&self) -> Option<String> {
        Some(format!("embedded:{}", self.path().display()))
    }

    fn control(&self) -> Option<&dyn Control> {
        Some(self)
    }
}

impl Control for Folder {
    fn harm(&self) -> LocalFuture<'_, ()> {
        Box::pin(async {
            let link = self.link();
            link.harm().await;
            *self.cut.lock().await = Some(link);
        })
    }

    fn swallow(&self) -> LocalFuture<'_, ()> {
        Box::pin(async {
            let link = self.link();
            link.swallow().await;
            *self.cut.lock().await = Some(link);
        })
    }

    fn heal(&self) -> LocalFuture<'_, ()> {
        Box::pin(async {
            if let Some(link) = self.cut.lock().await.take() {
                link.heal().await;
            }
        })
    }
}

impl Subject for Embedded {
    fn name(&self) -> &'static str {
        "embedded"
    }

    fn timing(&self) -> Timing {
        Timing::LOCAL
    }

    fn place(&self, need: Need) -> LocalFuture<'_, Result<Box<dyn Place>, Unable>> {
        let messages_max = if let Need::Bounded(most) = need { most } else { MESSAGES_MAX };
        Box::pin(async move {
            let root = tempfile::tempdir().unwrap();
            let folder =
                Folder { root, messages_max, opened: Mutex::default(), cut: tokio::sync::Mutex::default() };
            Ok(Box::new(folder) as Box<dyn Place>)
        })
    }

    fn wrong_urls(&self) -> Vec<(String, &'static str)> {
        vec![
            ("embedded:".to_owned(), "folder"),
            ("embedded:/dev/null/nothing".to_owned(), "/dev/null/nothing"),
            ("embedded:somewhere?flavour=sweet".to_owned(), "flavour"),
        ]
    }
}

fn main() -> ExitCode {
    run(vec![Arc::new(Embedded)], env!("CARGO_BIN_EXE_conformance-worker"))
}
