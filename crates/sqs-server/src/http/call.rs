//! One request: its parameters, read as what they should be.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use crate::engine::content::{Attribute, AttributeValue};
use crate::engine::{Engine, Line};
use crate::error::{Kind, SqsError, SqsResult};

/// Parameters by name.
pub(super) type Params = Map<String, Value>;

/// A request.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) engine: Arc<Engine>,
    /// The address under which the client sees this server.
    base: String,
    pub(super) params: Params,
    /// What a tracing proxy or client put into the head of the request.
    pub(super) trace_header: Option<String>,
}

fn malformed(name: &str, wanted: &str) -> SqsError {
    SqsError::new(Kind::MalformedInput, format!("the parameter {name} is not {wanted}"))
}

/// A text that may be missing.
pub(super) fn text(params: &Params, name: &str) -> SqsResult<Option<String>> {
    match params.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(malformed(name, "a string")),
    }
}

/// A text that has to be there.
pub(super) fn required(params: &Params, name: &str) -> SqsResult<String> {
    text(params, name)?.filter(|text| !text.is_empty()).ok_or_else(|| SqsError::missing(name))
}

/// A whole number between `min` and `max` that may be missing. The query protocol sends it as text.
pub(super) fn number(params: &Params, name: &str, min: u64, max: u64) -> SqsResult<Option<u64>> {
    let value = match params.get(name) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::String(text)) => text.clone(),
        Some(_) => return Err(malformed(name, "a number")),
    };
    let parsed: i128 = value.trim().parse().map_err(|_| malformed(name, "a whole number"))?;
    u64::try_from(parsed).ok().filter(|number| (min..=max).contains(number)).map(Some).ok_or_else(|| {
        let reason = match name {
            "WaitTimeSeconds" => format!("Must be >= {min} and <= {max}, if provided."),
            "DelaySeconds" => format!("DelaySeconds must be >= {min} and <= {max}."),
            _ => format!("Must be between {min} and {max}, if provided."),
        };
        SqsError::parameter(name, &value, reason)
    })
}

/// A list of texts; empty if missing.
pub(super) fn texts(params: &Params, name: &str) -> SqsResult<Vec<String>> {
    match params.get(name) {
        None | Some(Value::Null) => Ok(Vec::new()),
        // How a form says that a list is empty.
        Some(Value::String(text)) if text.is_empty() => Ok(Vec::new()),
        Some(Value::Array(list)) => list
            .iter()
            .map(|one| one.as_str().map(str::to_owned).ok_or_else(|| malformed(name, "a list of strings")))
            .collect(),
        Some(_) => Err(malformed(name, "a list of strings")),
    }
}

/// Texts by name; empty if missing.
pub(super) fn text_map(params: &Params, name: &str) -> SqsResult<BTreeMap<String, String>> {
    let wanted = "a map of strings";
    match params.get(name) {
        None | Some(Value::Null) => Ok(BTreeMap::new()),
        Some(Value::Object(map)) => map
            .iter()
            .map(|(key, value)| {
                let value = value.as_str().ok_or_else(|| malformed(name, wanted))?;
                Ok((key.clone(), value.to_owned()))
            })
            .collect(),
        Some(_) => Err(malformed(name, wanted)),
    }
}

/// The entries of a batch; empty if missing.
pub(super) fn entries<'a>(params: &'a Params, name: &str) -> SqsResult<Vec<&'a Params>> {
    match params.get(name) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::String(text)) if text.is_empty() => Ok(Vec::new()),
        Some(Value::Array(list)) => list
            .iter()
            .map(|one| one.as_object().ok_or_else(|| malformed(name, "a list of objects")))
            .collect(),
        Some(_) => Err(malformed(name, "a list of objects")),
    }
}

/// Message attributes; empty if missing.
pub(super) fn attributes(params: &Params, name: &str) -> SqsResult<BTreeMap<String, Attribute>> {
    match params.get(name) {
        None | Some(Value::Null) => Ok(BTreeMap::new()),
        Some(Value::Object(map)) => {
            map.iter().map(|(key, value)| Ok((key.clone(), attribute(key, value)?))).collect()
        }
        Some(_) => Err(malformed(name, "a map of message attributes")),
    }
}

fn attribute(name: &str, value: &Value) -> SqsResult<Attribute> {
    let value = value.as_object().ok_or_else(|| malformed(name, "a message attribute"))?;
    let data_type = text(value, "DataType")?.unwrap_or_default();
    let value = match (text(value, "StringValue")?, text(value, "BinaryValue")?) {
        (Some(text), None) => AttributeValue::Text(text),
        (None, Some(coded)) => {
            AttributeValue::Binary(STANDARD.decode(coded).map_err(|_| malformed(name, "base64"))?)
        }
        // Refused when the message is checked, in the words that its type asks for.
        (None, None) => AttributeValue::Text(String::new()),
        (Some(_), Some(_)) => {
            let message = format!("The message attribute '{name}' has a StringValue and a BinaryValue.");
            return Err(SqsError::new(Kind::InvalidParameterValue, message));
        }
    };
    Ok(Attribute { data_type, value })
}

impl Call {
    pub(super) fn new(
        engine: Arc<Engine>,
        base: String,
        params: Params,
        trace_header: Option<String>,
    ) -> Self {
        Self { engine, base, params, trace_header }
    }

    /// The queue that `QueueUrl` names. Which host and account it says is not looked at: proxies change the one, and
    /// there is only one of the other.
    pub(super) fn queue(&self) -> SqsResult<Arc<Line>> {
        let url = required(&self.params, "QueueUrl")?;
        let name = url.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
        self.engine.line(name)
    }

    /// The URL of a queue, as this client can reach it.
    pub(super) fn url(&self, name: &str) -> String {
        format!("{}/{}/{name}", self.base, self.engine.config().account)
    }
}
