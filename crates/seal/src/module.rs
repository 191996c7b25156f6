//! Which cryptographic module this program was built on.

use serde::Serialize;

/// The module that does all cryptography of ours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Module {
    /// Its name.
    pub name: &'static str,
    /// Its version, as it tells it itself.
    pub version: String,
    /// Whether it is the validated build, has passed its self-tests, and is in FIPS mode.
    pub fips: bool,
}

impl Module {
    /// What is linked, as it is at this moment.
    pub fn in_use() -> Self {
        let name = if cfg!(feature = "fips") { "AWS-LC FIPS module" } else { "AWS-LC" };
        Self { name, version: aws_lc_rs::awslc_version().to_owned(), fips: aws_lc_rs::try_fips_mode().is_ok() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fips_mode_is_on_just_where_it_was_built_in() {
        let module = Module::in_use();
        assert_eq!(module.fips, cfg!(feature = "fips"), "{module:?}");
        assert!(module.version.contains('.'), "{module:?}");
    }
}
