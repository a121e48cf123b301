//! Who caused a message: [W3C trace context](https://www.w3.org/TR/trace-context/) and a correlation id.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use queue::{Envelope, Message};
use serde_json::Value;

use crate::Context;

/// The attribute, or extension of a `CloudEvent`, with the trace and the span that a message comes from.
pub const TRACEPARENT: &str = "traceparent";
/// The attribute or extension with what vendors add to it.
pub const TRACESTATE: &str = "tracestate";
/// The attribute or extension that all messages of one conversation share.
pub const CORRELATION_ID: &str = "correlationid";

/// Longest correlation id that is taken over, in bytes; a longer one is ignored, and one with control characters.
pub const CORRELATION_ID_BYTES_MAX: usize = 256;
/// Most members of a `tracestate`, by the specification.
const TRACESTATE_MEMBERS_MAX: usize = 32;
/// Longest `tracestate` that is taken over, in bytes. The specification asks for 512 at least.
const TRACESTATE_BYTES_MAX: usize = 4_096;

/// A `traceparent`: which trace, and which span of it is the parent.
///
/// ```
/// use antiphon_consumer::TraceParent;
/// let parent: TraceParent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".parse().unwrap();
/// assert!(parent.is_sampled());
/// assert_eq!(parent.child(0xab).to_string(), "00-0af7651916cd43dd8448eb211c80319c-00000000000000ab-01");
/// assert!("00-00000000000000000000000000000000-b7ad6b7169203331-01".parse::<TraceParent>().is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceParent {
    trace_id: u128,
    parent_id: u64,
    flags: u8,
}

/// A text is no `traceparent` of a version that can be read. **Ignore it**, and its `tracestate` with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no traceparent: 00, 32, 16 and 2 lower hex digits with hyphens between, neither id all zeros")]
pub struct TraceParentError;

impl TraceParent {
    /// A parent; `None` if an id is 0, which is nobody's.
    pub fn new(trace_id: u128, parent_id: u64, is_sampled: bool) -> Option<Self> {
        (trace_id != 0 && parent_id != 0).then_some(Self { trace_id, parent_id, flags: u8::from(is_sampled) })
    }

    /// The trace.
    pub fn trace_id(&self) -> u128 {
        self.trace_id
    }

    /// The span that is the parent.
    pub fn parent_id(&self) -> u64 {
        self.parent_id
    }

    /// Whether whoever sent it may have recorded it.
    pub fn is_sampled(&self) -> bool {
        self.flags & 1 == 1
    }

    /// What a span of this trace sends on; `span_id` is its own, drawn at random (0, which is nobody's, is taken for 1).
    #[must_use]
    pub fn child(self, span_id: u64) -> Self {
        Self { parent_id: span_id.max(1), ..self }
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Flags that this version does not know are not passed on.
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace_id, self.parent_id, self.flags & 1)
    }
}

/// Reads lower hex digits of a fixed number.
fn hex(text: &str, digits: usize) -> Option<u128> {
    let is_hex = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    (text.len() == digits && is_hex).then(|| u128::from_str_radix(text, 16).ok()).flatten()
}

impl FromStr for TraceParent {
    type Err = TraceParentError;

    /// As the specification says: version `ff` is none, a version that is not known is read as far as `00` goes.
    fn from_str(text: &str) -> Result<Self, TraceParentError> {
        let parse = || {
            let mut parts = text.split('-');
            let version = hex(parts.next()?, 2).filter(|version| *version != 0xff)?;
            let trace_id = hex(parts.next()?, 32)?;
            let parent_id = u64::try_from(hex(parts.next()?, 16)?).ok()?;
            let flags = u8::try_from(hex(parts.next()?, 2)?).ok()?;
            let is_longer = parts.next().is_some();
            let parent = Self { trace_id, parent_id, flags };
            (trace_id != 0 && parent_id != 0 && !(is_longer && version == 0)).then_some(parent)
        };
        parse().ok_or(TraceParentError)
    }
}

/// What a message says of where it comes from. Each part may be missing; what is invalid is as good as missing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// The span that sent it.
    pub parent: Option<TraceParent>,
    /// What vendors add to that, as it came.
    pub state: Option<Arc<str>>,
    /// The conversation it belongs to.
    pub correlation_id: Option<Arc<str>>,
}

impl Origin {
    /// Reads the attributes of a message; and, where these say nothing, the extensions of the `CloudEvent` that it holds, if
    /// it holds one.
    pub fn of(message: &Message) -> Self {
        let attribute = |name: &str| message.attributes.get(name).map(String::as_str);
        let found = Self::read(attribute(TRACEPARENT), attribute(TRACESTATE), attribute(CORRELATION_ID));
        if found != Self::default() || message.body.first() != Some(&b'{') {
            return found;
        }
        let Ok(envelope) = Envelope::decode(&message.body) else { return found };
        let extension = |name: &str| envelope.extensions.get(name).and_then(Value::as_str);
        Self::read(extension(TRACEPARENT), extension(TRACESTATE), extension(CORRELATION_ID))
    }

    fn read(parent: Option<&str>, state: Option<&str>, correlation_id: Option<&str>) -> Self {
        let parent = parent.and_then(|text| text.parse().ok());
        // Both are passed on, perhaps as headers, into which a line break would smuggle others.
        let is_id = |id: &&str| {
            !id.is_empty() && id.len() <= CORRELATION_ID_BYTES_MAX && !id.contains(char::is_control)
        };
        Self {
            // Without its parent it means nothing.
            state: state.filter(|text| parent.is_some() && is_tracestate(text)).map(Arc::from),
            parent,
            correlation_id: correlation_id.filter(is_id).map(Arc::from),
        }
    }

