//! How many, from the registers: the improved raw estimator of Ertl 2017, algorithm 6.
//!
//! It needs no tables of biases and no change of formula in the middle. It uses only `+ - * /` and the square root,
//! which IEEE 754 rounds in one way, so all replicas show one number for one state.

/// The estimate for `counts[k]` registers that hold `k`, where the last is the greatest value that one can hold.
pub(super) fn improved_raw(registers: f64, counts: &[u32]) -> f64 {
    let [none, between @ .., full] = counts else { return 0.0 };
    let alpha = 0.5 / std::f64::consts::LN_2;
    let mut sum = registers * tau(1.0 - f64::from(*full) / registers);
    for count in between.iter().rev() {
        sum = 0.5 * (sum + f64::from(*count));
    }
    sum += registers * sigma(f64::from(*none) / registers);
    alpha * registers * registers / sum
}

/// More rounds than a number of 53 bits can tell apart.
const ROUNDS_MAX: u32 = 64;

/// `x + Σ x^(2^k) · 2^(k-1)`: what the empty registers say.
fn sigma(mut x: f64) -> f64 {
    if x >= 1.0 {
        return f64::INFINITY;
    }
    let (mut weight, mut sum) = (1.0, x);
    for _ in 0..ROUNDS_MAX {
        let before = sum;
        x *= x;
        sum += x * weight;
        weight += weight;
        if sum <= before {
            break;
        }
    }
    sum
}

/// `(1 - x - Σ (1 - x^(2^-k))² · 2^-k) / 3`: what the full registers say.
fn tau(mut x: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return 0.0;
    }
    let (mut weight, mut sum) = (1.0, 1.0 - x);
    for _ in 0..ROUNDS_MAX {
        let before = sum;
        x = x.sqrt();
        weight *= 0.5;
        sum -= (1.0 - x) * (1.0 - x) * weight;
        if sum >= before {
            break;
        }
    }
    sum / 3.0
}
