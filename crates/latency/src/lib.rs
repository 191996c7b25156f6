//! How far a device is from each hub, for allocation by lowest latency.
//!
//! Three sources, asked in this order: the operator's table by network, an MMDB file by client address, and this node's own probes of the
//! hubs, since a device is presumed to be near the node that it reached. Everything here is a look-up over values in memory: reading
//! files and connecting to hubs is the server's part.

mod geo;
mod map;
mod networks;
mod place;
mod probes;
mod read;
mod record;
mod target;

pub use geo::{Geo, GeoError, MMDB_BYTES_MAX};
pub use map::{Figure, LatencyMap, Origin};
pub use probes::Probes;
pub use read::{MmdbFile, TABLE_BYTES_MAX, Table, TableError, read};
pub use target::{Target, target};
