//! The table, read right and wrong.

#![allow(clippy::unwrap_used)]
use super::*;

#[test]
fn a_whole_table_is_read() {
    let text = "[networks]\n\"10.1.0.0/16\" = \"Plant-A\"\n\"2001:db8::/32\" = { region = \"west\", \"Hub.example\" = 4 }\n\
                \"192.0.2.7\" = { west = 9 }\n[regions.plant-a]\n\"hub.example\" = 20\nwest = 1_000\n[mmdb]\nfile = \"city.mmdb\"\nfield = \"site.name\"\n";
    let table = read(text).unwrap();
    assert_eq!(table.size(), (3, 1));
    assert_eq!(table.regions["plant-a"], Figures::from([("hub.example".into(), 20), ("west".into(), 1_000)]));
    let (network, place) = table.networks.find("192.0.2.7".parse().unwrap()).unwrap();
    assert_eq!((network.prefix(), &place.region), (32, &None));
    assert_eq!(table.regions_without_figures(), ["west"]);
    assert_eq!(table.mmdb, Some(MmdbFile { file: "city.mmdb".into(), field: Some("site.name".into()) }));
    assert_eq!(read("").unwrap().size(), (0, 0));
}

#[test]
fn errors_name_the_line_and_the_mend() {
    for (text, line, what, mend) in [
        ("[networks]\n\"10.1.0.0/33\" = \"a\"", 2, "not a network", "10.1.0.0/16"),
        ("[networks]\n\n\"10.1.2.0/16\" = \"a\"", 3, "beyond its prefix", "\"10.1.0.0/16\""),
        ("[networks]\n\"10.0.0.0/8\" = 7", 2, "region's name", "REGION"),
        ("[networks]\n\"10.0.0.0/8\" = {}", 2, "region's name", "REGION"),
        ("[networks]\n\"10.0.0.0/8\" = \"\"", 2, "no name", "REGION"),
        ("[networks]\n\"::/0\" = \"a\"\n\"0::/0\" = \"b\"", 2, "twice", "Leave one"),
        ("[regions.a]\nhub.example = 5", 2, "'hub'", "quotes"),
        ("[regions.a]\n\"hub\" = -1", 2, "'hub'", "whole number"),
        ("[regions.a]\n\"hub\" = 60001", 2, "'hub'", "60000"),
        ("[regions]\na = 5", 2, "must be a table", "[regions.NAME]"),
        ("[mmdb]\nfield = \"x\"", 1, "no file", "file ="),
        ("[mmdb]\nfile = \"x\"\npath = \"y\"", 3, "'path'", "file ="),
        ("[network]\n", 1, "'network'", "[networks]"),
        ("[regions.a]\n\"hub\" = 5\n\"hub\" = 6", 3, "duplicate", "TOML"),
        ("[regions.a\n", 1, "", "TOML"),
    ] {
        let error = read(text).unwrap_err();
        assert_eq!(error.line, line, "{text}: {error:?}");
        assert!(error.what.contains(what) && error.mend.contains(mend), "{text}: {error:?}");
    }
}
