//! What became of the lines so far.

use serde::{Deserialize, Serialize};

/// Counts of lines by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Made by this import.
    pub created: u64,
    /// There already, as the line says. After an import that was ended by force, its own last ones are among them.
    pub unchanged: u64,
    /// There already, changed to what the line says.
    pub updated: u64,
    /// Not taken; each has a line in the file of errors.
    pub failed: u64,
}

impl Tally {
    /// All lines.
    pub fn all(self) -> u64 {
        self.created.saturating_add(self.unchanged).saturating_add(self.updated).saturating_add(self.failed)
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, more: Self) -> Self {
        Self {
            created: self.created.saturating_add(more.created),
            unchanged: self.unchanged.saturating_add(more.unchanged),
            updated: self.updated.saturating_add(more.updated),
            failed: self.failed.saturating_add(more.failed),
        }
    }

    /// For people.
    pub fn text(self) -> String {
        let Self { created, unchanged, updated, failed } = self;
        let updated = if updated == 0 { String::new() } else { format!("{updated} updated, ") };
        format!("{created} created, {updated}{unchanged} there already, {failed} refused")
    }
}
