//! Numbers of 160 bits: a key's beginning (128) times a weight (32).

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A number modulo 2^160.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wide {
    high: u32,
    low: u128,
}

impl Wide {
    /// `weight` times `number`.
    pub(super) fn product(weight: u32, number: u128) -> Self {
        let weight = u128::from(weight);
        // Neither product has more than 96 bits.
        let (upper, lower) = (weight * (number >> 64), weight * (number & u128::from(u64::MAX)));
        let (low, carried) = lower.overflowing_add(upper << 64);
        let high = (upper >> 64) + u128::from(carried);
        Self { high: u32::try_from(high).unwrap_or(u32::MAX), low }
    }

    /// The sum.
    pub(super) fn plus(self, other: Self) -> Self {
        let (low, carried) = self.low.overflowing_add(other.low);
        Self { high: self.high.wrapping_add(other.high).wrapping_add(u32::from(carried)), low }
    }

    /// What added to it makes zero.
    pub(super) fn negated(self) -> Self {
        Self { high: !self.high, low: !self.low }.plus(Self { high: 0, low: 1 })
    }

    /// What `divisor` times makes it, where that is a whole number of 128 bits.
    pub(super) fn divided(self, divisor: u32) -> Option<u128> {
        if divisor == 0 || self.high >= divisor {
            return None;
        }
        let divisor = u64::from(divisor);
        let (mut rest, mut quotient) = (u64::from(self.high), 0_u128);
        for limb in [96, 64, 32, 0].map(|by| self.low >> by & u128::from(u32::MAX)) {
            let limb = u64::try_from(limb).unwrap_or_default();
            let carried = rest << 32 | limb;
            quotient = quotient << 32 | u128::from(carried / divisor);
            rest = carried % divisor;
        }
        (rest == 0).then_some(quotient)
    }
}

/// As a part of four bytes and one of sixteen.
impl Serialize for Wide {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        (self.high.to_be_bytes(), self.low.to_be_bytes()).serialize(to)
    }
}

impl<'de> Deserialize<'de> for Wide {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let (high, low) = <([u8; 4], [u8; 16])>::deserialize(from)?;
        Ok(Self { high: u32::from_be_bytes(high), low: u128::from_be_bytes(low) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_product_divides_again(weight in 1_u32.., number: u128, other: u128) {
            let product = Wide::product(weight, number);
            prop_assert_eq!(product.divided(weight), Some(number));
            prop_assert_eq!(product.plus(product.negated()), Wide::default());
            let sum = product.plus(Wide::product(weight, other));
            if let Some(total) = number.checked_add(other) {
                prop_assert_eq!(sum, Wide::product(weight, total));
            }
        }
    }

    #[test]
    fn what_does_not_divide_is_told() {
        assert_eq!(Wide::product(6, 7).divided(4), None);
        assert_eq!(Wide::product(u32::MAX, u128::MAX).divided(2), None, "too large for 128 bits");
        assert_eq!(Wide::default().divided(0), None);
    }
}
