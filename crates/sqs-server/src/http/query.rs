//! The query protocol: forms with numbered, dotted names, read into the shape of the JSON protocol.
//!
//! `SendMessageBatchRequestEntry.1.MessageAttribute.1.Value.StringValue=x` becomes
//! `{"Entries": [{"MessageAttributes": {…: {"StringValue": "x"}}}]}`.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::call::Params;
use crate::error::{Kind, SqsError, SqsResult};

/// Most fields of a form: ten entries with ten attributes each need fewer.
const FIELDS_MAX: usize = 2_000;
/// Most dots of a name.
const DEPTH_MAX: usize = 8;

/// Lists of texts: as the form calls them, and as JSON does.
const LISTS: [(&str, &str); 6] = [
    ("AttributeName", "AttributeNames"),
    ("MessageAttributeName", "MessageAttributeNames"),
    ("MessageSystemAttributeName", "MessageSystemAttributeNames"),
    ("TagKey", "TagKeys"),
    ("AWSAccountId", "AWSAccountIds"),
    ("ActionName", "Actions"),
];

/// Maps: as the form calls them, the names of their keys there, and as JSON does.
const MAPS: [(&str, &str, &str); 4] = [
    ("Attribute", "Name", "Attributes"),
    ("Tag", "Key", "Tags"),
    ("MessageAttribute", "Name", "MessageAttributes"),
    ("MessageSystemAttribute", "Name", "MessageSystemAttributes"),
];

const ENTRIES: [&str; 3] = [
    "SendMessageBatchRequestEntry",
    "DeleteMessageBatchRequestEntry",
    "ChangeMessageVisibilityBatchRequestEntry",
];

#[derive(Debug, Default)]
struct Node {
    text: Option<String>,
    children: BTreeMap<String, Node>,
}

/// Reads the fields of the address and of the body. A queue may be named by the address alone.
pub(super) fn parse(query: &[u8], body: &[u8], path: &str, action: &mut String) -> SqsResult<Params> {
    let mut root = Node::default();
    for (count, (name, value)) in
        form_urlencoded::parse(query).chain(form_urlencoded::parse(body)).enumerate()
    {
        if count >= FIELDS_MAX {
            return Err(SqsError::new(
                Kind::MalformedInput,
                format!("a form has at most {FIELDS_MAX} fields"),
            ));
        }
        if name == "Action" {
            value.as_ref().clone_into(action);
            continue;
        }
        if name.matches('.').count() > DEPTH_MAX {
            return Err(SqsError::new(Kind::MalformedInput, format!("the field {name} has too many parts")));
        }
        let node =
            name.split('.').fold(&mut root, |node, part| node.children.entry(part.to_owned()).or_default());
        node.text = Some(value.into_owned());
    }
    if action.is_empty() {
        let message = "The request must contain the parameter Action.";
        return Err(SqsError::new(Kind::MissingParameter, message));
    }
    let mut params = fields(root);
    let is_queue = path.trim_matches('/').contains('/');
    if is_queue && matches!(action.as_str(), "CreateQueue" | "ListQueues") {
        let message = format!("The action {action} is not valid for this endpoint.");
        return Err(SqsError::new(Kind::InvalidAction, message));
    }
    if is_queue && !params.contains_key("QueueUrl") {
        params.insert("QueueUrl".into(), Value::String(path.to_owned()));
    }
    Ok(params)
}

fn fields(node: Node) -> Params {
    let mut params = Map::new();
    for (name, child) in node.children {
        let name = name.as_str();
        if let Some((_, plural)) = LISTS.iter().find(|(known, _)| *known == name) {
            let texts = numbered(child).into_iter().filter_map(|one| one.text).map(Value::String);
            params.insert((*plural).to_owned(), texts.collect());
        } else if let Some((_, key, plural)) = MAPS.iter().find(|(known, ..)| *known == name) {
            params.insert((*plural).to_owned(), Value::Object(pairs(child, key)));
        } else if ENTRIES.contains(&name) {
            let entries = numbered(child).into_iter().map(|entry| Value::Object(fields(entry)));
            params.insert("Entries".to_owned(), entries.collect());
        } else if let Some(text) = child.text {
            params.insert(name.to_owned(), Value::String(text));
        }
    }
    params
}

