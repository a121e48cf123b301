//! How a message travels.
//!
//! The body is the body and each attribute a header, so that others read and write our messages with their own clients.
//! Attributes that no header can hold (names over 255 bytes, names that the broker or we use ourselves, more than a frame
//! takes) stand as JSON in front of the body, and a header tells how many bytes that is.

use std::collections::BTreeMap;

use bytes::Bytes;
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, LongString, ShortString};

use crate::Message;

/// On everything that we sent: the version of this format.
const FORMAT: &str = "antiphon-format";
const FORMAT_NOW: i64 = 1;
/// When it was published, in milliseconds.
const PUBLISHED_MS: &str = "antiphon-published-ms";
/// How many bytes in front of the body are attributes.
const IN_BODY: &str = "antiphon-in-body";
/// How often it was handed out before it came into this queue.
const RECEIVED: &str = "antiphon-received";
/// Of dead letters.
const REASON: &str = "antiphon-reason";
const DEAD_ID: &str = "antiphon-dead-id";
/// Beginnings of names that are ours, and the broker's.
const OURS: &str = "antiphon-";
const THEIRS: &str = "x-";
/// Where the broker counts deliveries.
const DELIVERY_COUNT: &str = "x-delivery-count";
/// What the broker adds, and what would mislead it (`CC` sends copies elsewhere) or us when it is sent again.
const NOT_CARRIED: [&str; 10] = [
    DELIVERY_COUNT,
    "x-acquired-count",
    "x-death",
    "x-first-death-exchange",
    "x-first-death-queue",
    "x-first-death-reason",
    "x-last-death-exchange",
    "x-last-death-queue",
    "x-last-death-reason",
    "CC",
];
/// Most bytes of headers: with what is added later they have to fit into one frame.
const HEADERS_BYTES_MAX: usize = 32_768;
/// What a header takes beside its name and its value.
const HEADER_BYTES: usize = 6;
/// Longest name of a header.
const NAME_BYTES_MAX: usize = 255;
/// To be kept on disk.
const PERSISTENT: u8 = 2;

/// A message as it lies in a queue.
#[derive(Debug, Clone)]
pub(super) struct Parcel {
    pub(super) properties: BasicProperties,
    pub(super) body: Bytes,
}

/// Why and how often a message died.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Death {
    pub(super) id: Option<String>,
    pub(super) reason: String,
    pub(super) receive_count: u32,
}

fn is_legal(name: &str) -> bool {
    let taken = name.starts_with(OURS) || name.starts_with(THEIRS) || name == "CC" || name == "BCC";
    !name.is_empty() && name.len() <= NAME_BYTES_MAX && !taken
}

fn number(value: impl TryInto<i64>) -> AMQPValue {
    AMQPValue::LongLongInt(value.try_into().unwrap_or(i64::MAX))
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(LongString::from(value))
}

/// Packs what is published now.
pub(super) fn pack(message: &Message, now_ms: u64) -> Parcel {
    let mut headers = FieldTable::default();
    let mut beside: BTreeMap<&str, &str> = BTreeMap::new();
    let mut bytes = 0;
    for (name, value) in &message.attributes {
        let more = name.len() + value.len() + HEADER_BYTES;
        match ShortString::try_new(name.as_str()) {
            Ok(header) if is_legal(name) && bytes + more <= HEADERS_BYTES_MAX => {
                bytes += more;
                headers.insert(header, text(value));
            }
            _ => {
                beside.insert(name, value);
            }
        }
    }
    headers.insert(FORMAT.into(), number(FORMAT_NOW));
    headers.insert(PUBLISHED_MS.into(), number(now_ms));
    let mut body = message.body.clone();
    if !beside.is_empty() {
        let json = serde_json::json!(beside).to_string();
        headers.insert(IN_BODY.into(), number(json.len()));
        body = [json.as_bytes(), &message.body].concat().into();
    }
    let properties = BasicProperties::default().with_delivery_mode(PERSISTENT).with_headers(headers);
    Parcel { properties, body }
}

impl Parcel {
    pub(super) fn new(properties: BasicProperties, body: Vec<u8>) -> Self {
        Self { properties, body: body.into() }
    }

    fn header(&self, name: &str) -> Option<&AMQPValue> {
        self.properties.headers().as_ref()?.inner().get(name)
    }

