//! The paper's compact encoding.

use super::error::{ItcDecodeError, ItcDecodeFault};
use super::events::EventTree;
use super::id::{Id, ItcId};
use super::tree::Tree;
use super::{ITC_DEPTH_MAX, IntervalTreeClock};

/// The width of the least numbers.
const WIDTH_MIN: u32 = 2;

/// The width of the greatest numbers.
const WIDTH_MAX: u32 = u64::BITS;

/// Bits, the highest of each byte first.
#[derive(Default)]
struct Writer {
    bytes: Vec<u8>,
    bits: usize,
}

impl Writer {
    fn bit(&mut self, bit: bool) {
        let within = self.bits % 8;
        if within == 0 {
            self.bytes.push(0);
        }
        if let Some(last) = self.bytes.last_mut() {
            *last |= u8::from(bit) << (7 - within);
        }
        self.bits = self.bits.saturating_add(1);
    }

    /// The lowest bits of a number.
    fn bits(&mut self, number: u64, width: u32) {
        for nth in (0..width).rev() {
            self.bit(number >> nth & 1 == 1);
        }
    }

    fn id(&mut self, id: &Id) {
        match id {
            Id::None => self.bits(0b000, 3),
            Id::All => self.bits(0b001, 3),
            Id::Parts(halves) => match &**halves {
                (Id::None, right) => {
                    self.bits(1, 2);
                    self.id(right);
                }
                (left, Id::None) => {
                    self.bits(2, 2);
                    self.id(left);
                }
                (left, right) => {
                    self.bits(3, 2);
                    self.id(left);
                    self.id(right);
                }
            },
        }
    }

    fn tree(&mut self, tree: &Tree) {
        let Tree::Node(base, halves) = tree else {
            self.number(tree.base());
            return;
        };
        let (left, right) = &**halves;
        match (left, right) {
            (Tree::Leaf(0), _) => self.bits(if *base == 0 { 0b000 } else { 0b01100 }, shape_width(*base, 5)),
            (_, Tree::Leaf(0)) => self.bits(if *base == 0 { 0b001 } else { 0b01101 }, shape_width(*base, 5)),
            _ => self.bits(if *base == 0 { 0b010 } else { 0b0111 }, shape_width(*base, 4)),
        }
        if *base > 0 {
            self.number(*base);
        }
        for half in [left, right] {
            if *half != Tree::Leaf(0) {
                self.tree(half);
            }
        }
    }

    /// A number, as a leaf: 1, then a 1 for each width that is too narrow, 0, and what is left of it in the width.
    fn number(&mut self, number: u64) {
        self.bit(true);
        let (mut rest, mut width) = (number, WIDTH_MIN);
        while width < WIDTH_MAX && rest >> width > 0 {
            self.bit(true);
            rest = rest.saturating_sub(1 << width);
            width = width.saturating_add(1);
        }
        self.bit(false);
        self.bits(rest, width);
    }
}

/// How many bits say of which shape a node is: 3 if its own number is 0.
const fn shape_width(base: u64, otherwise: u32) -> u32 {
    if base == 0 { 3 } else { otherwise }
}

struct Reader<'a> {
    bytes: &'a [u8],
    bits: usize,
    at: usize,
}

