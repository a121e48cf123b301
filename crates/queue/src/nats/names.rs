//! What streams, consumers and subjects are called.
//!
//! The server allows no `.` within a name, and gives it a meaning within a subject; our names may hold one anywhere. So
//! `.` is written `=`, and `+` stands between the parts: neither occurs in a name of ours, which makes all of this
//! injective and easily undone. The longest name has 135 characters; the server allows 255.

use crate::{Subscription, Topic};

/// Stands before everything when the URL has no prefix.
const ROOT_DEFAULT: &str = "antiphon";
const DEAD: &str = "dead";
const AGAIN: &str = "again";

/// Names under one prefix.
#[derive(Debug, Clone)]
pub(super) struct Names {
    root: String,
}

fn written(name: &str) -> String {
    name.replace('.', "=")
}

fn read(name: &str) -> String {
    name.replace('=', ".")
}

impl Names {
    pub(super) fn new(prefix: Option<&str>) -> Self {
        Self { root: written(prefix.unwrap_or(ROOT_DEFAULT)) }
    }

    /// The stream that holds a topic.
    pub(super) fn topic_stream(&self, topic: &Topic) -> String {
        format!("{}+{}", self.root, written(topic.as_str()))
    }

    /// The stream that holds the dead letters of a topic's subscriptions.
    pub(super) fn dead_stream(&self, topic: &Topic) -> String {
        format!("{}+{}+{DEAD}", self.root, written(topic.as_str()))
    }

    /// What is published to.
    pub(super) fn topic_subject(&self, topic: &Topic) -> String {
        format!("{}.topic.{}", self.root, written(topic.as_str()))
    }

    /// What every topic is published to.
    pub(super) fn topic_subjects(&self) -> String {
        format!("{}.topic.*", self.root)
    }

    /// What is for one subscription alone: dead letters that were made ready again.
    pub(super) fn again_subject(&self, subscription: &Subscription) -> String {
        self.of(AGAIN, subscription)
    }

    /// The same for all subscriptions of a topic.
    pub(super) fn again_subjects(&self, topic: &Topic) -> String {
        format!("{}.{AGAIN}.{}.*.*", self.root, written(topic.as_str()))
    }

    /// Where the dead letters of one subscription are.
    pub(super) fn dead_subject(&self, subscription: &Subscription) -> String {
        self.of(DEAD, subscription)
    }

    /// The same for all subscriptions of a topic.
    pub(super) fn dead_subjects(&self, topic: &Topic) -> String {
        format!("{}.{DEAD}.{}.*.*", self.root, written(topic.as_str()))
    }

    /// What is published to where nothing is kept: not among the subjects that a stream takes.
    pub(super) fn core_subject(&self, topic: &Topic) -> String {
        format!("{}.core.{}", self.root, written(topic.as_str()))
    }

    /// Where nobody listens: the server says so at once, and thereby that it has read everything before.
    pub(super) fn flush_subject(&self) -> String {
        format!("{}.flush", self.root)
    }

    fn of(&self, kind: &str, subscription: &Subscription) -> String {
        let (service, site) = (written(subscription.service()), written(subscription.site()));
        format!("{}.{kind}.{}.{service}.{site}", self.root, written(subscription.topic().as_str()))
    }

    /// The topic of a stream of ours that holds one.
    pub(super) fn topic_of(&self, stream: &str) -> Option<Topic> {
        let topic = stream.strip_prefix(&self.root)?.strip_prefix('+')?;
        if topic.contains('+') { None } else { Topic::new(&read(topic)).ok() }
    }
}

/// The consumer that reads the topic for a subscription.
pub(super) fn topic_consumer(subscription: &Subscription) -> String {
    format!("{}+{}", written(subscription.service()), written(subscription.site()))
}

/// The consumer that reads what is for the subscription alone.
pub(super) fn again_consumer(subscription: &Subscription) -> String {
    format!("{}+{AGAIN}", topic_consumer(subscription))
}

/// The subscription that reads `topic` through a consumer of this name.
pub(super) fn subscription_of(topic: &Topic, consumer: &str) -> Option<Subscription> {
    let (service, site) = consumer.split_once('+')?;
    if site.contains('+') { None } else { Subscription::new(topic.clone(), &read(service), &read(site)).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for prefix in [None, Some("a.b"), Some("antiphon-2")] {
            let names = Names::new(prefix);
            for text in ["t/s/x", "a.b/..c/-_.", ".../././"] {
                let Ok(subscription) = text.trim_end_matches('/').parse::<Subscription>() else {
                    continue;
                };
                let stream = names.topic_stream(subscription.topic());
                let consumer = topic_consumer(&subscription);
                for name in [&stream, &consumer, &names.dead_stream(subscription.topic())] {
                    assert!(!name.contains(['.', '*', '>', ' ', '/', '\\']), "{name:?}");
                }
                let topic = names.topic_of(&stream).unwrap();
                assert_eq!(subscription_of(&topic, &consumer), Some(subscription.clone()));
                assert_eq!(subscription_of(&topic, &again_consumer(&subscription)), None);
                assert_eq!(names.topic_of(&names.dead_stream(subscription.topic())), None);
                assert_eq!(names.dead_subject(&subscription).split('.').count(), 5);
            }
        }
    }

    #[test]
    fn what_is_not_ours_is_left_alone() {
        let names = Names::new(Some("a"));
        for stream in ["a", "b+t", "a-b+t", "ORDERS", "a+T", "a+"] {
            assert_eq!(names.topic_of(stream), None, "{stream:?}");
        }
        let topic = names.topic_of("a+t").unwrap();
        for consumer in ["dashboard", "s+X", "s+x+y", "+x"] {
            assert_eq!(subscription_of(&topic, consumer), None, "{consumer:?}");
        }
    }
}
