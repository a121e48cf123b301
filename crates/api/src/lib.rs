//! What the HTTP faces of the three services have in common, and nothing of any service.
//!
//! Every refusal is a problem document (RFC 9457) that names the field, header or parameter at fault and the
//! limit that it broke. Extractors here never answer with anything else, and [`problem::problems_only`] turns what
//! axum itself refuses (unknown route, wrong method) into the same shape.
//!
//! **Absent by design:** no clock and no entropy (time and random bits are parameters), no storage, no knowledge
//! of stories, comments or users, no environment, no secrets in any `Debug`.
//!
//! | module | holds |
//! |---|---|
//! | [`problem`] | [`Problem`], the list of its kinds, the layer that leaves no other kind of refusal |
//! | [`body`], [`params`] | strict extractors: [`Json`], [`Path`], [`Query`] |
//! | [`text`] | what a name, a title, a comment, an avatar may be |
//! | [`idempotency`], [`id`] | the client's key, and the ids and fingerprints derived from it |
//! | [`keys`], [`token`], [`root`], [`auth`] | keys, signed tokens, certificates, the [`Caller`] of a request |
//! | [`cursor`] | opaque positions in a list, and the size of a page |
//! | [`openapi`] | serving the generated description, and its reusable parts |
//!
//! ```
//! use antiphon_api::{Json, Problem, problem, text};
//! use axum::{Router, routing::post};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Deserialize)]
//! #[serde(deny_unknown_fields)]
//! struct Rename { name: String }
//!
//! #[derive(Serialize)]
//! struct Renamed { name: String }
//!
//! async fn rename(Json(request): Json<Rename>) -> Result<Json<Renamed>, Problem> {
//!     let name = text::check_name("name", &request.name)?;
//!     Ok(Json(Renamed { name }))
//! }
//!
//! let router: Router = problem::problems_only(Router::new().route("/v1/name", post(rename)));
//! ```
//!
#![doc = include_str!("../PROBLEMS.md")]

pub mod auth;
pub mod body;
pub mod cursor;
mod encoding;
pub mod id;
pub mod idempotency;
mod key_ring;
pub mod keys;
mod kind;
pub mod openapi;
pub mod params;
mod path;
pub mod problem;
mod refusal;
pub mod root;
pub mod text;
pub mod token;
pub mod views;

pub use auth::{Caller, Keys};
pub use body::Json;
pub use cursor::{Cursor, PageQuery};
pub use id::{derive_id, fingerprint};
pub use idempotency::IdempotencyKey;
pub use key_ring::{KeyRefused, KeyRing};
pub use keys::{PublicKey, SigningKey};
pub use params::{NoQuery, Path, Query};
pub use problem::Problem;
pub use token::{Claims, TokenError};
