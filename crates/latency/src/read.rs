//! Reading the table that an operator writes, with errors that name the line and the mend.

use std::{collections::HashMap, fmt};

use ipnetwork::IpNetwork;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use crate::{
    networks::Networks,
    place::{Figures, Place},
};

/// Largest table file read, in bytes: a line for each of [`NETWORKS_MAX`] networks, with room.
pub const TABLE_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Most networks in a table: some hundred bytes of memory each.
pub const NETWORKS_MAX: usize = 100_000;
/// Largest figure, in milliseconds. What takes longer is no connection.
const MS_MAX: u32 = 60_000;

/// The table as read.
#[derive(Clone, Debug, Default)]
pub struct Table {
    pub(crate) networks: Networks<Place>,
    pub(crate) regions: HashMap<String, Figures>,
    /// The MMDB file to use along with it.
    pub mmdb: Option<MmdbFile>,
}

/// An MMDB file that the table names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MmdbFile {
    /// Its path, relative to the table's folder.
    pub file: String,
    /// The member of its records that holds the region's name, its parts divided by dots; tried before the usual ones.
    pub field: Option<String>,
}

/// Why a table cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub what: String,
    /// What to do.
    pub mend: String,
}

impl fmt::Display for TableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}

impl std::error::Error for TableError {}

impl Table {
    /// How many networks and regions it has.
    pub fn size(&self) -> (usize, usize) {
        (self.networks.len(), self.regions.len())
    }

    /// Regions that networks are in and that have no figures; they are near hubs of the same region alone.
    pub fn regions_without_figures(&self) -> Vec<&str> {
        let named = self.networks.values().filter_map(|place| place.region.as_deref());
        let mut missing: Vec<&str> = named.filter(|region| !self.regions.contains_key(*region)).collect();
        missing.sort_unstable();
        missing.dedup();
        missing
    }
}

/// Reads the text of a table.
pub fn read(text: &str) -> Result<Table, TableError> {
    let reader = Reader { text };
    let parsed = DeTable::parse(text).map_err(|why| TableError {
        line: reader.line(why.span().map_or(0, |span| span.start)),
        what: why.message().trim().to_owned(),
        mend: "Correct the line: the file is TOML, with names that contain dots, colons or slashes in double quotes.".into(),
    })?;
    let mut table = Table::default();
    for (name, value) in parsed.get_ref() {
        match name.get_ref().as_ref() {
            "networks" => reader.networks(value, &mut table)?,
            "regions" => reader.regions(value, &mut table)?,
            "mmdb" => table.mmdb = Some(reader.mmdb(value)?),
            other => {
                let what = format!("'{other}' is not a part of a latency table");
                return Err(reader.error(name, what, "There are [networks], [regions.NAME] and [mmdb]."));
            }
        }
    }
    Ok(table)
}

struct Reader<'a> {
    text: &'a str,
}

