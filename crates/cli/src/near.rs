//! The name that was meant, where one is not there.

/// Names less alike than this (Jaro-Winkler, 0 to 1) are not offered: by trial, single slips stay above it and other words below.
const ALIKE_MIN: f64 = 0.85;

/// The name that is most alike, if one is alike enough.
pub fn nearest<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = wanted.to_lowercase();
    let scored = names.map(|name| (strsim::jaro_winkler(&wanted, &name.to_lowercase()), name)).filter(|(alike, _)| *alike >= ALIKE_MIN);
    scored.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_found_and_other_words_are_not() {
        let names = ["press-7", "press-70", "lathe-1", "oven"];
        assert_eq!(nearest("press7", names.into_iter()), Some("press-7"));
        assert_eq!(nearest("Lathe1", names.into_iter()), Some("lathe-1"));
        assert_eq!(nearest("pump", names.into_iter()), None);
        assert_eq!(nearest("x", std::iter::empty()), None);
    }
}
