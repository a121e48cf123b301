//! RFC 3339 timestamps from and to Unix milliseconds.
//!
//! An envelope needs these two functions and nothing else of a calendar, so they are written here rather than taken
//! from `time` or `jiff`, which weigh a hundred times as much. The arithmetic is Howard Hinnant's `civil_from_days`.

const MS_PER_DAY: u64 = 24 * 60 * 60 * 1_000;
/// 9999-12-31T23:59:59.999Z, the last instant that RFC 3339 can write.
const MS_MAX: u64 = 253_402_300_799_999;

/// Writes `ms`, milliseconds since the Unix epoch, as `2016-07-28T17:30:00.000Z`. Instants after the year 9999 are
/// written as its end.
///
/// ```
/// assert_eq!(antiphon_queue::rfc3339::format(1_469_727_000_000), "2016-07-28T17:30:00.000Z");
/// ```
pub fn format(ms: u64) -> String {
    let ms = ms.min(MS_MAX);
    let (days, rest) = (ms / MS_PER_DAY, ms % MS_PER_DAY);
    let (year, month, day) = civil_from_days(days);
    let (seconds, millis) = (rest / 1_000, rest % 1_000);
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

/// Reads an RFC 3339 timestamp, with any offset, as milliseconds since the Unix epoch. What is finer than a
/// millisecond is cut off, a leap second is the second after it, and what lies before 1970 is 0.
///
/// `None` if it is none.
pub fn parse(text: &str) -> Option<u64> {
    let bytes = text.as_bytes();
    let fixed = |at: usize, wanted: &[u8]| bytes.get(at).is_some_and(|byte| wanted.contains(byte));
    let number = |from: usize, digits: usize| -> Option<u64> {
        let part = bytes.get(from..from + digits)?;
        part.iter().try_fold(0, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + u64::from(byte - b'0')))
    };
    let separated =
        fixed(4, b"-") && fixed(7, b"-") && fixed(10, b"Tt ") && fixed(13, b":") && fixed(16, b":");
    if !separated {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, number(5, 2)?, number(8, 2)?);
    let (hour, minute, second) = (number(11, 2)?, number(14, 2)?, number(17, 2)?);
    let month_days = days_in_month(year, month)?;
    if day == 0 || day > month_days || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let mut at = 19;
    let mut millis = 0;
    if fixed(at, b".") {
        let digits = bytes.get(at + 1..)?.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits == 0 {
            return None;
        }
        let kept = digits.min(3);
        millis = number(at + 1, kept)? * [100, 10, 1].get(kept - 1)?;
        at += 1 + digits;
    }
    let local_s =
        i64::try_from(((days_from_civil(year, month, day) * 24 + hour) * 60 + minute) * 60 + second).ok()?;
    let local_s = local_s - EPOCH_S;
    let offset_s = match bytes.get(at)? {
        b'Z' | b'z' if bytes.len() == at + 1 => 0,
        sign @ (b'+' | b'-') if bytes.len() == at + 6 && fixed(at + 3, b":") => {
            let (hours, minutes) = (number(at + 1, 2)?, number(at + 4, 2)?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            let size = i64::try_from((hours * 60 + minutes) * 60).ok()?;
            if *sign == b'+' { size } else { -size }
        }
        _ => return None,
    };
    Some(u64::try_from(local_s - offset_s).map_or(0, |seconds| seconds * 1_000 + millis))
}

/// Seconds from 0000-03-01, where [`days_from_civil`] starts, to the Unix epoch. Years count from March, so that the
/// leap day is the last day of a year.
const EPOCH_S: i64 = 719_468 * 24 * 60 * 60;
const EPOCH_DAYS: u64 = 719_468;
const DAYS_PER_ERA: u64 = 146_097;

fn civil_from_days(days: u64) -> (u64, u64, u64) {
    let days = days + EPOCH_DAYS;
    let (era, day_of_era) = (days / DAYS_PER_ERA, days % DAYS_PER_ERA);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

/// Days since 0000-03-01; saturates for the two months before it.
fn days_from_civil(year: u64, month: u64, day: u64) -> u64 {
    let year = year.saturating_sub(u64::from(month <= 2));
    let (era, year_of_era) = (year / 400, year % 400);
    let month_from_march = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    era * DAYS_PER_ERA + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year
}

fn days_in_month(year: u64, month: u64) -> Option<u64> {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => Some(31),
        4 | 6 | 9 | 11 => Some(30),
        2 => Some(if leap { 29 } else { 28 }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_instants() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (4_107_542_399_999, "2100-02-28T23:59:59.999Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (MS_MAX, "9999-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(format(ms), text);
            assert_eq!(parse(text), Some(ms));
        }
        assert_eq!(format(u64::MAX), "9999-12-31T23:59:59.999Z");
    }

    #[test]
    fn other_spellings() {
        for (text, ms) in [
            ("1970-01-01T01:00:00+01:00", 0),
            ("1970-01-01T00:00:00.5-00:30", 1_800_500),
            ("1970-01-01t00:00:01.123456789z", 1_123),
            ("1969-12-31T23:59:59Z", 0),
            ("1990-12-31T23:59:60Z", 662_688_000_000),
        ] {
            assert_eq!(parse(text), Some(ms), "{text}");
        }
    }

    #[test]
    fn what_is_no_timestamp() {
        for text in [
            "",
            "now",
            "2016-07-28",
            "2016-07-28T17:30:00",
            "2016-02-30T00:00:00Z",
            "2016-13-01T00:00:00Z",
            "2016-07-28T24:00:00Z",
            "2016-07-28T17:30:00.Z",
            "2016-07-28T17:30:00+1:00",
            "2016-07-28T17:30:00Zx",
            "2016-07-28T17:30:00é",
            "+016-07-28T17:30:00Z",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn reads_what_it_writes(ms in 0..=MS_MAX) {
            prop_assert_eq!(parse(&format(ms)), Some(ms));
        }

        #[test]
        fn never_panics(text in "\\PC{0,40}") {
            let parsed = parse(&text);
            prop_assert!(parsed.is_none_or(|ms| ms <= MS_MAX + MS_PER_DAY));
        }
    }
}