impl Reader<'_> {
    fn networks(&self, value: &Spanned<DeValue<'_>>, table: &mut Table) -> Result<(), TableError> {
        for (name, value) in self.table(value)? {
            let network = self.network(name)?;
            let place = match value.get_ref() {
                DeValue::String(region) => Place { region: Some(self.region(value, region)?), figures: Figures::new() },
                DeValue::Table(_) => self.place(value)?,
                _ => return Err(self.error(value, "a network needs a region's name or figures", NETWORK_MEND)),
            };
            if !table.networks.add(network, place) {
                return Err(self.error(name, format!("the network {network} is there twice"), "Leave one of the two out."));
            }
            if table.networks.len() > NETWORKS_MAX {
                let what = format!("there are more than {NETWORKS_MAX} networks");
                return Err(self.error(name, what, "Join neighbouring networks, or use an MMDB file ([mmdb])."));
            }
        }
        Ok(())
    }

    fn network(&self, name: &Spanned<std::borrow::Cow<'_, str>>) -> Result<IpNetwork, TableError> {
        let text = name.get_ref();
        let network: IpNetwork = text.parse().map_err(|_| {
            let mend = "Write an address with the length of its prefix, in quotes: \"10.1.0.0/16\" or \"2001:db8::/32\".";
            self.error(name, format!("'{text}' is not a network"), mend)
        })?;
        if network.ip() != network.network() {
            let mend = format!("Write \"{}/{}\", or \"{}\" for that one address.", network.network(), network.prefix(), network.ip());
            return Err(self.error(name, format!("'{text}' has bits beyond its prefix"), mend));
        }
        Ok(network)
    }

    fn place(&self, value: &Spanned<DeValue<'_>>) -> Result<Place, TableError> {
        let mut place = Place::default();
        for (name, value) in self.table(value)? {
            match (name.get_ref().as_ref(), value.get_ref()) {
                ("region", DeValue::String(region)) => place.region = Some(self.region(value, region)?),
                ("region", _) => return Err(self.error(value, "a region is a name in quotes", NETWORK_MEND)),
                (hub, _) => drop(place.figures.insert(hub.to_ascii_lowercase(), self.milliseconds(hub, value)?)),
            }
        }
        if place == Place::default() {
            return Err(self.error(value, "a network needs a region's name or figures", NETWORK_MEND));
        }
        Ok(place)
    }

    fn region(&self, at: &Spanned<DeValue<'_>>, name: &str) -> Result<String, TableError> {
        if name.trim().is_empty() {
            return Err(self.error(at, "the region has no name", NETWORK_MEND));
        }
        Ok(name.to_ascii_lowercase())
    }

    fn regions(&self, value: &Spanned<DeValue<'_>>, table: &mut Table) -> Result<(), TableError> {
        for (name, value) in self.table(value)? {
            let mut figures = Figures::new();
            for (hub, value) in self.table(value)? {
                figures.insert(hub.get_ref().to_ascii_lowercase(), self.milliseconds(hub.get_ref(), value)?);
            }
            table.regions.insert(name.get_ref().to_ascii_lowercase(), figures);
        }
        Ok(())
    }

    fn milliseconds(&self, hub: &str, value: &Spanned<DeValue<'_>>) -> Result<u32, TableError> {
        let read = match value.get_ref() {
            DeValue::Integer(number) => u32::from_str_radix(&number.as_str().replace('_', ""), number.radix()).ok(),
            _ => None,
        };
        read.filter(|ms| *ms <= MS_MAX).ok_or_else(|| {
            let mend = match value.get_ref() {
                DeValue::Table(_) => format!("Put names that contain dots in quotes: \"{hub}.…\" = 20."),
                _ => format!("Write a whole number from 0 to {MS_MAX}: \"{hub}\" = 20."),
            };
            self.error(value, format!("the figure for '{hub}' is not a number of milliseconds"), mend)
        })
    }

    fn mmdb(&self, value: &Spanned<DeValue<'_>>) -> Result<MmdbFile, TableError> {
        let (mut file, mut field) = (None, None);
        for (name, value) in self.table(value)? {
            match (name.get_ref().as_ref(), value.get_ref()) {
                ("file", DeValue::String(path)) => file = Some(path.to_string()),
                ("field", DeValue::String(path)) => field = Some(path.to_string()),
                (other, _) => return Err(self.error(name, format!("'{other}' says nothing here"), MMDB_MEND)),
            }
        }
        let file = file.ok_or_else(|| self.error(value, "[mmdb] names no file", MMDB_MEND))?;
        Ok(MmdbFile { file, field })
    }

    fn table<'v, 'i>(&self, value: &'v Spanned<DeValue<'i>>) -> Result<&'v DeTable<'i>, TableError> {
        match value.get_ref() {
            DeValue::Table(table) => Ok(table),
            _ => Err(self.error(value, "this must be a table", "Write [networks], [regions.NAME] or [mmdb] above its lines.")),
        }
    }

    fn error<T>(&self, at: &Spanned<T>, what: impl Into<String>, mend: impl Into<String>) -> TableError {
        TableError { line: self.line(at.span().start), what: what.into(), mend: mend.into() }
    }

    fn line(&self, offset: usize) -> usize {
        self.text.bytes().take(offset).filter(|byte| *byte == b'\n').count().saturating_add(1)
    }
}

const NETWORK_MEND: &str = "Write \"10.1.0.0/16\" = \"REGION\", or \"10.1.0.0/16\" = { region = \"REGION\", \"HUB\" = 20 }.";
const MMDB_MEND: &str = "Write file = \"PATH\" and, where the region stands in a member of your own, field = \"NAME\".";

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;
