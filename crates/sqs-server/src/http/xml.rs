//! The answers of the query protocol: what JSON would say, as XML.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use crate::error::{Kind, SqsError};

const NAMESPACE: &str = "http://queue.amazonaws.com/doc/2012-11-05/";

/// Operations that answer nothing.
const WITHOUT_RESULT: [&str; 9] = [
    "AddPermission",
    "ChangeMessageVisibility",
    "DeleteMessage",
    "DeleteQueue",
    "PurgeQueue",
    "RemovePermission",
    "SetQueueAttributes",
    "TagQueue",
    "UntagQueue",
];
const HEAD: &str = "<?xml version=\"1.0\"?>";

fn escape(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // A reader would make a line feed of it.
            '\r' => out.push_str("&#13;"),
            c => out.push(c),
        }
    }
}

fn element(name: &str, inner: impl FnOnce(&mut String), out: &mut String) {
    write!(out, "<{name}>").unwrap_or_else(|_| unreachable!("writing to a string cannot fail"));
    inner(out);
    write!(out, "</{name}>").unwrap_or_else(|_| unreachable!("writing to a string cannot fail"));
}

/// The element of each member of a list, which the query protocol does not wrap.
fn member(action: &str, list: &str) -> String {
    match list {
        "Messages" => "Message".into(),
        "QueueUrls" | "queueUrls" => "QueueUrl".into(),
        "Failed" => "BatchResultErrorEntry".into(),
        // `Successful`, and the `Results` of ListMessageMoveTasks.
        _ => format!("{action}ResultEntry"),
    }
}

/// The element of each pair of a map, and that of its key.
fn pair(map: &str) -> Option<(&'static str, &'static str)> {
    match map {
        "Attributes" => Some(("Attribute", "Name")),
        "MessageAttributes" => Some(("MessageAttribute", "Name")),
        "Tags" => Some(("Tag", "Key")),
        _ => None,
    }
}

fn fields(action: &str, object: &Map<String, Value>, out: &mut String) {
    for (name, value) in object {
        match (value, pair(name)) {
            (Value::Array(list), _) => {
                let member = member(action, name);
                for one in list {
                    element(&member, |out| content(action, one, out), out);
                }
            }
            (Value::Object(map), Some((element_name, key_name))) => {
                for (key, value) in map {
                    let inner = |out: &mut String| {
                        element(key_name, |out| escape(key, out), out);
                        element("Value", |out| content(action, value, out), out);
                    };
                    element(element_name, inner, out);
                }
            }
            (Value::Null, _) => {}
            (value, _) => element(name, |out| content(action, value, out), out),
        }
    }
}

fn content(action: &str, value: &Value, out: &mut String) {
    match value {
        Value::Object(object) => fields(action, object, out),
        Value::String(text) => escape(text, out),
        other => escape(&other.to_string(), out),
    }
}

/// An answer.
pub(super) fn answer(action: &str, value: &Value, request_id: &str) -> String {
    let mut out = format!("{HEAD}<{action}Response xmlns=\"{NAMESPACE}\">");
    if value.as_object().is_some_and(Map::is_empty) {
        if !WITHOUT_RESULT.contains(&action) {
            write!(out, "<{action}Result/>")
                .unwrap_or_else(|_| unreachable!("writing to a string cannot fail"));
        }
    } else {
        element(&format!("{action}Result"), |out| content(action, value, out), &mut out);
    }
    let id = |out: &mut String| element("RequestId", |out| escape(request_id, out), out);
    element("ResponseMetadata", id, &mut out);
    out + &format!("</{action}Response>")
}

/// An error.
pub(super) fn error(error: &SqsError, request_id: &str) -> String {
    let mut out = format!("{HEAD}<ErrorResponse xmlns=\"{NAMESPACE}\">");
    let inner = |out: &mut String| {
        let fault = if error.kind.is_sender_fault() { "Sender" } else { "Receiver" };
        element("Type", |out| escape(fault, out), out);
        element("Code", |out| escape(error.kind.code(), out), out);
        let message = match error.kind {
            // The words of this protocol.
            Kind::QueueDoesNotExist => "The specified queue does not exist for this wsdl version.",
            _ => &error.message,
        };
        element("Message", |out| escape(message, out), out);
        out.push_str("<Detail/>");
    };
    element("Error", inner, &mut out);
    element("RequestId", |out| escape(request_id, out), &mut out);
    out + "</ErrorResponse>"
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn answers_are_flat_as_the_query_protocol_has_them() {
        let value = json!({"Messages": [{"Body": "a<b\r\n", "Attributes": {"SenderId": "x"}}]});
        assert_eq!(
            answer("ReceiveMessage", &value, "id"),
            "<?xml version=\"1.0\"?><ReceiveMessageResponse xmlns=\"http://queue.amazonaws.com/doc/2012-11-05/\">\
             <ReceiveMessageResult><Message><Attribute><Name>SenderId</Name><Value>x</Value></Attribute>\
             <Body>a&lt;b&#13;\n</Body></Message></ReceiveMessageResult>\
             <ResponseMetadata><RequestId>id</RequestId></ResponseMetadata></ReceiveMessageResponse>"
        );
        let value = json!({"Successful": [{"Id": "1"}], "Failed": [{"Id": "2", "SenderFault": true}]});
        let text = answer("SendMessageBatch", &value, "id");
        assert!(
            text.contains("<SendMessageBatchResultEntry><Id>1</Id></SendMessageBatchResultEntry>"),
            "{text}"
        );
        assert!(text.contains("<BatchResultErrorEntry><Id>2</Id><SenderFault>true</SenderFault>"), "{text}");
        let text = answer("DeleteQueue", &json!({}), "id");
        assert!(!text.contains("Result>"), "{text}");
    }
}
