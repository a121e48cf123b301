//! Order among the messages of a key.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use queue::Message;

/// Each message that is handed back behind another one is delayed by this much more than the one before it.
const BEHIND: Duration = Duration::from_millis(10);

type KeyFn = Arc<dyn Fn(&Message) -> Option<String> + Send + Sync>;

/// Whose turn it is: the messages of each key that are held here, in the order in which they came. The first one is
/// being handled.
#[derive(Default, Clone)]
pub(super) struct Order {
    key_fn: Option<KeyFn>,
    lines: BTreeMap<Arc<str>, VecDeque<u64>>,
}

impl fmt::Debug for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Order").field("lines", &self.lines).finish_non_exhaustive()
    }
}

/// A key function panicked.
#[derive(Debug, Clone, Copy)]
pub(super) struct KeyPanicked;

impl Order {
    pub(super) fn by(key_fn: KeyFn) -> Self {
        Self { key_fn: Some(key_fn), lines: BTreeMap::new() }
    }

    /// The key of a message; `None` if it need not wait for any other.
    pub(super) fn key(&self, message: &Message) -> Result<Option<Arc<str>>, KeyPanicked> {
        let Some(key_fn) = &self.key_fn else { return Ok(None) };
        let called = std::panic::catch_unwind(AssertUnwindSafe(|| key_fn(message)));
        called.map(|key| key.map(Arc::from)).map_err(|_| KeyPanicked)
    }

    /// Puts a message at the end of its line, and says whether it is its turn.
    pub(super) fn join(&mut self, key: Arc<str>, id: u64) -> bool {
        let line = self.lines.entry(key).or_default();
        line.push_back(id);
        line.len() == 1
    }

    /// The message at the head of a line is done with: the next one, whose turn it is.
    pub(super) fn next(&mut self, key: &str, id: u64) -> Option<u64> {
        let line = self.lines.get_mut(key)?;
        if line.front() != Some(&id) {
            return None;
        }
        line.pop_front();
        let next = line.front().copied();
        if next.is_none() {
            self.lines.remove(key);
        }
        next
    }

    /// A message is not handled after all: those behind it, which are not to overtake it, in order, each with how much
    /// later than it they are to come. They have left the line with it.
    pub(super) fn behind(&mut self, key: &str, id: u64) -> Vec<(u64, Duration)> {
        let Some(line) = self.lines.get_mut(key) else { return Vec::new() };
        let Some(place) = line.iter().position(|waiting| *waiting == id) else { return Vec::new() };
        let behind = line.split_off(place);
        if line.is_empty() {
            self.lines.remove(key);
        }
        behind.into_iter().skip(1).zip(1..).map(|(id, place)| (id, BEHIND * place)).collect()
    }

    pub(super) fn clear(&mut self) {
        self.lines.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_move_on_and_dissolve() {
        let mut order = Order::default();
        let key: Arc<str> = "a".into();
        assert!(order.join(Arc::clone(&key), 1));
        assert!(!order.join(Arc::clone(&key), 2) && !order.join(Arc::clone(&key), 3));
        assert!(order.join("b".into(), 4), "another key does not wait");
        assert_eq!(order.next("a", 2), None, "not its turn");
        assert_eq!(order.next("a", 1), Some(2));
        assert!(!order.join(Arc::clone(&key), 5));
        assert_eq!(order.behind("a", 3), [(5, BEHIND)], "only those behind it");
        assert_eq!(order.behind("a", 3), []);
        assert_eq!(order.next("a", 2), None);
        assert!(!order.lines.contains_key("a"), "nothing is kept of a key without messages");
        assert_eq!(order.behind("b", 4), []);
        assert!(order.lines.is_empty());
    }
}
