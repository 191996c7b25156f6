//! What went wrong at the database, by what is to be done about it.

use std::fmt;

use tokio_postgres::Error;

/// What is to be done about a fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A row that was absent has come into being: look again.
    Taken,
    /// The database chose this transaction to give way, and has undone it: try again.
    GaveWay,
    /// The connection, or the server, is in trouble: try again on a new connection.
    Passing,
    /// Trying again would not help.
    Lasting,
}

/// A fault with its words. Only the message is kept: the details of some errors show keys.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// What to do.
    pub kind: Kind,
    /// For the log and for people.
    pub text: String,
}

impl Fault {
    /// A fault of the connection.
    pub fn passing(text: impl Into<String>) -> Self {
        Self { kind: Kind::Passing, text: text.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        match error.as_db_error() {
            Some(said) => {
                let code = said.code().code();
                Self { kind: kind(code), text: format!("{} (SQLSTATE {code})", said.message()) }
            }
            None => {
                // The kind of error alone ("error communicating with the server") does not say why.
                let why = std::error::Error::source(&error).map(|why| format!(": {why}")).unwrap_or_default();
                Self { kind: Kind::Passing, text: format!("{error}{why}") }
            }
        }
    }
}

/// What a SQLSTATE asks for. PostgreSQL's appendix A; CockroachDB and YugabyteDB use the same.
fn kind(code: &str) -> Kind {
    match code {
        "23505" => Kind::Taken,
        // 40003 says that nobody knows whether the transaction took place (CockroachDB uses it so).
        // 25006 is a server that takes reads only: a standby, or a primary that is one no longer. A new connection finds another.
        "40003" | "25006" => Kind::Passing,
        _ => match code.get(..2) {
            Some("40") => Kind::GaveWay,
            // Connection, resources, locks, an operator's intervention, the system below, a fault within.
            Some("08" | "53" | "55" | "57" | "58" | "XX") => Kind::Passing,
            _ => Kind::Lasting,
        },
    }
}

/// Whether a code says that somebody else is making the same table at this moment, or has just made it.
pub fn is_made_twice(error: &Error) -> bool {
    // Unique violation in the catalogue, duplicate table, duplicate object, tuple concurrently updated.
    error.code().is_some_and(|code| matches!(code.code(), "23505" | "42P07" | "42710" | "XX000" | "40001"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_told_apart_by_what_helps() {
        for code in ["40001", "40P01"] {
            assert_eq!(kind(code), Kind::GaveWay, "{code}");
        }
        for code in ["40003", "57P01", "57P03", "57014", "08006", "53300", "25006"] {
            assert_eq!(kind(code), Kind::Passing, "{code}");
        }
        assert_eq!(kind("23505"), Kind::Taken);
        for code in ["42P01", "42501", "28P01", "22003", ""] {
            assert_eq!(kind(code), Kind::Lasting, "{code}");
        }
    }
}
