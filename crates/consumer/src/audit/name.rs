//! The name of a message, as an attribute.

use lattice::{Dot, ReplicaId};
use queue::Message;

/// The attribute that carries a message's dot: `<lane>-<number>`, the lane in 16 lower hex digits, the number decimal.
pub const AUDIT_ATTRIBUTE: &str = "antiphonaudit";

/// Digits of a lane.
const LANE_DIGITS: usize = 16;

/// The dot that number `number` of lane `lane` is.
pub(super) fn dot(lane: u64, number: u64) -> Dot {
    Dot { replica: ReplicaId::from_u128(u128::from(lane)), counter: number }
}

/// How a dot is written into [`AUDIT_ATTRIBUTE`].
pub(super) fn written(lane: u64, number: u64) -> String {
    format!("{lane:016x}-{number}")
}

/// The dot of a message; `None` if it carries none that [`AuditedPublisher`](super::AuditedPublisher) could have written.
///
/// ```
/// use antiphon_consumer::audit::{AUDIT_ATTRIBUTE, dot_of};
/// use queue::Message;
///
/// let dot = dot_of(&Message::new("a").with_attribute(AUDIT_ATTRIBUTE, "00000000000000ab-12")).unwrap();
/// assert_eq!((dot.replica.to_u128(), dot.counter), (0xab, 12));
/// for other in ["", "ab-12", "00000000000000AB-12", "00000000000000ab-0", "00000000000000ab-012", "0000000000000000-1"] {
///     assert_eq!(dot_of(&Message::new("a").with_attribute(AUDIT_ATTRIBUTE, other)), None);
/// }
/// ```
pub fn dot_of(message: &Message) -> Option<Dot> {
    let (lane, number) = message.attributes.get(AUDIT_ATTRIBUTE)?.split_once('-')?;
    let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if lane.len() != LANE_DIGITS || !lane.bytes().all(is_hex) {
        return None;
    }
    if number.starts_with('0') || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let lane = u64::from_str_radix(lane, 16).ok().filter(|lane| *lane > 0)?;
    Some(dot(lane, number.parse().ok()?))
}
