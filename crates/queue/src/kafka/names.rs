//! What topics and groups are called at the broker.
//!
//! Our names hold no capital letter and Kafka's may, so capitals part them, and each name at the broker is that of one
//! thing only: `prefix.P.topic.S.service.S.site.DEAD`.

use crate::{QueueError, Subscription, Topic};

/// Longest name of a topic: <https://kafka.apache.org/documentation/#topicconfigs> (`249` in `Topic.java`).
const TOPIC_CHARS_MAX: usize = 249;
const AFTER_PREFIX: &str = ".P.";
const BEFORE_PART: &str = ".S.";
/// Where dead letters are kept.
const DEAD: &str = ".DEAD";
/// What one subscription alone gets: its dead letters, to be tried again.
const AGAIN: &str = ".AGAIN";
/// The group of those who look and never join.
const LOOKER: &str = "LOOKER";

/// The names of everything that belongs to one subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Names {
    /// The topic that all subscriptions of it read.
    pub(super) topic: String,
    /// The topic of this subscription alone.
    pub(super) again: String,
    /// The topic of its dead letters.
    pub(super) dead: String,
    /// Its consumer group.
    pub(super) group: String,
    /// The group whose only use is to remember which dead letters were redriven.
    pub(super) redriven: String,
}

fn checked(name: String) -> Result<String, QueueError> {
    if name.len() > TOPIC_CHARS_MAX {
        return Err(QueueError::Refused(format!(
            "{name:?} has {} characters, and Kafka takes {TOPIC_CHARS_MAX}: shorten the topic, the service, the \
             site or the prefix",
            name.len()
        )));
    }
    if name == "." || name == ".." {
        return Err(QueueError::Refused(format!("{name:?} is no topic that Kafka takes: rename it")));
    }
    Ok(name)
}

/// The name of a topic.
pub(super) fn topic(prefix: Option<&str>, topic: &Topic) -> Result<String, QueueError> {
    checked(match prefix {
        Some(prefix) => format!("{prefix}{AFTER_PREFIX}{topic}"),
        None => topic.to_string(),
    })
}

/// The names of a subscription.
pub(super) fn subscription(prefix: Option<&str>, of: &Subscription) -> Result<Names, QueueError> {
    let topic = topic(prefix, of.topic())?;
    let group = format!("{topic}{BEFORE_PART}{}{BEFORE_PART}{}", of.service(), of.site());
    Ok(Names {
        again: checked(format!("{group}{AGAIN}"))?,
        dead: checked(format!("{group}{DEAD}"))?,
        redriven: format!("{group}{DEAD}"),
        topic,
        group,
    })
}

/// The group of clients that look and never join.
pub(super) fn looker(prefix: Option<&str>) -> String {
    prefix.map_or_else(|| LOOKER.to_owned(), |prefix| format!("{prefix}{AFTER_PREFIX}{LOOKER}"))
}

/// The subscription whose dead letters are kept in this topic; `None` for any other topic.
pub(super) fn whose_dead(prefix: Option<&str>, name: &str) -> Option<Subscription> {
    let name = match prefix {
        Some(prefix) => name.strip_prefix(prefix)?.strip_prefix(AFTER_PREFIX)?,
        None => name,
    };
    let mut parts = name.strip_suffix(DEAD)?.split(BEFORE_PART);
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(topic), Some(service), Some(site), None) => {
            Subscription::new(Topic::new(topic).ok()?, service, site).ok()
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_never_meet() {
        let all = ["t/s/x", "t./.s/x", "t.s/s/x", "t/s.s/x", "a.p.b/c/d", "t-s_x/y/z"];
        let mut seen = std::collections::BTreeSet::new();
        for prefix in [None, Some("p"), Some("p.p")] {
            for text in all {
                let one: Subscription = text.parse().unwrap();
                let names = subscription(prefix, &one).unwrap();
                assert_eq!(whose_dead(prefix, &names.dead), Some(one.clone()), "{names:?}");
                for other in [None, Some("p"), Some("p.p")].into_iter().filter(|other| *other != prefix) {
                    assert_eq!(whose_dead(other, &names.dead), None, "{names:?} under {other:?}");
                }
                for name in [&names.topic, &names.again, &names.group] {
                    assert_eq!(whose_dead(prefix, name), None);
                }
                assert!(seen.insert(names.dead) && seen.insert(names.again));
            }
        }
    }

    #[test]
    fn what_is_too_long_is_refused_with_the_limit() {
        let long = "x".repeat(crate::NAME_CHARS_MAX);
        let one = Subscription::new(Topic::new(&long).unwrap(), &long, &long).unwrap();
        assert!(subscription(None, &one).is_ok());
        let refusal = subscription(Some(&long), &one).unwrap_err().to_string();
        assert!(refusal.contains("249") && refusal.contains("prefix"), "{refusal}");
        assert!(topic(None, &Topic::new("..").unwrap()).is_err());
    }
}