    fn count(&self, name: &str) -> u32 {
        self.header(name).and_then(whole).map_or(0, |count| u32::try_from(count.max(0)).unwrap_or(u32::MAX))
    }

    fn is_ours(&self) -> bool {
        self.header(FORMAT).and_then(whole) == Some(FORMAT_NOW)
    }

    /// How often it was handed out, once it has left the queue again.
    pub(super) fn receive_count(&self) -> u32 {
        self.count(RECEIVED).saturating_add(self.count(DELIVERY_COUNT)).saturating_add(1)
    }

    /// When it was published, in milliseconds since the Unix epoch. What others send knows it by the second, or not.
    pub(super) fn published_at_ms(&self) -> Option<u64> {
        let ours = self.header(PUBLISHED_MS).and_then(whole).and_then(|millis| u64::try_from(millis).ok());
        ours.or_else(|| self.properties.timestamp().map(|seconds| seconds.saturating_mul(1_000)))
    }

    pub(super) fn message(&self) -> Message {
        if !self.is_ours() {
            return Message { body: self.body.clone(), attributes: self.foreign_attributes() };
        }
        let mut attributes = BTreeMap::new();
        let headers = self.properties.headers().as_ref().map(FieldTable::inner);
        for (name, value) in headers.into_iter().flatten() {
            if let (true, AMQPValue::LongString(value)) = (is_legal(name.as_str()), value) {
                attributes.insert(name.to_string(), value.to_string());
            }
        }
        let Some(bytes) = self.header(IN_BODY).and_then(whole) else {
            return Message { body: self.body.clone(), attributes };
        };
        let front = usize::try_from(bytes).ok().and_then(|bytes| self.body.split_at_checked(bytes));
        let beside =
            front.and_then(|(json, _)| serde_json::from_slice::<BTreeMap<String, String>>(json).ok());
        let (Some((json, _)), Some(beside)) = (front, beside) else {
            // Somebody changed it on its way. It is handed out whole, for whoever decodes to judge.
            tracing::warn!(
                "the attributes in front of a body cannot be read: they are handed out as part of it"
            );
            return Message { body: self.body.clone(), attributes };
        };
        attributes.extend(beside);
        Message { body: self.body.slice(json.len()..), attributes }
    }

