//! The kinds of problem: one per reaction of a client. A new kind is justified only by a new reaction.

use axum::http::StatusCode;

/// What a client can do about a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Change the request.
    BadRequest,
    /// Sign in, or renew the token.
    Unauthenticated,
    /// Let it be: it is someone else's.
    Forbidden,
    /// Look elsewhere.
    NotFound,
    /// Use another method.
    MethodNotAllowed,
    /// Read what is stored, then decide.
    Conflict,
    /// Forget it: it will not come back.
    Gone,
    /// Send less.
    TooLarge,
    /// Send JSON.
    UnsupportedMediaType,
    /// Send the same again; if that fails too, call for help.
    Internal,
    /// Send the same again, later.
    Unavailable,
}

/// One line of the table of kinds.
struct Entry {
    kind: Kind,
    status: StatusCode,
    slug: &'static str,
    title: &'static str,
    advice: &'static str,
}

const fn entry(
    kind: Kind,
    status: StatusCode,
    slug: &'static str,
    title: &'static str,
    advice: &'static str,
) -> Entry {
    Entry { kind, status, slug, title, advice }
}

/// Slugs are published: they are never renamed.
const INTERNAL: Entry = entry(
    Kind::Internal,
    StatusCode::INTERNAL_SERVER_ERROR,
    "internal",
    "failed on our side",
    "send the same request again, with the same Idempotency-Key; if it goes on, tell the operator",
);

#[rustfmt::skip]
const TABLE: &[Entry] = &[
    entry(Kind::BadRequest, StatusCode::BAD_REQUEST, "bad-request", "not understood",
        "change what field and detail name, then send it again"),
    entry(Kind::Unauthenticated, StatusCode::UNAUTHORIZED, "unauthenticated", "who is asking?",
        "create a user or renew the token, then send it again with authorization: Bearer"),
    entry(Kind::Forbidden, StatusCode::FORBIDDEN, "forbidden", "not yours to do",
        "leave it: only its owner may do this"),
    entry(Kind::NotFound, StatusCode::NOT_FOUND, "not-found", "nothing here",
        "check the address; what was made elsewhere a moment ago may still be on its way"),
    entry(Kind::MethodNotAllowed, StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "not with this method",
        "use one of the methods that the allow header names"),
    entry(Kind::Conflict, StatusCode::CONFLICT, "conflict", "contradicts what is stored",
        "read what is stored; a different body needs an Idempotency-Key of its own"),
    entry(Kind::Gone, StatusCode::GONE, "gone", "no longer here",
        "forget it: it will not come back"),
    entry(Kind::TooLarge, StatusCode::PAYLOAD_TOO_LARGE, "too-large", "too large",
        "send at most limit bytes"),
    entry(Kind::UnsupportedMediaType, StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", "not JSON",
        "send the body as JSON with content-type: application/json"),
    INTERNAL,
    entry(Kind::Unavailable, StatusCode::SERVICE_UNAVAILABLE, "unavailable", "not yet",
        "send the same request again after the seconds of the retry-after header"),
];

impl Kind {
    fn entry(self) -> &'static Entry {
        TABLE.iter().find(|entry| entry.kind == self).unwrap_or(&INTERNAL)
    }

    /// Every kind, in the order of the statuses.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|entry| entry.kind)
    }

    /// The kind that is answered with this status.
    pub fn of_status(status: StatusCode) -> Option<Self> {
        TABLE.iter().find(|entry| entry.status == status).map(|entry| entry.kind)
    }

    /// The status that it is answered with.
    pub fn status(self) -> StatusCode {
        self.entry().status
    }

    /// The name for good, as in `/problems/not-found`.
    pub fn slug(self) -> &'static str {
        self.entry().slug
    }

    /// The `type` of the document.
    pub fn uri(self) -> String {
        format!("/problems/{}", self.slug())
    }

    /// The `title` of the document.
    pub fn title(self) -> &'static str {
        self.entry().title
    }

    /// What a client does about it.
    pub fn advice(self) -> &'static str {
        self.entry().advice
    }

    /// The table of kinds as a page of Markdown, which this crate's front page shows.
    pub fn markdown() -> String {
        let head = "## Kinds of problem\n\n| type | status | title | what to do |\n|---|---|---|---|\n";
        TABLE.iter().fold(head.to_owned(), |page, Entry { status, slug, title, advice, .. }| {
            page + &format!("| `/problems/{slug}` | {} | {title} | {advice} |\n", status.as_u16())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_front_page_shows_the_table() {
        assert_eq!(include_str!("../PROBLEMS.md"), Kind::markdown(), "PROBLEMS.md is Kind::markdown()");
    }

    #[test]
    fn kinds_statuses_and_slugs_are_one_to_one() {
        for kind in Kind::all() {
            assert_eq!(Kind::of_status(kind.status()), Some(kind));
            assert_eq!(
                TABLE.iter().filter(|entry| entry.slug == kind.slug() || entry.kind == kind).count(),
                1
            );
        }
        assert!(TABLE.is_sorted_by_key(|entry| entry.status));
    }
}
