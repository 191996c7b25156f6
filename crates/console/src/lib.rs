//! The web console: pages for operators, and everything that is decided about them without I/O.
//!
//! The pages are files in `assets/`, built into the binary: HTML, one style sheet and ES modules, without a build step and without anything
//! from elsewhere. They reach the server under `/console/api/` only, where a session stands for the administrator; no key or token is
//! in the browser unless the operator asks to see it. What is decided lives here as pure functions and states: who may do what with which
//! session ([`session`], [`guard`]), where a request leads ([`route`]), what is remembered of attempts for the feed and the plots ([`feed`],
//! [`trends`]). `server/src/console` does the rest.

pub mod answer;
mod assets;
pub mod feed;
pub mod guard;
pub mod oidc;
pub mod route;
pub mod session;
pub mod trends;

pub use assets::{Asset, asset};
pub use route::Route;

/// Where the console is.
pub const PATH: &str = "/console/";

/// Whether a path belongs to the console.
pub fn claims(path: &str) -> bool {
    path == "/console" || path.starts_with(PATH)
}
