//! What people may write: how long, and of which characters.
//!
//! Text is kept as it was written, spaces at its ends included: nothing is trimmed or composed. The one change is
//! that line ends become `\n`, so that the same comment from two browsers is the same bytes.

use axum::http::Uri;

use crate::problem::Problem;

/// The longest name of a user, in characters (Unicode scalar values, as all limits here).
pub const NAME_CHARS_MAX: usize = 64;
/// The longest title of a story or a part.
pub const TITLE_CHARS_MAX: usize = 200;
/// The longest comment.
pub const COMMENT_CHARS_MAX: usize = 10_000;
/// The longest paragraph.
pub const PARAGRAPH_CHARS_MAX: usize = 20_000;
/// The longest address of an avatar.
pub const AVATAR_CHARS_MAX: usize = 2048;

/// Whether a text may have several lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Multiline {
    /// Lines, tabs, and the characters that direct writing from right to left.
    Yes,
    /// One line that stands beside other people's lines: nothing that could reorder them, and nothing invisible
    /// but the joiners that Persian and emoji need.
    No,
}

/// A user's name.
pub fn check_name(field: &str, text: &str) -> Result<String, Problem> {
    check_text(field, text, NAME_CHARS_MAX, Multiline::No)
}

/// The title of a story or a part.
pub fn check_title(field: &str, text: &str) -> Result<String, Problem> {
    check_text(field, text, TITLE_CHARS_MAX, Multiline::No)
}

/// The text of a comment.
pub fn check_comment(field: &str, text: &str) -> Result<String, Problem> {
    check_text(field, text, COMMENT_CHARS_MAX, Multiline::Yes)
}

/// The text of a paragraph.
pub fn check_paragraph(field: &str, text: &str) -> Result<String, Problem> {
    check_text(field, text, PARAGRAPH_CHARS_MAX, Multiline::Yes)
}

/// A text as it is to be stored, or 400 naming the field.
///
/// `\r\n` and a lone `\r` become `\n` first, and only the result is measured. Refused are: nothing but blanks,
/// more than `chars_max` characters, control characters (of which several lines may have `\n` and `\t`), and in
/// one line also line separators, bidirectional controls and invisible format characters.
///
/// ```
/// use antiphon_api::text::{Multiline, check_text};
///
/// assert_eq!(check_text("text", "two\r\nlines ", 100, Multiline::Yes).unwrap(), "two\nlines ");
/// let problem = check_text("name", "two\nlines", 100, Multiline::No).unwrap_err();
/// assert_eq!(problem.to_string(), "name: leave out the character U+000A");
/// ```
pub fn check_text(
    field: &str,
    text: &str,
    chars_max: usize,
    multiline: Multiline,
) -> Result<String, Problem> {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    if text.chars().count() > chars_max {
        let limit = u64::try_from(chars_max).unwrap_or(u64::MAX);
        let detail = format!("write at most {chars_max} characters");
        return Err(Problem::bad_request(field.to_owned(), detail).with_limit(limit));
    }
    if text.chars().all(is_blank) {
        return Err(Problem::bad_request(field.to_owned(), "write something: this is blank"));
    }
    match text.chars().find(|&character| !is_allowed(character, multiline)) {
        Some(character) => {
            let detail = format!("leave out the character U+{:04X}", u32::from(character));
            Err(Problem::bad_request(field.to_owned(), detail))
        }
        None => Ok(text),
    }
}

fn is_allowed(character: char, multiline: Multiline) -> bool {
    match multiline {
        Multiline::Yes => !character.is_control() || matches!(character, '\n' | '\t'),
        Multiline::No => {
            let joins = matches!(character, '\u{200c}' | '\u{200d}');
            let ends_line = matches!(character, '\u{2028}' | '\u{2029}');
            !character.is_control() && !ends_line && (joins || !is_invisible(character))
        }
    }
}

/// Nothing to see: white space, format characters, and the letters that are drawn as nothing.
fn is_blank(character: char) -> bool {
    character.is_whitespace()
        || is_invisible(character)
        || matches!(character, '\u{115f}' | '\u{1160}' | '\u{2800}' | '\u{3164}' | '\u{ffa0}')
}

/// Unicode's format characters that no visible word needs, marks of direction included.
fn is_invisible(character: char) -> bool {
    matches!(character,
        '\u{ad}' | '\u{61c}' | '\u{180e}'
        | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}')
}

