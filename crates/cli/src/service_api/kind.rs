//! Individual enrollments and enrollment groups, which the API tells apart by their paths and by the name of their ID.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One device each.
    Individual,
    /// Any number of devices.
    Group,
}

impl Kind {
    /// The collection's name in paths and bulk bodies.
    pub fn collection(self) -> &'static str {
        match self {
            Self::Individual => "enrollments",
            Self::Group => "enrollmentGroups",
        }
    }

    /// A record's path, whatever characters its ID has.
    pub fn path(self, id: &str) -> String {
        format!("/{}/{}", self.collection(), escaped(id))
    }

    /// The path that lists them.
    pub fn query_path(self) -> String {
        format!("/{}/query", self.collection())
    }

    /// The member that holds the ID.
    pub fn id_member(self) -> &'static str {
        match self {
            Self::Individual => "registrationId",
            Self::Group => "enrollmentGroupId",
        }
    }

    /// What people call one.
    pub fn noun(self) -> &'static str {
        match self {
            Self::Individual => "enrollment",
            Self::Group => "enrollment group",
        }
    }

    /// The same with its article.
    pub fn noun_with_article(self) -> &'static str {
        match self {
            Self::Individual => "an enrollment",
            Self::Group => "an enrollment group",
        }
    }

    /// The word on usher's command line.
    pub fn command(self) -> &'static str {
        match self {
            Self::Individual => "enrollment",
            Self::Group => "group",
        }
    }
}

/// A path segment.
pub fn escaped(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_characters_stay_in_their_segment() {
        assert_eq!(Kind::Individual.path("a:b/c?d%é"), "/enrollments/a%3Ab%2Fc%3Fd%25%C3%A9");
        assert_eq!(Kind::Group.query_path(), "/enrollmentGroups/query");
    }
}