impl Reader<'_> {
    const fn error(&self, fault: ItcDecodeFault) -> ItcDecodeError {
        ItcDecodeError { fault, unit: "bit", at: self.at }
    }

    fn bit(&mut self) -> Result<bool, ItcDecodeError> {
        let byte = if self.at < self.bits { self.bytes.get(self.at / 8) } else { None };
        let byte = byte.ok_or_else(|| self.error(ItcDecodeFault::Truncated))?;
        let bit = byte << (self.at % 8) & 0x80 != 0;
        self.at = self.at.saturating_add(1);
        Ok(bit)
    }

    fn bits(&mut self, width: u32) -> Result<u64, ItcDecodeError> {
        let mut number = 0;
        for _ in 0..width {
            number = number << 1 | u64::from(self.bit()?);
        }
        Ok(number)
    }

    fn deeper(&self, depth_left: usize) -> Result<usize, ItcDecodeError> {
        depth_left.checked_sub(1).ok_or_else(|| self.error(ItcDecodeFault::TooDeep))
    }

    fn id(&mut self, depth_left: usize) -> Result<Id, ItcDecodeError> {
        let shape = self.bits(2)?;
        if shape == 0 {
            return Ok(if self.bit()? { Id::All } else { Id::None });
        }
        let depth_left = self.deeper(depth_left)?;
        let left = if shape == 1 { Id::None } else { self.id(depth_left)? };
        let right = if shape == 2 { Id::None } else { self.id(depth_left)? };
        Ok(Id::parts(left, right))
    }

    /// A tree whose numbers come on top of `up`.
    fn tree(&mut self, depth_left: usize, up: u64) -> Result<Tree, ItcDecodeError> {
        if self.bit()? {
            return self.number(up).map(Tree::Leaf);
        }
        let depth_left = self.deeper(depth_left)?;
        let shape = self.bits(2)?;
        let (has_base, has_left, has_right) = match shape {
            0 => (false, false, true),
            1 => (false, true, false),
            2 => (false, true, true),
            _ if self.bit()? => (true, true, true),
            _ => {
                let left = self.bit()?;
                (true, left, !left)
            }
        };
        let base = if has_base { self.leaf(up)? } else { 0 };
        let up = up.saturating_add(base);
        let left = if has_left { self.tree(depth_left, up)? } else { Tree::Leaf(0) };
        let right = if has_right { self.tree(depth_left, up)? } else { Tree::Leaf(0) };
        Ok(Tree::node(base, left, right))
    }

    /// A node's own number, which is encoded as a leaf is.
    fn leaf(&mut self, up: u64) -> Result<u64, ItcDecodeError> {
        let error = self.error(ItcDecodeFault::Malformed);
        if self.bit()? { self.number(up) } else { Err(error) }
    }

    /// A number that can be added to `up`, after its first bit.
    fn number(&mut self, up: u64) -> Result<u64, ItcDecodeError> {
        let too_great = self.error(ItcDecodeFault::TooGreat);
        let (mut number, mut width) = (0_u64, WIDTH_MIN);
        while self.bit()? {
            if width == WIDTH_MAX {
                return Err(too_great);
            }
            number = number.saturating_add(1 << width);
            width = width.saturating_add(1);
        }
        let number = number.checked_add(self.bits(width)?).ok_or(too_great)?;
        number.checked_add(up).map(|_| number).ok_or(too_great)
    }
}

impl IntervalTreeClock {
    /// The compact encoding, and how many bits of it count. The last byte is filled with zeros.
    ///
    /// ```
    /// use antiphon_lattice::IntervalTreeClock;
    /// assert_eq!(IntervalTreeClock::seed().to_bits(), (vec![0b001_1_0_00_0], 7));
    /// ```
    pub fn to_bits(&self) -> (Vec<u8>, usize) {
        let mut writer = Writer::default();
        writer.id(&self.id.0);
        writer.tree(&self.events.0);
        (writer.bytes, writer.bits)
    }

    /// Reads what [`to_bits`](IntervalTreeClock::to_bits) wrote, or another implementation: just so many bits, and
    /// zeros in what is left of the last byte. Trees that are not in normal form are brought into it.
    pub fn from_bits(bytes: &[u8], bits: usize) -> Result<Self, ItcDecodeError> {
        let clock = Self::read(bytes, bits, |reader| reader.bits.saturating_sub(reader.at))?;
        // The bits end in the last byte, and nothing is after them in it.
        let used = bytes.len() == bits.div_ceil(8);
        let padded = bits.is_multiple_of(8) || bytes.last().is_none_or(|last| last << (bits % 8) == 0);
        if used && padded {
            return Ok(clock);
        }
        Err(ItcDecodeError { fault: ItcDecodeFault::Trailing, unit: "bit", at: bits })
    }

    /// The same from whole bytes: the encoding tells where it ends, and up to seven zeros may follow.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ItcDecodeError> {
        Self::read(bytes, bytes.len().saturating_mul(8), |reader| {
            let rest = reader.bits.saturating_sub(reader.at);
            let last = bytes.last().map_or(0, |last| last << (reader.at % 8));
            if rest < 8 && (rest == 0 || last == 0) { 0 } else { rest }
        })
    }

    /// Reads a clock, after which nothing must be left by the given count.
    fn read(
        bytes: &[u8],
        bits: usize,
        left: impl FnOnce(&Reader<'_>) -> usize,
    ) -> Result<Self, ItcDecodeError> {
        let mut reader = Reader { bytes, bits, at: 0 };
        let id = ItcId(reader.id(ITC_DEPTH_MAX)?);
        let events = EventTree(reader.tree(ITC_DEPTH_MAX, 0)?);
        if left(&reader) > 0 {
            return Err(reader.error(ItcDecodeFault::Trailing));
        }
        Ok(Self { id, events })
    }
}