    /// Puts the origin on a message that is sent because of the one that it came from; `span_id`, drawn at random, is the
    /// span that sends it.
    ///
    /// ```
    /// # use antiphon_consumer::{Context, HandlerError};
    /// # use queue::{Message, Publisher, Topic};
    /// async fn answer(context: &Context, to: &dyn Publisher, topic: &Topic, span_id: u64) -> Result<(), HandlerError> {
    ///     let message = context.origin.put_on(Message::new("done"), span_id);
    ///     for answer in to.publish(topic, vec![message]).await {
    ///         answer?;
    ///     }
    ///     Ok(())
    /// }
    /// ```
    #[must_use]
    pub fn put_on(&self, mut message: Message, span_id: u64) -> Message {
        for (name, value) in self.passed_on(span_id) {
            message.attributes.insert(name.to_owned(), value);
        }
        message
    }

    /// Puts the origin on an event, as [`put_on`](Self::put_on) does on a message.
    #[must_use]
    pub fn put_on_event(&self, mut event: Envelope, span_id: u64) -> Envelope {
        for (name, value) in self.passed_on(span_id) {
            event.extensions.insert(name.to_owned(), Value::String(value));
        }
        event
    }

    fn passed_on(&self, span_id: u64) -> impl Iterator<Item = (&'static str, String)> {
        let parent = self.parent.map(|parent| (TRACEPARENT, parent.child(span_id).to_string()));
        let state = self.state.as_ref().map(|state| (TRACESTATE, state.to_string()));
        let correlation_id = self.correlation_id.as_ref().map(|id| (CORRELATION_ID, id.to_string()));
        [parent, state, correlation_id].into_iter().flatten()
    }
}

/// Whether a text is a list of vendors' keys and values: at most 32, none of which we understand.
fn is_tracestate(text: &str) -> bool {
    let is_key = |key: &str| {
        let mut bytes = key.bytes();
        bytes.next().is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
            && key.len() <= 256
            && bytes.all(|byte| {
                byte.is_ascii_lowercase()
                    || byte.is_ascii_digit()
                    || matches!(byte, b'_' | b'-' | b'*' | b'/' | b'@')
            })
    };
    let is_value = |value: &str| {
        !value.is_empty()
            && value.len() <= 256
            && value.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b',' && byte != b'=')
    };
    let members =
        || text.split(',').map(|member| member.trim_matches([' ', '\t'])).filter(|member| !member.is_empty());
    text.len() <= TRACESTATE_BYTES_MAX
        && (1..=TRACESTATE_MEMBERS_MAX).contains(&members().count())
        && members()
            .all(|member| member.split_once('=').is_some_and(|(key, value)| is_key(key) && is_value(value)))
}

impl Context {
    /// Sets the origin.
    #[must_use]
    pub fn with_origin(mut self, origin: Origin) -> Self {
        self.origin = origin;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn reads_what_the_specification_allows() {
        assert_eq!(GOOD.parse::<TraceParent>().unwrap().to_string(), GOOD);
        // Of a later version, what this one knows.
        for later in [GOOD.replacen("00", "cc", 1), format!("{}-more", GOOD.replacen("00", "01", 1))] {
            assert_eq!(later.parse::<TraceParent>().unwrap().to_string(), GOOD, "{later}");
        }
        for bad in [
            "",
            "00",
            &GOOD.replacen("00", "ff", 1),
            &GOOD.replace('a', "A"),
            &format!("{GOOD}-more"),
            &GOOD[..54],
            &GOOD.replace("b7ad6b7169203331", "0000000000000000"),
            &GOOD.replace('-', "_"),
            &GOOD.replacen("00-", "0-", 1),
            "00-+af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ] {
            assert_eq!(bad.parse::<TraceParent>(), Err(TraceParentError), "{bad}");
        }
    }

    #[test]
    fn what_is_invalid_is_as_good_as_missing() {
        let of = |parent: &str, state: &str| {
            let message =
                Message::new("").with_attribute(TRACEPARENT, parent).with_attribute(TRACESTATE, state);
            let origin = Origin::of(&message);
            (origin.parent.is_some(), origin.state.is_some())
        };
        assert_eq!(of(GOOD, "rojo=00f067aa0ba902b7, congo@eu=t61rcWkgMzE,"), (true, true));
        assert_eq!(of("nonsense", "rojo=1"), (false, false), "without its parent the state means nothing");
        let many: Vec<_> = (0..33).map(|n| format!("k{n}=v")).collect();
        for state in
            ["", "no value", "UPPER=1", "=1", "a=", "a=b=c", "a=\u{7}", "a=1\r\n,b=2", &many.join(",")]
        {
            assert_eq!(of(GOOD, state), (true, false), "{state:?}");
        }
        let long = Message::new("").with_attribute(CORRELATION_ID, "x".repeat(CORRELATION_ID_BYTES_MAX + 1));
        assert_eq!(Origin::of(&long), Origin::default());
        let smuggling = Message::new("").with_attribute(CORRELATION_ID, "1\r\nevil: 2");
        assert_eq!(Origin::of(&smuggling), Origin::default());
    }

    #[test]
    fn goes_from_attributes_and_events_to_messages_and_events() {
        let origin = Origin {
            parent: Some(GOOD.parse().unwrap()),
            state: Some("rojo=1".into()),
            correlation_id: Some("conversation 7".into()),
        };
        let child = Origin { parent: origin.parent.map(|parent| parent.child(9)), ..origin.clone() };
        assert_eq!(Origin::of(&origin.put_on(Message::new("a"), 9)), child);
        let event = origin.put_on_event(Envelope::new("1", "/source", "type"), 9);
        event.check().unwrap();
        assert_eq!(Origin::of(&Message::new(event.encode())), child);
        assert_eq!(Origin::default().put_on(Message::new("a"), 9), Message::new("a"));
    }
}
