//! Why a store could not be opened, in words for the person who has to act.

use std::fmt;

/// Why the store could not be opened. The database's password is in none of them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum OpenError {
    /// What was given is not the address of a database.
    Address(String),
    /// The database does not let us in, or not do what is needed.
    Refused(String),
    /// The database cannot be reached.
    Unreachable(String),
    /// A later version of this program has changed the tables.
    Newer {
        /// The tables' version.
        found: i32,
        /// The latest that this program knows.
        known: i32,
    },
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(why) => {
                write!(
                    f,
                    "the database's address is not usable: {why}. It looks like postgres://user:password@host:5432/name?sslmode=verify-full"
                )
            }
            Self::Refused(why) => write!(f, "the database refuses: {why}. Check user, password, database name and the user's rights"),
            Self::Unreachable(why) => write!(f, "the database cannot be reached: {why}. Check that it runs, the host and the port"),
            Self::Newer { found, known } => {
                write!(f, "the tables are in version {found}, this program knows up to {known}: run the version that changed them")
            }
        }
    }
}

impl std::error::Error for OpenError {}
