//! Permissions: statements of the queue's policy. They are kept and shown, and nobody is kept out by them.

use serde_json::{Value, json};

use super::attributes::Attributes;
use super::{Engine, Line, over_limit};
use crate::error::{SqsError, SqsResult};

/// Most actions of a permission, and most statements of a policy: what SQS allows.
const ACTIONS_MAX: usize = 7;
const STATEMENTS_MAX: usize = 20;
/// Longest label, in characters.
const LABEL_CHARS_MAX: usize = 80;
const POLICY: &str = "Policy";
const VERSION: &str = "2008-10-17";

/// What a permission may be for.
const ACTIONS: [&str; 8] = [
    "*",
    "ChangeMessageVisibility",
    "DeleteMessage",
    "GetQueueAttributes",
    "GetQueueUrl",
    "ListDeadLetterSourceQueues",
    "ReceiveMessage",
    "SendMessage",
];

/// One is shown alone, several as a list.
fn one_or_many(mut values: Vec<String>) -> Value {
    match (values.pop(), values.is_empty()) {
        (Some(only), true) => Value::String(only),
        (last, _) => values.into_iter().chain(last).map(Value::String).collect(),
    }
}

fn statements(policy: &mut Value) -> SqsResult<&mut Vec<Value>> {
    let found = policy.get_mut("Statement").and_then(Value::as_array_mut);
    found.ok_or_else(|| {
        SqsError::invalid("the queue's policy has no list of statements: set another policy first")
    })
}

impl Engine {
    /// The policy as it is stored; an empty one if there is none.
    fn policy(&self, line: &Line) -> SqsResult<Value> {
        let known = line.known();
        let Some(stored) = known.row.attributes.get(POLICY) else {
            let id = format!("{}/SQSDefaultPolicy", self.arn(&line.name));
            return Ok(json!({ "Version": VERSION, "Id": id, "Statement": [] }));
        };
        serde_json::from_str(stored)
            .map_err(|error| SqsError::invalid(format!("the queue's policy is not JSON: {error}")))
    }

    async fn set_policy(&self, line: &Line, policy: Option<&Value>) -> SqsResult<()> {
        let text = policy.map(Value::to_string).unwrap_or_default();
        self.set_attributes(line, &Attributes::from([(POLICY.to_owned(), text)])).await
    }

    /// Adds a statement that lets accounts do something.
    pub(crate) async fn add_permission(
        &self,
        line: &Line,
        label: &str,
        accounts: &[String],
        actions: &[String],
    ) -> SqsResult<()> {
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if label.len() > LABEL_CHARS_MAX || !label.chars().all(legal) {
            let reason =
                "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length";
            return Err(SqsError::parameter("Label", label, reason));
        }
        if actions.len() > ACTIONS_MAX {
            let found = actions.len();
            return Err(over_limit(format!("{found} Actions were found, maximum allowed is {ACTIONS_MAX}.")));
        }
        if let Some(action) = actions.iter().find(|action| !ACTIONS.contains(&action.as_str())) {
            let reason = "Only the queue owner is allowed to invoke this action.";
            return Err(SqsError::parameter("ActionName", format!("SQS:{action}"), reason));
        }
        let mut policy = self.policy(line)?;
        let found = statements(&mut policy)?;
        if found.iter().any(|statement| statement.get("Sid").is_some_and(|sid| sid == label)) {
            return Err(SqsError::parameter("Label", label, "Already exists."));
        }
        if found.len() >= STATEMENTS_MAX {
            return Err(over_limit(format!("a policy has at most {STATEMENTS_MAX} statements")));
        }
        let principals = accounts.iter().map(|account| format!("arn:aws:iam::{account}:root")).collect();
        let actions = actions.iter().map(|action| format!("SQS:{action}")).collect();
        found.push(json!({
            "Sid": label,
            "Effect": "Allow",
            "Principal": { "AWS": one_or_many(principals) },
            "Action": one_or_many(actions),
            "Resource": self.arn(&line.name),
        }));
        self.set_policy(line, Some(&policy)).await
    }

    /// Removes the statement of this label, and with the last one the policy.
    pub(crate) async fn remove_permission(&self, line: &Line, label: &str) -> SqsResult<()> {
        let mut policy = self.policy(line)?;
        let found = statements(&mut policy)?;
        let before = found.len();
        found.retain(|statement| statement.get("Sid").is_none_or(|sid| sid != label));
        if found.len() == before {
            return Err(SqsError::parameter("Label", label, "can't find label."));
        }
        let left = !found.is_empty();
        self.set_policy(line, Some(&policy).filter(|_| left)).await
    }
}
