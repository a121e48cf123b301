//! The web pages: plain files, compiled in.

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

/// Only our own scripts and styles run; pictures may come from where people keep their avatars.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'self'; img-src 'self' https: http: data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
);

const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

/// Name, media type, content.
type File = (&'static str, &'static str, &'static str);

macro_rules! files {
    ($list:ident, $what:literal: $($name:literal: $kind:expr),* $(,)?) => {
        #[doc = $what]
        const $list: &[File] = &[$(($name, $kind, include_str!(concat!("../../../web/", $name)))),*];
    };
}

files! {
    FILES, "What is served below `/web/`.":
    "account.js": JAVASCRIPT,
    "action.js": JAVASCRIPT,
    "api.js": JAVASCRIPT,
    "app.js": JAVASCRIPT,
    "comment.js": JAVASCRIPT,
    "comments.js": JAVASCRIPT,
    "composer.js": JAVASCRIPT,
    "counts.js": JAVASCRIPT,
    "dialog.js": JAVASCRIPT,
    "dom.js": JAVASCRIPT,
    "editor.js": JAVASCRIPT,
    "format.js": JAVASCRIPT,
    "icon.svg": "image/svg+xml",
    "icons.js": JAVASCRIPT,
    "index.html": "text/html; charset=utf-8",
    "lattice.js": JAVASCRIPT,
    "listing.js": JAVASCRIPT,
    "menu.js": JAVASCRIPT,
    "moving.js": JAVASCRIPT,
    "notice.js": JAVASCRIPT,
    "part.js": JAVASCRIPT,
    "people.js": JAVASCRIPT,
    "poll.js": JAVASCRIPT,
    "reader.js": JAVASCRIPT,
    "router.js": JAVASCRIPT,
    "session.js": JAVASCRIPT,
    "shelf.js": JAVASCRIPT,
    "statistic.js": JAVASCRIPT,
    "storage.js": JAVASCRIPT,
    "stories.js": JAVASCRIPT,
    "style.css": "text/css; charset=utf-8",
    "thread.js": JAVASCRIPT,
}

files! {
    CHAOS_FILES, "The page of `antiphon chaos`, which nothing else serves.":
    "chaos-chart.js": JAVASCRIPT,
    "chaos-model.js": JAVASCRIPT,
    "chaos.css": "text/css; charset=utf-8",
    "chaos.html": "text/html; charset=utf-8",
    "chaos.js": JAVASCRIPT,
}

/// The pages and what they load.
pub(crate) fn routes() -> Router {
    Router::new()
        .route("/", get(shell))
        .route("/library", get(shell))
        .route("/stories/{story}", get(shell))
        .route("/parts/{part}", get(shell))
        .route("/web/{file}", get(file))
}

/// The page of `antiphon chaos` and what it loads beside the files of all pages.
pub(crate) fn chaos_routes() -> Router {
    let mut routes = Router::new().route("/chaos", get(async || answer(CHAOS_FILES, "chaos.html")));
    for (name, ..) in CHAOS_FILES {
        routes = routes.route(&format!("/web/{name}"), get(async || answer(CHAOS_FILES, name)));
    }
    routes
}

/// One page for all: it reads its address itself.
async fn shell() -> Response {
    answer(FILES, "index.html")
}

async fn file(Path(name): Path<String>) -> Response {
    answer(FILES, &name)
}

fn answer(files: &[File], name: &str) -> Response {
    let Some((_, kind, content)) = files.iter().find(|(file, ..)| *file == name) else {
        return (StatusCode::NOT_FOUND, "there is no such page\n").into_response();
    };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::REFERRER_POLICY, HeaderValue::from_static("same-origin")),
        // The files change with the program, and are small: ask each time.
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    (headers, *content).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_file_is_served() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../web");
        let mut found: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| {
                !name.ends_with(".test.js") && !["package.json", "starter.json"].contains(&name.as_str())
            })
            .collect();
        let mut served: Vec<_> =
            FILES.iter().chain(CHAOS_FILES).map(|(name, ..)| (*name).to_owned()).collect();
        found.sort();
        served.sort();
        assert_eq!(served, found);
    }

    #[test]
    fn the_page_of_chaos_is_not_among_all_pages() {
        assert!(FILES.iter().all(|(name, ..)| !name.starts_with("chaos")));
        assert!(CHAOS_FILES.iter().all(|(name, ..)| name.starts_with("chaos")));
    }
}