/// The members of a list in the order of their numbers; a list of one may come without a number.
fn numbered(node: Node) -> Vec<Node> {
    if node.children.is_empty() {
        return vec![node];
    }
    let number = |(name, child): (String, Node)| Some((name.parse::<u32>().ok()?, child));
    let mut members: Vec<(u32, Node)> = node.children.into_iter().filter_map(number).collect();
    members.sort_by_key(|(number, _)| *number);
    members.into_iter().map(|(_, child)| child).collect()
}

fn pairs(node: Node, key: &str) -> Params {
    let pair = |mut one: Node| {
        let name = one.children.remove(key)?.text?;
        let value = one.children.remove("Value")?;
        // A text, or the parts of a message attribute.
        let parts = |(name, part): (String, Node)| Some((name, Value::String(part.text?)));
        let value = match value.text {
            Some(text) => Value::String(text),
            None => Value::Object(value.children.into_iter().filter_map(parts).collect()),
        };
        Some((name, value))
    };
    numbered(node).into_iter().filter_map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(body: &str, path: &str) -> (String, Value) {
        let mut action = String::new();
        let params = parse(b"", body.as_bytes(), path, &mut action).unwrap();
        (action, Value::Object(params))
    }

    #[test]
    fn forms_become_what_json_says() {
        let (action, params) = read(
            "Action=CreateQueue&QueueName=q&Attribute.1.Name=DelaySeconds&Attribute.1.Value=5&Tag.1.Key=k&Tag.1.Value=v",
            "/",
        );
        assert_eq!(action, "CreateQueue");
        assert_eq!(
            params,
            json!({"QueueName": "q", "Attributes": {"DelaySeconds": "5"}, "Tags": {"k": "v"}})
        );
        let (_, params) = read(
            "Action=SendMessageBatch&SendMessageBatchRequestEntry.2.Id=b&SendMessageBatchRequestEntry.10.Id=c\
             &SendMessageBatchRequestEntry.1.Id=a&SendMessageBatchRequestEntry.1.MessageAttribute.1.Name=n\
             &SendMessageBatchRequestEntry.1.MessageAttribute.1.Value.DataType=String\
             &SendMessageBatchRequestEntry.1.MessageAttribute.1.Value.StringValue=x%20y",
            "/000000000000/q",
        );
        let first =
            json!({"Id": "a", "MessageAttributes": {"n": {"DataType": "String", "StringValue": "x y"}}});
        assert_eq!(params["Entries"], json!([first, {"Id": "b"}, {"Id": "c"}]));
        assert_eq!(params["QueueUrl"], "/000000000000/q");
        let refused = parse(b"Action=ListQueues", b"", "/000000000000/q", &mut String::new()).unwrap_err();
        assert_eq!(refused.kind, Kind::InvalidAction, "a queue lists nothing");
        let (_, params) = read("Action=ReceiveMessage&AttributeName=All&MessageAttributeName.1=a.*", "/");
        assert_eq!(params, json!({"AttributeNames": ["All"], "MessageAttributeNames": ["a.*"]}));
    }

    #[test]
    fn forms_are_bounded() {
        let mut action = String::new();
        let many = "a=1&".repeat(FIELDS_MAX + 1);
        assert!(parse(b"", many.as_bytes(), "/", &mut action).is_err());
        assert!(parse(b"a.a.a.a.a.a.a.a.a.a=1", b"", "/", &mut action).is_err());
        assert_eq!(parse(b"", b"", "/", &mut action).unwrap_err().kind, Kind::MissingParameter);
    }
}
