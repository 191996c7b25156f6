//! Provisioning: proves a device, decides where it goes, and takes it there through the ports.
//!
//! `plan`, `question`, `transition` and `draft` decide and touch nothing; `engine`, `worker` and `takeover` load, let them decide, save, and
//! then act. A registration that was accepted is finished by whichever node lives.

mod accept;
mod answer;
mod ask;
mod assign;
mod certify;
mod claim;
mod csr;
mod denial;
mod draft;
mod engine;
mod journal;
mod look_up;
mod plan;
mod prove;
mod question;
mod refusal;
mod register_body;
mod story;
mod takeover;
mod tell;
mod tell_place;
mod throttle;
mod tpm;
mod transition;
mod worker;

pub use claim::{Claim, Evidence, TpmKeysShown, Transport};
pub use denial::Denial;
pub use engine::{Engine, Ports, Reply};
pub use journal::{Journal, Watcher};
pub use takeover::Abandoned;