    /// The headers of a message that others sent, and those of its properties that a reader may want.
    fn foreign_attributes(&self) -> BTreeMap<String, String> {
        let properties = &self.properties;
        let named = [
            ("content-type", properties.content_type()),
            ("content-encoding", properties.content_encoding()),
            ("correlation-id", properties.correlation_id()),
            ("message-id", properties.message_id()),
            ("reply-to", properties.reply_to()),
            ("app-id", properties.app_id()),
            ("type", properties.kind()),
        ];
        let named = named
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value.as_ref()?.to_string())));
        let mut attributes: BTreeMap<String, String> = named.collect();
        let headers = properties.headers().as_ref().map(FieldTable::inner);
        for (name, value) in headers.into_iter().flatten() {
            let name = name.as_str();
            if !name.starts_with(OURS) && !NOT_CARRIED.contains(&name) {
                attributes.insert(name.to_owned(), shown(value));
            }
        }
        attributes
    }

    /// The same message, to be sent again with these headers instead of those that are ours.
    fn again(&self, headers: Vec<(&str, AMQPValue)>) -> Self {
        let ours = [RECEIVED, REASON, DEAD_ID];
        let mut table = BTreeMap::new();
        let mut bytes = 0;
        for (name, value) in self.properties.headers().as_ref().map(FieldTable::inner).into_iter().flatten() {
            if !ours.contains(&name.as_str()) && !NOT_CARRIED.contains(&name.as_str()) {
                bytes += name.as_str().len() + HEADER_BYTES + size(value);
                table.insert(name.clone(), value.clone());
            }
        }
        if bytes > HEADERS_BYTES_MAX * 2 {
            // What others sent may fill its frame to the brim, and leaves no place for what we add.
            let published_ms = self.published_at_ms().unwrap_or_default();
            return pack(&self.message(), published_ms).again(headers);
        }
        table.extend(headers.into_iter().map(|(name, value)| (ShortString::from(name), value)));
        let mut properties =
            BasicProperties::default().with_delivery_mode(PERSISTENT).with_headers(FieldTable::from(table));
        // All but what would let it expire again, or be refused: the broker compares `user_id` with ours.
        let theirs = &self.properties;
        let set = [
            (theirs.content_type(), BasicProperties::with_content_type as fn(_, _) -> _),
            (theirs.content_encoding(), BasicProperties::with_content_encoding),
            (theirs.correlation_id(), BasicProperties::with_correlation_id),
            (theirs.message_id(), BasicProperties::with_message_id),
            (theirs.reply_to(), BasicProperties::with_reply_to),
            (theirs.app_id(), BasicProperties::with_app_id),
            (theirs.kind(), BasicProperties::with_type),
        ];
        for (value, with) in set {
            if let Some(value) = value {
                properties = with(properties, value.clone());
            }
        }
        if let Some(timestamp) = theirs.timestamp() {
            properties = properties.with_timestamp(*timestamp);
        }
        Self { properties, body: self.body.clone() }
    }

    /// To be handed out again after `delay_ms`.
    pub(super) fn delayed(&self, receive_count: u32, delay_ms: u64) -> Self {
        let mut parcel = self.again(vec![(RECEIVED, number(receive_count))]);
        let expiration = ShortString::from(delay_ms.to_string());
        parcel.properties = parcel.properties.with_expiration(expiration);
        parcel
    }

    /// To be put aside.
    pub(super) fn dead(&self, death: &Death) -> Self {
        let mut headers = vec![(RECEIVED, number(death.receive_count)), (REASON, text(&death.reason))];
        if let Some(id) = &death.id {
            headers.push((DEAD_ID, text(id)));
        }
        self.again(headers)
    }

    /// How it died, if it is a dead letter.
    pub(super) fn death(&self) -> Death {
        let read = |name| self.header(name).map(shown);
        Death {
            id: read(DEAD_ID),
            reason: read(REASON).unwrap_or_default(),
            receive_count: self.count(RECEIVED),
        }
    }

    /// As if it had just been published.
    pub(super) fn revived(&self, now_ms: u64) -> Self {
        self.again(vec![(PUBLISHED_MS, number(now_ms))])
    }
}

fn whole(value: &AMQPValue) -> Option<i64> {
    Some(match value {
        AMQPValue::ShortShortInt(value) => i64::from(*value),
        AMQPValue::ShortShortUInt(value) => i64::from(*value),
        AMQPValue::ShortInt(value) => i64::from(*value),
        AMQPValue::ShortUInt(value) => i64::from(*value),
        AMQPValue::LongInt(value) => i64::from(*value),
        AMQPValue::LongUInt(value) => i64::from(*value),
        AMQPValue::LongLongInt(value) => *value,
        AMQPValue::Timestamp(value) => i64::try_from(*value).ok()?,
        _ => return None,
    })
}

/// Any value as text; what has parts as JSON.
fn shown(value: &AMQPValue) -> String {
    match value {
        AMQPValue::LongString(value) => value.to_string(),
        AMQPValue::ShortString(value) => value.to_string(),
        AMQPValue::Boolean(value) => value.to_string(),
        AMQPValue::Float(value) => value.to_string(),
        AMQPValue::Double(value) => value.to_string(),
        AMQPValue::Void => String::new(),
        value => match whole(value) {
            Some(value) => value.to_string(),
            None => serde_json::to_string(value).unwrap_or_else(|error| format!("unreadable: {error}")),
        },
    }
}

