//! The files of the pages, built into the binary.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

/// A file.
#[derive(Clone, Copy, Debug)]
pub struct Asset {
    /// Its media type.
    pub media_type: &'static str,
    /// Its contents.
    pub text: &'static str,
}

impl Asset {
    /// Changes with the contents, so that browsers ask again and are told that nothing changed.
    pub fn etag(&self) -> String {
        let mut hasher = DefaultHasher::new();
        self.text.hash(&mut hasher);
        format!("\"{:016x}\"", hasher.finish())
    }
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const MODULE: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

macro_rules! files {
    ($($path:literal $kind:ident),* $(,)?) => {
        /// Every file under its path below `/console/`.
        const FILES: &[(&str, Asset)] = &[$(($path, Asset { media_type: $kind, text: include_str!(concat!("../assets/", $path)) })),*];
    };
}

files! {
    "index.html" HTML,
    "style.css" CSS,
    "layout.css" CSS,
    "parts.css" CSS,
    "icon.svg" SVG,
    "app.js" MODULE,
    "api.js" MODULE,
    "dom.js" MODULE,
    "parts.js" MODULE,
    "words.js" MODULE,
    "chart.js" MODULE,
    "story.js" MODULE,
    "lines.js" MODULE,
    "theme.js" MODULE,
    "pages/sign-in.js" MODULE,
    "pages/services.js" MODULE,
    "pages/service.js" MODULE,
    "pages/hubs.js" MODULE,
    "pages/access.js" MODULE,
    "pages/enrollments.js" MODULE,
    "pages/enrollment.js" MODULE,
    "pages/form.js" MODULE,
    "pages/finder.js" MODULE,
    "pages/import.js" MODULE,
    "pages/registrations.js" MODULE,
    "pages/device.js" MODULE,
    "pages/feed.js" MODULE,
    "pages/trends.js" MODULE,
}

/// The file at a path below `/console/`; the pages themselves at the empty one.
pub fn asset(path: &str) -> Option<Asset> {
    let path = if path.is_empty() { "index.html" } else { path };
    FILES.iter().find(|(name, _)| *name == path).map(|(_, asset)| *asset)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_pages_load_nothing_from_elsewhere_and_have_no_code_in_them() {
        let html = asset("").unwrap().text;
        for forbidden in ["<style", " style=", "onclick", "onload", "javascript:", "http://", "https://", "<script>"] {
            assert!(!html.contains(forbidden), "{forbidden}");
        }
        for (path, asset) in FILES {
            for forbidden in
                ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "@import", "url(http"]
            {
                assert!(!asset.text.contains(forbidden), "{forbidden} in {path}");
            }
        }
    }

    #[test]
    fn every_module_that_is_imported_is_there() {
        for (path, asset) in FILES.iter().filter(|(path, _)| path.ends_with(".js")) {
            let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
            for part in asset.text.split(" from \"").skip(1) {
                let named = part.split('"').next().unwrap();
                let found = match named.strip_prefix("../") {
                    Some(above) => above.to_owned(),
                    None if folder.is_empty() => named.trim_start_matches("./").to_owned(),
                    None => format!("{folder}/{}", named.trim_start_matches("./")),
                };
                assert!(super::asset(&found).is_some(), "{path} imports {named}");
            }
        }
    }

    #[test]
    fn contents_have_an_etag_of_their_own() {
        assert_ne!(asset("app.js").unwrap().etag(), asset("dom.js").unwrap().etag());
        assert!(asset("../Cargo.toml").is_none() && asset("pages/").is_none());
    }
}
