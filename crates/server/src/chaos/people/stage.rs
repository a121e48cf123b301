//! Who writes, and about what: accounts, a story and its parts, made through the public API. Their keys come from the
//! seed, so that a second run on the same folder goes on with the same people and parts.

use super::client::{Ask, AskError, Client};
use hyper::Method;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::sleep;

/// What there is to comment on.
const PARTS: [&str; 6] = [
    "1. The Lamp Boat",
    "2. A Letter for Nobody",
    "3. The Tide Tables",
    "4. Salt in the Clock",
    "5. Two Choirs",
    "6. The Count at Dawn",
];
/// Their first names; a number follows where there are more people than names.
const NAMES: [&str; 12] =
    ["Maren", "Orla", "Tomas", "Ines", "Jun", "Priya", "Kofi", "Lena", "Sami", "Ada", "Noor", "Emil"];
/// The pause before something is asked again that could not be answered yet.
const PAUSE: Duration = Duration::from_millis(100);

/// A part of the story.
#[derive(Debug, Clone)]
pub(in crate::chaos) struct Part {
    pub(in crate::chaos) id: String,
    pub(in crate::chaos) title: &'static str,
}

/// Everybody who writes, and everything that is written about.
#[derive(Debug)]
pub(super) struct Stage {
    /// One for each person.
    pub(super) tokens: Vec<String>,
    pub(super) parts: Vec<Part>,
}

/// Makes what is not there yet. What cannot be answered now is asked again, for as long as it takes: a service may be
/// away.
pub(super) async fn set(client: &Client, people: u16, seed: u64) -> Result<Stage, AskError> {
    let mut tokens = Vec::new();
    for number in 0..usize::from(people) {
        let name = NAMES.get(number % NAMES.len()).copied().unwrap_or_default();
        let round = number / NAMES.len();
        let name = if round == 0 { name.to_owned() } else { format!("{name} {}", round + 1) };
        let made =
            make(client, "/v1/users", None, format!("{seed}-person-{number}"), json!({ "name": name }));
        tokens.push(text(&made.await?, "/token", "a token")?);
    }
    let author = tokens.first();
    let story = json!({ "title": "The Lamp Boat" });
    let story = make(client, "/v1/stories", author, format!("{seed}-story"), story).await?;
    let path = format!("/v1/stories/{}/parts", text(&story, "/id", "an id")?);
    let mut parts = Vec::new();
    for (number, title) in PARTS.into_iter().enumerate() {
        let part = json!({ "title": title, "paragraphs": ["It began with a light on the water."] });
        let part = make(client, &path, author, format!("{seed}-part-{number}"), part).await?;
        parts.push(Part { id: text(&part, "/id", "an id")?, title });
    }
    Ok(Stage { tokens, parts })
}

async fn make(
    client: &Client,
    path: &str,
    token: Option<&String>,
    key: String,
    body: Value,
) -> Result<Value, AskError> {
    // Keys are long.
    let key = Some(format!("antiphon-chaos-demonstration-{key}"));
    let ask =
        Ask { method: Method::POST, path: path.to_owned(), token: token.cloned(), key, body: Some(body) };
    loop {
        match client.ask(&ask).await {
            Err(error) if error.is_passing() => sleep(PAUSE).await,
            answer => return answer,
        }
    }
}

/// A text of an answer.
pub(super) fn text(value: &Value, pointer: &str, what: &'static str) -> Result<String, AskError> {
    value.pointer(pointer).and_then(Value::as_str).map(str::to_owned).ok_or(AskError::Lacks(what))
}