/// About how many bytes a value takes.
fn size(value: &AMQPValue) -> usize {
    match value {
        AMQPValue::LongString(value) => value.len(),
        AMQPValue::ByteArray(value) => value.len(),
        AMQPValue::FieldArray(values) => {
            values.as_slice().iter().map(|value| size(value) + HEADER_BYTES).sum()
        }
        AMQPValue::FieldTable(table) => {
            table.inner().iter().map(|(name, value)| name.as_str().len() + HEADER_BYTES + size(value)).sum()
        }
        _ => HEADER_BYTES,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn through(parcel: &Parcel, added: &[(&str, AMQPValue)]) -> Parcel {
        let mut headers = parcel.properties.headers().clone().unwrap_or_default();
        for (name, value) in added {
            headers.insert(ShortString::from(*name), value.clone());
        }
        Parcel { properties: parcel.properties.clone().with_headers(headers), body: parcel.body.clone() }
    }

    #[test]
    fn every_attribute_survives() {
        let long = "n".repeat(256);
        let large = "v".repeat(HEADERS_BYTES_MAX);
        for (name, value) in [
            ("type", "antiphon.tallies"),
            ("empty", ""),
            ("", "no name"),
            ("ü\n\"", "\u{0}ü"),
            ("x-death", "theirs"),
            ("CC", "theirs"),
            (FORMAT, "ours"),
            (long.as_str(), "a long name"),
            ("large", large.as_str()),
        ] {
            for body in [&b""[..], &[0, 255, 128], b"{\"a\":1}"] {
                let sent =
                    Message::new(body.to_vec()).with_attribute(name, value).with_attribute("other", "kept");
                let parcel = pack(&sent, 5_000);
                assert_eq!(parcel.message(), sent, "{name:?}");
                assert_eq!(
                    parcel.properties.headers().as_ref().unwrap().inner()["other"],
                    text("kept"),
                    "in the open"
                );
                assert_eq!((parcel.receive_count(), parcel.published_at_ms()), (1, Some(5_000)));
                let again =
                    parcel.delayed(3, 10).dead(&Death { id: None, reason: "r".into(), receive_count: 4 });
                assert_eq!(again.message(), sent, "{name:?} is carried along");
            }
        }
    }

    #[test]
    fn the_receive_count_is_carried_through_a_delay() {
        let received = [(DELIVERY_COUNT, AMQPValue::LongLongInt(2))];
        let parcel = through(&pack(&Message::new("a"), 0), &received);
        assert_eq!(parcel.receive_count(), 3);
        let delayed = parcel.delayed(3, 1_500);
        assert_eq!(delayed.properties.expiration().as_ref().unwrap().as_str(), "1500");
        assert_eq!(delayed.receive_count(), 4, "and what the broker counted before is not counted again");
        assert_eq!(through(&delayed, &received).receive_count(), 6);
        let revived = delayed.revived(9_000);
        assert_eq!((revived.receive_count(), revived.published_at_ms()), (1, Some(9_000)));
        assert_eq!(*revived.properties.expiration(), None);
    }

    #[test]
    fn a_death_is_read_back() {
        let death = Death { id: Some("1".into()), reason: "no type: ü".into(), receive_count: 2 };
        let parcel = pack(&Message::new("a"), 0).dead(&death);
        assert_eq!(parcel.death(), death);
        assert_eq!(parcel.revived(0).death(), Death { id: None, reason: String::new(), receive_count: 0 });
    }

    #[test]
    fn what_others_send_is_handed_out_as_it_is() {
        let mut headers = FieldTable::default();
        headers.insert("tries".into(), AMQPValue::LongInt(3));
        headers.insert("x-custom".into(), text("kept"));
        headers.insert("x-death".into(), text("the broker's"));
        headers.insert("nested".into(), AMQPValue::FieldArray(vec![AMQPValue::Boolean(true)].into()));
        let properties = BasicProperties::default()
            .with_headers(headers)
            .with_content_type("text/plain".into())
            .with_timestamp(7)
            .with_user_id("somebody".into());
        let parcel = Parcel::new(properties, vec![1, 2]);
        let message = parcel.message();
        assert_eq!(
            (&message.body[..], parcel.published_at_ms(), parcel.receive_count()),
            (&[1, 2][..], Some(7_000), 1)
        );
        let names: Vec<_> = message.attributes.keys().map(String::as_str).collect();
        assert_eq!(names, ["content-type", "nested", "tries", "x-custom"]);
        assert_eq!(
            (message.attributes["tries"].as_str(), message.attributes["x-custom"].as_str()),
            ("3", "kept")
        );
        let again = parcel.delayed(1, 1);
        assert_eq!(again.message(), message, "also after a delay");
        assert_eq!(*again.properties.user_id(), None, "which the broker would refuse");
        let large = through(&parcel, &[("large", text(&"v".repeat(HEADERS_BYTES_MAX * 3)))]);
        let again = large.delayed(1, 1);
        assert_eq!(again.message(), large.message(), "a frame that was full");
        assert_eq!(again.receive_count(), 2);
    }
}
