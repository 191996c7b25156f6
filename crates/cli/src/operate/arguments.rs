//! What can be said of services, hubs and usage.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::service_keys::ServiceKeys;

/// Which installation is operated.
#[derive(Args)]
#[command(after_help = "Without --url the running `usher dev` of this folder is used (.usher/dev.json).")]
pub struct Reach {
    /// State folder of a running `usher dev`, for what is not said otherwise
    #[arg(long, value_name = "DIR", default_value = ".usher")]
    pub state: PathBuf,
    /// The management API, https://host[:port]
    #[arg(long, requires = "trust")]
    pub url: Option<String>,
    /// Its token; better in the environment as USHER_TOKEN, where other users of the machine do not see it
    #[arg(long)]
    pub token: Option<String>,
    /// Trusted root certificate, PEM
    #[arg(long, value_name = "FILE")]
    pub trust: Option<PathBuf>,
    /// Print JSON, as the management API tells it
    #[arg(long)]
    pub json: bool,
}

#[derive(Subcommand)]
pub enum ServiceCommand {
    /// All provisioning services
    List {
        #[command(flatten)]
        reach: Reach,
    },
    /// One service with its hubs and policies
    Show {
        /// Its name
        name: String,
        /// Show keys and connection strings
        #[arg(long)]
        keys: bool,
        #[command(flatten)]
        reach: Reach,
    },
    /// Make a service with an ID scope of its own
    Create(Box<Create>),
    /// Change tags or the allocation policy
    Update {
        /// Its name
        name: String,
        /// Tag to set; without a value, to remove; repeat for several
        #[arg(long = "tag", value_name = "NAME=VALUE", value_parser = parse_tag)]
        tags: Vec<(String, String)>,
        /// How a hub is chosen unless an enrollment says otherwise
        #[arg(long, value_enum)]
        allocation: Option<Allocation>,
        #[command(flatten)]
        reach: Reach,
    },
    /// Show a service's access policies with their connection strings; make, change and delete them
    Keys(ServiceKeys),
    /// Delete a service with its enrollments and registrations; devices stay on their hubs
    Delete {
        /// Its name
        name: String,
        /// Really
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        reach: Reach,
    },
}

#[derive(Args)]
pub struct Create {
    /// Its name: 3 to 50 letters, digits and hyphens
    pub name: String,
    /// Resource group
    #[arg(long, default_value = "usher")]
    pub group: String,
    /// Where it is said to be
    #[arg(long, default_value = "local")]
    pub location: String,
    /// Tag; repeat for several
    #[arg(long = "tag", value_name = "NAME=VALUE", value_parser = parse_tag)]
    pub tags: Vec<(String, String)>,
    /// How a hub is chosen unless an enrollment says otherwise
    #[arg(long, value_enum, default_value_t = Allocation::Hashed)]
    pub allocation: Allocation,
    /// ID scope that its devices have already [default: generated]
    #[arg(long, value_name = "SCOPE")]
    pub id_scope: Option<String>,
    /// Host name of its service API [default: NAME.localhost with `usher dev`]
    #[arg(long, value_name = "HOST")]
    pub host_name: Option<String>,
    #[command(flatten)]
    pub reach: Reach,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum Allocation {
    /// Evenly by weight
    Hashed,
    /// To the nearest hub
    GeoLatency,
    /// To the hub that the enrollment names
    Static,
}

impl Allocation {
    /// The management API's word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Hashed => "Hashed",
            Self::GeoLatency => "GeoLatency",
            Self::Static => "Static",
        }
    }
}

/// Which service is meant.
#[derive(Args)]
pub struct Of {
    /// The service [default: that of dev.json, or the only one]
    #[arg(long, value_name = "NAME")]
    pub service: Option<String>,
    #[command(flatten)]
    pub reach: Reach,
}

#[derive(Subcommand)]
pub enum HubCommand {
    /// The hubs that a service assigns devices to
    List {
        #[command(flatten)]
        of: Of,
    },
    /// Link a hub
    #[command(after_help = "Examples:\n  usher hub link localhost --region local\n  \
        usher hub link 'HostName=hub.example;SharedAccessKeyName=iothubowner;SharedAccessKey=…' --region west --weight 3\n  \
        usher hub link - --region west < connection-string.txt")]
    Link {
        /// Connection string, the name of an embedded hub, or - to read one line from standard input
        hub: String,
        /// The region that the hub is in
        #[arg(long)]
        region: String,
        /// Its share under the hashed policy, 0 to 1000; 0 takes none
        #[arg(long, default_value_t = 1)]
        weight: u32,
        /// Only for enrollments that name it
        #[arg(long)]
        not_by_policy: bool,
        #[command(flatten)]
        of: Of,
    },
    /// Change how a linked hub is used
    Update {
        /// Its host name
        hub: String,
        /// Its share under the hashed policy, 0 to 1000; 0 takes none
        #[arg(long)]
        weight: Option<u32>,
        /// The region that the hub is in
        #[arg(long)]
        region: Option<String>,
        /// Whether the service's allocation policy considers it
        #[arg(long, value_name = "true|false")]
        by_policy: Option<bool>,
        /// New connection string, or - to read one line from standard input
        #[arg(long, value_name = "TEXT")]
        connection_string: Option<String>,
        #[command(flatten)]
        of: Of,
    },
    /// No longer assign devices to a hub; those on it stay
    Unlink {
        /// Its host name
        hub: String,
        #[command(flatten)]
        of: Of,
    },
}

#[derive(Args)]
pub struct Explain {
    /// The device's registration ID
    pub registration_id: String,
    #[command(flatten)]
    pub of: Of,
}

#[derive(Args)]
pub struct Usage {
    /// One service [default: all]
    #[arg(long, value_name = "NAME")]
    pub service: Option<String>,
    /// Months to show, at most 36
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u8).range(1..=36))]
    pub months: u8,
    #[command(flatten)]
    pub reach: Reach,
}

fn parse_tag(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    if name.is_empty() { Err("a tag is written NAME=VALUE".into()) } else { Ok((name.to_owned(), value.to_owned())) }
}
