//! As little of a server as a replay needs, with a flaw on demand.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use api::derive_id;
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::{delete, get, post};
use messages::{CommentId, PartId};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// What is wrong with a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flaw {
    StoriesShowsOneMore,
    CommentsCountsOneLess,
    OneIsNotListed,
    OneIsListedTwice,
    DeletedAreListed,
    RepeatedPostsAreNew,
    DeletesAreForgotten,
    NeverQuiet,
    RefusesAText,
    /// Now and then 503.
    Unavailable,
    /// Now and then 401.
    TokensExpire,
}

#[derive(Debug, Default)]
struct Stored {
    requests: usize,
    /// In order: the comment, its part, and whether it is deleted.
    comments: Vec<(CommentId, PartId, bool)>,
}

#[derive(Debug, Clone)]
struct Server {
    flaw: Option<Flaw>,
    stored: Arc<Mutex<Stored>>,
}

/// A server in this process.
#[derive(Debug)]
pub(super) struct Fake {
    url: String,
    server: Server,
}

impl Fake {
    pub(super) async fn start(flaw: Option<Flaw>) -> Self {
        let server = Server { flaw, stored: Arc::default() };
        let router = Router::new()
            .route("/v1/users", post(create))
            .route("/v1/stories", post(create))
            .route("/v1/stories/{story}/parts", post(create))
            .route("/v1/parts/{part}", get(show))
            .route("/v1/parts/{part}/comments", post(comment).get(list))
            .route("/v1/comments/{comment}", delete(remove))
            .route("/status", get(status))
            .with_state(server.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, server }
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// How many there are, deleted ones included.
    pub(super) fn comments(&self) -> usize {
        self.server.stored.lock().unwrap().comments.len()
    }
}

fn answer(status: StatusCode, body: &Value) -> Response {
    let builder = Response::builder().status(status).header("retry-after", "0");
    builder.body(Body::from(body.to_string())).unwrap()
}

impl Server {
    fn has(&self, flaw: Flaw) -> bool {
        self.flaw == Some(flaw)
    }

    /// An id from a key, as the real services make it.
    fn id(headers: &HeaderMap, salt: usize) -> [u8; 16] {
        derive_id("fake", &[headers["idempotency-key"].as_bytes(), &salt.to_be_bytes()])
    }

    /// What passes at the next attempt.
    fn passing(&self, stored: &mut Stored) -> Option<Response> {
        stored.requests += 1;
        let third = stored.requests.is_multiple_of(3);
        let status = match self.flaw {
            Some(Flaw::Unavailable) if third => StatusCode::SERVICE_UNAVAILABLE,
            Some(Flaw::TokensExpire) if stored.requests == 10 => StatusCode::UNAUTHORIZED,
            _ => return None,
        };
        Some(answer(status, &json!({"detail": "later"})))
    }

    fn live(&self, part: PartId) -> Vec<CommentId> {
        let stored = self.stored.lock().unwrap();
        let listed = |deleted: bool| !deleted || self.has(Flaw::DeletedAreListed);
        let all = stored.comments.iter().filter(|(_, of, deleted)| *of == part && listed(*deleted));
        all.map(|(id, ..)| *id).collect()
    }
}

async fn create(headers: HeaderMap) -> Response {
    let id = CommentId::from_bytes(Server::id(&headers, 0));
    answer(StatusCode::CREATED, &json!({"id": id, "user": {"id": id}, "token": "t", "expires_at": "2030"}))
}

async fn comment(
    State(server): State<Server>,
    Path(part): Path<PartId>,
    headers: HeaderMap,
    body: String,
) -> Response {
    let mut stored = server.stored.lock().unwrap();
    if let Some(response) = server.passing(&mut stored) {
        return response;
    }
    assert_eq!(headers["authorization"], "Bearer t");
    let body: Value = serde_json::from_str(&body).unwrap();
    if server.has(Flaw::RefusesAText) && body["text"] == "t7" {
        return answer(StatusCode::BAD_REQUEST, &json!({"detail": "not that one", "field": "text"}));
    }
    let known = |id: &CommentId| stored.comments.iter().any(|(comment, ..)| comment == id);
    if let Some(parent) = body["parent"].as_str() {
        assert!(known(&parent.parse().unwrap()), "a reply comes after its parent");
    }
    let salt = if server.has(Flaw::RepeatedPostsAreNew) { stored.requests } else { 0 };
    let id = CommentId::from_bytes(Server::id(&headers, salt));
    if !known(&id) {
        stored.comments.push((id, part, false));
    }
    let deleted = stored.comments.iter().any(|(comment, _, deleted)| *comment == id && *deleted);
    answer(StatusCode::CREATED, &json!({"comment": {"id": id, "deleted": deleted}, "counts": []}))
}

async fn remove(State(server): State<Server>, Path(comment): Path<CommentId>) -> Response {
    let mut stored = server.stored.lock().unwrap();
    for (id, _, deleted) in &mut stored.comments {
        *deleted |= *id == comment && !server.has(Flaw::DeletesAreForgotten);
    }
    let deleted = !server.has(Flaw::DeletesAreForgotten);
    answer(StatusCode::OK, &json!({"comment": {"id": comment, "deleted": deleted}, "counts": []}))
}

/// Pages of seven, however many are asked for.
async fn list(
    State(server): State<Server>,
    Path(part): Path<PartId>,
    axum::extract::Query(query): axum::extract::Query<BTreeMap<String, String>>,
) -> Response {
    assert_eq!(query["flat"], "true");
    let mut live = server.live(part);
    let count = live.len() - usize::from(server.has(Flaw::CommentsCountsOneLess));
    match server.flaw {
        Some(Flaw::OneIsNotListed) => drop(live.pop()),
        Some(Flaw::OneIsListedTwice) => live.push(live[0]),
        _ => {}
    }
    let from: usize = query.get("cursor").map_or(0, |cursor| cursor.parse().unwrap());
    let items: Vec<_> = live.iter().skip(from).take(7).map(|id| json!({"id": id, "text": "t"})).collect();
    let next = (from + 7 < live.len()).then(|| (from + 7).to_string());
    answer(StatusCode::OK, &json!({"items": items, "next": next, "count": {"count": count, "tallies": {}}}))
}

async fn show(State(server): State<Server>, Path(part): Path<PartId>) -> Response {
    let count = server.live(part).len() + usize::from(server.has(Flaw::StoriesShowsOneMore));
    answer(StatusCode::OK, &json!({"id": part, "counts": {"reads": 0, "comments": {"count": count}}}))
}

async fn status(State(server): State<Server>) -> Response {
    let outbox = if server.has(Flaw::NeverQuiet) { 5 } else { 0 };
    let services = json!({"comments": {"replica": "r", "outbox": outbox, "kept": 0}});
    let queue = json!({"connected": true, "subscriptions": {}});
    answer(StatusCode::OK, &json!({"services": services, "queue": queue, "quiet": outbox == 0}))
}
