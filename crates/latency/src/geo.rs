//! Regions by client address from an MMDB file, MaxMind's format (https://maxmind.github.io/MaxMind-DB/), also for files of one's own.

use std::{
    fmt,
    net::IpAddr,
    panic::{AssertUnwindSafe, catch_unwind},
};

use maxminddb::Reader;

use crate::record::Field;

/// Largest file read, in bytes; it is held in memory. City databases of the world have about a tenth of this.
pub const MMDB_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// The member tried where the operator names none.
const USUAL_FIELD: &str = "region";

/// A file that is no MMDB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GeoError(String);

impl fmt::Display for GeoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for GeoError {}

/// An MMDB file in memory.
pub struct Geo {
    reader: Reader<Vec<u8>>,
    field: Vec<String>,
}

impl fmt::Debug for Geo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Geo({}, field {})", self.reader.metadata.database_type, self.field.join("."))
    }
}

impl Geo {
    /// Reads the file's bytes. `field` names the member with the region, its parts divided by dots.
    pub fn open(bytes: Vec<u8>, field: Option<&str>) -> Result<Self, GeoError> {
        let opened = unharmed(|| Reader::from_source(bytes)).ok_or_else(|| GeoError("the file is damaged".into()))?;
        let reader = opened.map_err(|why| GeoError(why.to_string()))?;
        Ok(Self { reader, field: field.unwrap_or(USUAL_FIELD).split('.').map(str::to_owned).collect() })
    }

    /// The names of the regions that the address is in, narrowest first, in lower case: the operator's own member, then city,
    /// subdivision (`us-wa`), country (`us`) and continent (`na`), as MaxMind's and most other databases have them. None for an address
    /// that is not in the file.
    pub fn regions(&self, address: IpAddr) -> Vec<String> {
        unharmed(|| self.look_up(address)).unwrap_or_default()
    }

    fn look_up(&self, address: IpAddr) -> Vec<String> {
        let read = || self.reader.lookup(address).and_then(|found| found.decode::<Field>());
        let Ok(Some(record)) = Field::within_bounds(read) else { return Vec::new() };
        let own: Vec<&str> = self.field.iter().map(String::as_str).collect();
        let country = record.text(&["country", "iso_code"]);
        let subdivision = record.text(&["subdivisions", "0", "iso_code"]);
        let names = [
            record.text(&own).map(str::to_owned),
            record.text(&["city", "names", "en"]).map(str::to_owned),
            country.zip(subdivision).map(|(country, part)| format!("{country}-{part}")),
            country.map(str::to_owned),
            record.text(&["continent", "code"]).map(str::to_owned),
        ];
        names.into_iter().flatten().filter(|name| !name.is_empty()).map(|name| name.to_ascii_lowercase()).collect()
    }
}

/// What `work` gives, or `None` where it panics: the library counts on what a file says of itself, and a damaged one can mislead it.
fn unharmed<T>(work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Written by `mmdb_writer` (PyPI): 192.0.2.0/25 `region`, 192.0.2.128/25 `site.name` and a `region` that is a number,
    /// 198.51.100.0/24 and 2001:db8::/32 as MaxMind writes cities and countries.
    const FILE: &[u8] = include_bytes!("../tests/data/regions.mmdb");

    fn regions(field: Option<&str>, address: &str) -> Vec<String> {
        Geo::open(FILE.to_vec(), field).unwrap().regions(address.parse().unwrap())
    }

    #[test]
    fn the_operators_member_comes_first_then_the_usual_ones_narrowest_first() {
        assert_eq!(regions(None, "192.0.2.7"), ["plant-a"]);
        assert_eq!(regions(Some("site.name"), "192.0.2.200"), ["plant-b"]);
        assert_eq!(regions(None, "198.51.100.1"), ["seattle", "us-wa", "us", "na"]);
        assert_eq!(regions(None, "2001:db8::1"), ["de", "eu"]);
    }

    #[test]
    fn what_is_not_there_or_of_another_shape_is_passed_over() {
        for address in ["192.0.2.200", "203.0.113.1", "::1"] {
            assert!(regions(None, address).is_empty(), "{address}");
        }
    }

    #[test]
    fn a_damaged_file_is_refused_or_says_less() {
        assert!(Geo::open(b"no database".to_vec(), None).is_err());
        for place in 0..FILE.len() {
            let mut damaged = FILE.to_vec();
            damaged.iter_mut().skip(place).take(1).for_each(|byte| *byte ^= 0xff);
            if let Ok(geo) = Geo::open(damaged, None) {
                geo.regions("198.51.100.1".parse().unwrap());
                geo.regions("2001:db8::1".parse().unwrap());
            }
        }
    }

    fn look_with_pointers_to_the_start() {
        // Every place of the file in turn becomes a pointer to the first record, and so to itself or to what holds it.
        let metadata = FILE.windows(14).position(|bytes| bytes == b"\xab\xcd\xefMaxMind.com").unwrap();
        for place in 0..metadata - 1 {
            let mut damaged = FILE.to_vec();
            damaged.iter_mut().skip(place).zip([0x20, 0]).for_each(|(byte, pointer)| *byte = pointer);
            let Ok(geo) = Geo::open(damaged, Some("none")) else { continue };
            for address in ["192.0.2.7", "192.0.2.200", "198.51.100.1", "2001:db8::1"] {
                geo.regions(address.parse().unwrap());
            }
        }
    }

    #[test]
    fn pointers_that_lead_in_a_circle_are_followed_to_an_end() {
        // The library follows 512 pointers: 256 KiB of stack when optimised, much more when not.
        let looking = std::thread::Builder::new().stack_size(64 * 1024 * 1024).spawn(look_with_pointers_to_the_start);
        looking.unwrap().join().unwrap();
    }
}
