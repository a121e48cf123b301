//! What our names are at Amazon.
//!
//! A queue's name is made of letters, digits, `-` and `_`; ours have no capital letters. So `_` and a capital letter
//! stand for what is not allowed: `comments.tallies/stories/eu-1` is `comments_Dtallies_Sstories_Seu-1`, its dead letters
//! are in `comments_Dtallies_Sstories_Seu-1_DEAD`, and with `?prefix=staging` it begins with `staging_P`. Different names
//! never meet, and a name can be read back.

use super::limits::QUEUE_NAME_CHARS_MAX;
use crate::{QueueError, Subscription, Topic};

/// What stands between the parts of a subscription: its `/`.
const SLASH: &str = "_S";
/// A dot within a name.
const DOT: &str = "_D";
/// Ends the prefix.
const PREFIX_END: &str = "_P";
/// Ends the name of a queue of dead letters.
const DEAD: &str = "_DEAD";

/// The names of one deployment.
#[derive(Debug, Clone)]
pub(super) struct Names {
    prefix: String,
}

fn encoded(name: &str) -> String {
    name.replace('.', DOT)
}

/// Undoes [`encoded`]; `None` if that did not make it.
fn decoded(text: &str) -> Option<String> {
    let name = text.replace(DOT, ".");
    let ours = !name.bytes().any(|byte| byte.is_ascii_uppercase()) && encoded(&name) == text;
    ours.then_some(name)
}

impl Names {
    pub(super) fn new(prefix: Option<&str>) -> Self {
        Self { prefix: prefix.map(|prefix| encoded(prefix) + PREFIX_END).unwrap_or_default() }
    }

    /// What every queue of the deployment begins with; empty if nothing tells them from others.
    pub(super) fn all(&self) -> &str {
        &self.prefix
    }

    /// What the queues of every subscription of `topic` begin with.
    pub(super) fn all_of(&self, topic: &Topic) -> String {
        self.topic(topic) + SLASH
    }

    /// The topic of SNS, which may have 256 characters: a topic that can have a queue never has more.
    pub(super) fn topic(&self, topic: &Topic) -> String {
        format!("{}{}", self.prefix, encoded(topic.as_str()))
    }

    /// The queue of `subscription`.
    ///
    /// Errors: [`QueueError::Refused`] if the name of its queue of dead letters would be too long.
    pub(super) fn queue(&self, subscription: &Subscription) -> Result<String, QueueError> {
        let of_topic = self.all_of(subscription.topic());
        let [service, site] = [subscription.service(), subscription.site()].map(encoded);
        let name = format!("{of_topic}{service}{SLASH}{site}");
        let longest = QUEUE_NAME_CHARS_MAX - DEAD.len();
        if name.len() > longest {
            return Err(QueueError::Refused(format!(
                "subscription {subscription}: the name of its queue, {name}, has {} characters; SQS allows \
                 {QUEUE_NAME_CHARS_MAX}, of which {} are needed for that of its dead letters: shorten the topic, the \
                 service, the site or the prefix (a dot counts twice)",
                name.len(),
                DEAD.len()
            )));
        }
        Ok(name)
    }

    /// The queue of the dead letters of the queue `name`.
    pub(super) fn dead(name: &str) -> String {
        format!("{name}{DEAD}")
    }

    /// Whose queue `name` is; `None` if it is not that of a subscription of this deployment.
    pub(super) fn subscription(&self, name: &str) -> Option<Subscription> {
        let mut parts = name.strip_prefix(&self.prefix)?.split(SLASH).map(decoded);
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(topic), Some(service), Some(site), None) => {
                Subscription::new(Topic::new(&topic?).ok()?, &service?, &site?).ok()
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn subscription(text: &str) -> Subscription {
        text.parse().unwrap()
    }

    #[test]
    fn names_can_be_read() {
        let name = Names::new(None).queue(&subscription("comments.tallies/stories/eu-1")).unwrap();
        assert_eq!(name, "comments_Dtallies_Sstories_Seu-1");
        assert_eq!(Names::dead(&name), "comments_Dtallies_Sstories_Seu-1_DEAD");
        let staging = Names::new(Some("staging"));
        assert_eq!(staging.queue(&subscription("t/s/x")).unwrap(), "staging_Pt_Ss_Sx");
        assert_eq!(staging.all_of(&"t".parse().unwrap()), "staging_Pt_S");
    }

    #[test]
    fn what_is_not_ours_is_left_alone() {
        let names = Names::new(None);
        let foreign =
            ["orders", "my_queue", "A_Sb_Sc", "t_Ss", "t_Ss_Sx_DEAD", "p_Pt_Ss_Sx", "t_Ss_Sx_Sy", "a_S_Sb"];
        for name in foreign {
            assert_eq!(names.subscription(name), None, "{name}");
        }
        assert_eq!(Names::new(Some("p")).subscription("q_Pt_Ss_Sx"), None);
    }

    #[test]
    fn what_is_too_long_is_told() {
        let longest = format!("{}/s/x", "t".repeat(64));
        assert_eq!(Names::new(None).queue(&subscription(&longest)).unwrap().len(), 70);
        let refusal = Names::new(Some("prefixed")).queue(&subscription(&longest)).unwrap_err().to_string();
        assert!(refusal.contains("80") && refusal.contains("shorten"), "{refusal}");
    }

    proptest! {
        #[test]
        fn every_name_is_read_back(
            prefix in proptest::option::of("[a-z0-9._-]{1,6}"),
            names in proptest::array::uniform3("[a-z0-9._-]{1,10}"),
        ) {
            let [topic, service, site] = names;
            let written = Subscription::new(Topic::new(&topic).unwrap(), &service, &site).unwrap();
            let names = Names::new(prefix.as_deref());
            let queue = names.queue(&written).unwrap();
            prop_assert!(queue.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
            prop_assert!(queue.starts_with(&names.all_of(written.topic())));
            prop_assert_eq!(names.subscription(&queue), Some(written));
            prop_assert_eq!(names.subscription(&Names::dead(&queue)), None);
        }
    }
}
