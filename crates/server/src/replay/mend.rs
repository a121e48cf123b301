//! Making texts such that the API takes them: replay is about counts, and must not stumble over a stray character.

use api::text::{self, Multiline};

/// What stands in for a character that is refused.
const REPLACEMENT: char = '\u{fffd}';

/// A kind of text with its rules.
#[derive(Debug, Clone, Copy)]
struct Kind {
    chars_max: usize,
    multiline: Multiline,
    /// What stands in for nothing.
    nothing: &'static str,
}

/// The text of a comment as it will be sent, and whether it had to be mended.
pub(super) fn comment(text: String) -> (String, bool) {
    let (chars_max, multiline) = (text::COMMENT_CHARS_MAX, Multiline::Yes);
    mend(text, Kind { chars_max, multiline, nothing: "(no text)" })
}

/// The name of a user as it will be sent.
pub(super) fn name(text: &str) -> String {
    let (chars_max, multiline) = (text::NAME_CHARS_MAX, Multiline::No);
    mend(text.to_owned(), Kind { chars_max, multiline, nothing: "(no name)" }).0
}

/// The title of a story or a part as it will be sent.
pub(super) fn title(text: &str) -> String {
    let (chars_max, multiline) = (text::TITLE_CHARS_MAX, Multiline::No);
    mend(text.to_owned(), Kind { chars_max, multiline, nothing: "(no title)" }).0
}

fn mend(text: String, kind: Kind) -> (String, bool) {
    if passes(&text, kind) {
        return (text, false);
    }
    // What is refused alone may be blank, which is no fault beside a letter.
    let legal = |character: char| passes(&format!("x{character}"), Kind { chars_max: 2, ..kind });
    let unix = text.replace("\r\n", "\n").replace('\r', "\n");
    let chars = unix.chars().map(|character| if legal(character) { character } else { REPLACEMENT });
    let mended: String = chars.take(kind.chars_max).collect();
    if passes(&mended, kind) { (mended, true) } else { (kind.nothing.to_owned(), true) }
}

fn passes(text: &str, kind: Kind) -> bool {
    text::check_text("text", text, kind.chars_max, kind.multiline).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments() {
        for (text, mended) in [
            ("as it was", None),
            (" blanks at its ends ", None),
            ("two\r\nlines\tand a tab", None),
            ("", Some("(no text)")),
            (" \u{200b}\n", Some("(no text)")),
            ("oops\u{8}\u{8}", Some("oops\u{fffd}\u{fffd}")),
            ("\u{8}", Some("\u{fffd}")),
            ("\u{1b}[31mred\r\nline \u{200b}", Some("\u{fffd}[31mred\nline \u{200b}")),
        ] {
            let expected = (mended.unwrap_or(text).to_owned(), mended.is_some());
            assert_eq!(comment(text.to_owned()), expected, "{text:?}");
        }
        let (long, mended) = comment("ä".repeat(10_001));
        assert!(mended && long == "ä".repeat(10_000));
        assert_eq!(comment(" ".repeat(10_000) + "late").0, "(no text)");
    }

    #[test]
    fn names_and_titles_are_one_line() {
        assert_eq!(name("[optik] "), "[optik] ");
        assert_eq!(name("a\nb\u{202e}c"), "a\u{fffd}b\u{fffd}c");
        assert_eq!(name(""), "(no name)");
        assert_eq!(name(&"n".repeat(70)), "n".repeat(64));
        assert_eq!(title("\r\n"), "\u{fffd}");
        assert_eq!(title(&"t".repeat(300)), "t".repeat(200));
    }
}