/// An address of an avatar, as it was written, or 400 naming the field.
///
/// It is shown as the source of an image on pages that we do not write, so it is `http` or `https`, has a host and
/// no user information, and consists of the ASCII characters that RFC 3986 lets stand in a URL.
pub fn check_avatar(field: &str, text: &str) -> Result<String, Problem> {
    let wrong = |detail: &'static str| Err(Problem::bad_request(field.to_owned(), detail));
    if text.chars().count() > AVATAR_CHARS_MAX {
        let detail = format!("write at most {AVATAR_CHARS_MAX} characters");
        return Err(Problem::bad_request(field.to_owned(), detail).with_limit(AVATAR_CHARS_MAX as u64));
    }
    let in_url = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&byte);
    if !text.bytes().all(in_url) {
        return wrong("percent-encode every character that may not stand in a URL");
    }
    let Ok(url) = text.parse::<Uri>() else {
        return wrong("write a URL, such as https://example.org/me.png");
    };
    if !matches!(url.scheme_str(), Some("http" | "https")) {
        return wrong("start with https:// or http://");
    }
    let Some(authority) = url.authority() else { return wrong("name a host after https://") };
    if authority.as_str().contains('@') {
        return wrong("leave out the user name and password");
    }
    if authority.host().is_empty() {
        return wrong("name a host after https://");
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        use Multiline::{No, Yes};
        for (text, one, many) in [
            ("Anna", true, true),
            (" Anna ", true, true),
            ("a\tb", false, true),
            ("a\nb", false, true),
            ("a\r\nb", false, true),
            ("a\rb", false, true),
            ("", false, false),
            (" \n\t\u{a0}\u{3000}", false, false),
            ("\u{200b}\u{feff}", false, false),
            ("\u{200d}", false, false),
            ("\u{3164}", false, false),
            ("a\0", false, false),
            ("a\u{8}", false, false),
            ("a\u{1b}[31m", false, false),
            ("a\u{7f}", false, false),
            ("a\u{85}", false, false),
            ("a\u{9f}", false, false),
            ("a\u{2028}b", false, true),
            ("\u{202e}evil", false, true),
            ("a\u{2066}b", false, true),
            ("a\u{200e}", false, true),
            ("a\u{ad}b", false, true),
            ("\u{feff}a", false, true),
            ("a\u{e0041}", false, true),
            ("می\u{200c}خواهم", true, true),
            ("👩\u{200d}🚀", true, true),
            ("日本語 e\u{301}", true, true),
        ] {
            assert_eq!(check_text("name", text, 100, No).is_ok(), one, "one line: {text:?}");
            assert_eq!(check_text("text", text, 100, Yes).is_ok(), many, "lines: {text:?}");
        }
    }

    #[test]
    fn limits_count_characters_after_line_ends_are_made_one() {
        assert!(check_name("name", &"日".repeat(NAME_CHARS_MAX)).is_ok());
        let problem = check_name("name", &"a".repeat(NAME_CHARS_MAX + 1)).unwrap_err();
        assert_eq!((problem.field(), problem.limit()), (Some("name"), Some(64)));
        assert!(check_title("title", &"a".repeat(TITLE_CHARS_MAX + 1)).is_err());
        assert!(check_paragraph("paragraphs[3]", &"a".repeat(PARAGRAPH_CHARS_MAX)).is_ok());
        assert!(check_paragraph("paragraphs[3]", &"a".repeat(PARAGRAPH_CHARS_MAX + 1)).is_err());
        assert!(check_comment("text", &"a".repeat(COMMENT_CHARS_MAX + 1)).is_err());
        assert_eq!(check_comment("text", &"\r\n.".repeat(5000)).unwrap(), "\n.".repeat(5000));
    }

    #[test]
    fn avatars() {
        for (text, ok) in [
            ("https://example.org/me.png", true),
            ("http://example.org:8080/a?b=c%20d#e", true),
            ("HTTPS://EXAMPLE.ORG/", true),
            ("https://[::1]/a", true),
            ("https://xn--bcher-kva.example/", true),
            ("", false),
            ("/me.png", false),
            ("//example.org/me.png", false),
            ("https:///me.png", false),
            ("https://", false),
            ("https://:80/", false),
            ("ftp://example.org/me.png", false),
            ("javascript:alert(1)", false),
            ("data:image/png;base64,AAAA", false),
            ("https://me:secret@example.org/", false),
            ("https://@example.org/", false),
            ("https://example.org/a b", false),
            (" https://example.org/", false),
            ("https://example.org/\n", false),
            ("https://example.org\\@evil.org/", false),
            ("https://example.org/\"onerror=", false),
            ("https://bücher.example/", false),
        ] {
            assert_eq!(check_avatar("avatar", text).is_ok(), ok, "{text:?}");
        }
        let long = format!("https://example.org/{}", "a".repeat(AVATAR_CHARS_MAX));
        assert_eq!(check_avatar("avatar", &long).unwrap_err().limit(), Some(2048));
    }
}
