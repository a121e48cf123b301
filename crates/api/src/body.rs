//! JSON bodies, read strictly.

use std::error::Error;

use axum::body::to_bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use http_body_util::LengthLimitError;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use crate::problem::Problem;

/// The most bytes that are read of a request body.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;

/// A JSON body, in requests and in answers.
///
/// A request must say `Content-Type: application/json` (415), have at most [`BODY_BYTES_MAX`] bytes (413), be
/// JSON (400 with line and column), and fit `T` (400 naming the field). Field names given twice are refused by
/// the derived `Deserialize`; unknown ones are if `T` has `#[serde(deny_unknown_fields)]`, which every request
/// type has. `#[serde(flatten)]` and untagged enums lose the name of the field: avoid them in requests.
#[derive(Debug, Clone, Copy, Default)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        if !says_json(request.headers()) {
            return Err(Problem::unsupported_media_type());
        }
        // A body that announces its excess is refused unread.
        let announced = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
        if announced
            .and_then(|text| text.parse::<u64>().ok())
            .is_some_and(|bytes| bytes > BODY_BYTES_MAX as u64)
        {
            return Err(Problem::too_large(BODY_BYTES_MAX));
        }
        let bytes = to_bytes(request.into_body(), BODY_BYTES_MAX).await.map_err(|error| unread(&error))?;
        parse(&bytes).map(Self)
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(bytes) => ([(header::CONTENT_TYPE, "application/json")], bytes).into_response(),
            Err(error) => Problem::internal(&error).into_response(),
        }
    }
}

/// Reads JSON as [`Json`] does, from bytes that are already here.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        refuse(&path, error.inner())
    })?;
    reader.end().map_err(|error| refuse("", &error))?;
    // Serde reads a struct from an array of its values too, which nobody was told to send.
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        return Err(Problem::malformed("the body is to be a JSON object"));
    }
    Ok(value)
}

fn says_json(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return false };
    let essence = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("application/json")
}

fn unread(error: &axum::Error) -> Problem {
    if error.source().is_some_and(<dyn Error>::is::<LengthLimitError>) {
        Problem::too_large(BODY_BYTES_MAX)
    } else {
        Problem::malformed("the body broke off: send it whole")
    }
}

fn refuse(path: &str, error: &serde_json::Error) -> Problem {
    let (line, column) = (error.line(), error.column());
    let text = error.to_string();
    let what = text.strip_suffix(&format!(" at line {line} column {column}")).unwrap_or(&text);
    if error.classify() == Category::Data {
        fit(path, what)
    } else {
        Problem::malformed(format!("the body is not JSON: {what} at line {line} column {column}"))
    }
}

/// A value that does not fit its type: names the field that it is about.
///
/// Serde's path ends at the object when a field is missing from it or is there twice; the name is then only in
/// the message.
pub(crate) fn fit(path: &str, what: &str) -> Problem {
    let path = if path == "." { "" } else { path };
    let named = ["missing field `", "duplicate field `"]
        .iter()
        .find_map(|start| what.strip_prefix(start)?.strip_suffix('`'));
    let field = match (path, named) {
        (path, None) => path.to_owned(),
        ("", Some(name)) => name.to_owned(),
        (path, Some(name)) => format!("{path}.{name}"),
    };
    let problem = Problem::malformed(format!("change this: {what}"));
    if field.is_empty() { problem } else { problem.with_field(field) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Story {
        #[serde(rename = "title")]
        _title: String,
        #[serde(rename = "parts", default)]
        _parts: Vec<Part>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Part {
        #[serde(rename = "text")]
        _text: String,
        #[serde(rename = "order")]
        _order: Option<u8>,
    }

    #[test]
    fn refusals_name_the_field() {
        for (body, field, detail) in [
            (r#"{"title":1}"#, Some("title"), "change this: invalid type: integer `1`, expected a string"),
            (r#"{"title":null}"#, Some("title"), "change this: invalid type: null, expected a string"),
            (r"{}", Some("title"), "change this: missing field `title`"),
            (r#"{"title":"a","title":"b"}"#, Some("title"), "change this: duplicate field `title`"),
            (
                r#"{"titel":"a"}"#,
                Some("titel"),
                "change this: unknown field `titel`, expected `title` or `parts`",
            ),
            (
                r#"{"title":"a","parts":[{"text":"b"},{}]}"#,
                Some("parts[1].text"),
                "change this: missing field `text`",
            ),
            (
                r#"{"title":"a","parts":[{"text":"b","order":256}]}"#,
                Some("parts[0].order"),
                "change this: invalid value: integer `256`, expected u8",
            ),
            (r#"[{"a":1}]"#, Some("[0]"), "change this: invalid type: map, expected a string"),
            (r#""x""#, None, "change this: invalid type: string \"x\", expected struct Story"),
            ("", None, "the body is not JSON: EOF while parsing a value at line 1 column 0"),
            ("{\n  \"title\": \"a\",\n}", None, "the body is not JSON: trailing comma at line 3 column 1"),
            (r#"{"title":"a"} {}"#, None, "the body is not JSON: trailing characters at line 1 column 15"),
            (
                r#"{"title":"\ud800"}"#,
                None,
                "the body is not JSON: unexpected end of hex escape at line 1 column 17",
            ),
            (
                "{\"title\":\"a\nb\"}",
                None,
                "the body is not JSON: control character (\\u0000-\\u001F) found while parsing a string at line 2 column 0",
            ),
        ] {
            let problem = parse::<Story>(body.as_bytes()).unwrap_err();
            assert_eq!((problem.field(), problem.detail()), (field, detail), "{body}");
        }
        assert!(parse::<Story>(&[b'['; 1000]).is_err(), "depth is bounded");
        assert!(parse::<Story>(b"{\"title\":\"\xff\"}").is_err(), "UTF-8 only");
        assert!(parse::<Story>(br#" {"title":"a","parts":[]} "#).is_ok());
    }

    #[test]
    fn only_json_says_json() {
        for (value, says) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("application/json ;x", true),
            ("text/json", false),
            ("application/problem+json", false),
            ("application/jsonl", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, value.parse().unwrap())]);
            assert_eq!(says_json(&headers), says, "{value}");
        }
        assert!(!says_json(&HeaderMap::new()));
    }
}
