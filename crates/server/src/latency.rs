//! Loading what an operator knows of latency: the table and the MMDB file that it names.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use tracing::{info, warn};
use usher_latency::{Geo, LatencyMap, MMDB_BYTES_MAX, MmdbFile, Probes, TABLE_BYTES_MAX, Table, read};

use crate::StartError;

/// The latency map, and the place where probes write down what they measure for it.
pub fn load(table: Option<&Path>) -> Result<(LatencyMap, Arc<Probes>), StartError> {
    let probes = Arc::new(Probes::default());
    let Some(path) = table else { return Ok((LatencyMap::new(Table::default(), None, Arc::clone(&probes)), probes)) };
    let bytes = bytes_of(path, TABLE_BYTES_MAX, "the latency table")?;
    let text = String::from_utf8(bytes)
        .map_err(|_| StartError::new(format!("the latency table {} is not UTF-8 text", path.display()), "Save it as UTF-8."))?;
    let table = read(&text).map_err(|why| StartError::new(format!("the latency table {}, {why}", path.display()), why.mend))?;
    let geo = table.mmdb.as_ref().map(|named| open_mmdb(named, path)).transpose()?;
    let (networks, regions) = table.size();
    info!(networks, regions, mmdb = geo.is_some(), "latency table {} read", path.display());
    let lonely = table.regions_without_figures();
    if !lonely.is_empty() {
        let mend = "Give the regions figures under [regions.NAME], or leave it: they are then near hubs of the same region only.";
        warn!(check = "latency.region", regions = lonely.join(", "), mend, "networks are in regions without figures");
    }
    Ok((LatencyMap::new(table, geo, Arc::clone(&probes)), probes))
}

fn open_mmdb(named: &MmdbFile, table: &Path) -> Result<Geo, StartError> {
    let path: PathBuf = table.parent().unwrap_or(Path::new("")).join(&named.file);
    let bytes = bytes_of(&path, MMDB_BYTES_MAX, "the MMDB file")?;
    Geo::open(bytes, named.field.as_deref()).map_err(|why| {
        let next = "Name an unpacked .mmdb file in [mmdb] of the latency table.";
        StartError::new(format!("the MMDB file {} cannot be read: {why}", path.display()), next)
    })
}

fn bytes_of(path: &Path, max: u64, what: &str) -> Result<Vec<u8>, StartError> {
    let failed = |error: io::Error| {
        let next = "Check the path (--latency, or latency in the configuration; the MMDB file's is relative to the table's folder) and who may read it.";
        StartError::new(format!("{what} {} cannot be read: {error}", path.display()), next)
    };
    let size = fs::metadata(path).map_err(failed)?.len();
    if size > max {
        let next = "Use a smaller file: join neighbouring networks, or take a database of countries.";
        return Err(StartError::new(format!("{what} {} has {size} bytes, at most {max} are read", path.display()), next));
    }
    fs::read(path).map_err(failed)
}
