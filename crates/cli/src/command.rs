//! What can be said on the command line.

use std::{net::IpAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};
use usher_device::Transport;
use usher_domain::{HubName, IdScope};
use usher_server::RemoteLink;

use crate::copies::{Backup, Check, Migrate, Restore};
use crate::enroll::{GroupSettings, IndividualSettings, RecordCommand};
use crate::oidc::OidcArguments;
use crate::operate::{
    AuditCommand, CaCommand, CertificateCommand, Explain, HubCommand, KeysCommand, RegistrationCommand, ServiceCommand, Usage,
};
use crate::pages::{Completions, Man};

/// usher shows each device to its seat: a self-hosted Device Provisioning Service, wire-compatible with Azure IoT Hub DPS.
#[derive(Parser)]
#[command(name = "usher", version, about, propagate_version = true)]
pub struct Cli {
    /// None shows how to begin.
    #[command(subcommand)]
    pub command: Option<Command>,
}

#[derive(Subcommand)]
pub enum Command {
    /// Run a complete service in one process: device endpoint, service API, an embedded hub and a dev CA
    Dev(Dev),
    /// Run one node of an installation by a configuration file, alone or with others on one PostgreSQL
    Serve(Serve),
    /// Provision simulated devices by every attestation kind and transport, and show what became of them
    Demo(Demo),
    /// Tell why a device got in, or not: its last attempts, check by check
    Explain(Explain),
    /// Be a device
    #[command(subcommand)]
    Device(DeviceCommand),
    /// Who may register, one by one: make, change, import and export individual enrollments
    #[command(subcommand)]
    Enrollment(RecordCommand<IndividualSettings>),
    /// Who may register, many at once: make, change, import and export enrollment groups
    #[command(subcommand)]
    Group(RecordCommand<GroupSettings>),
    /// Where devices are
    #[command(subcommand)]
    Registration(RegistrationCommand),
    /// CA certificates that enrollments refer to by name: upload and prove them
    #[command(subcommand)]
    Certificate(CertificateCommand),
    /// List, make, change and delete provisioning services
    #[command(subcommand)]
    Service(ServiceCommand),
    /// List, link, change and unlink a service's hubs
    #[command(subcommand)]
    Hub(HubCommand),
    /// Show who changed what, and prove that the log of it is whole
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Master keys and data keys: what wraps what, rotation, the cryptographic module
    #[command(subcommand)]
    Keys(KeysCommand),
    /// List, make, take over, change and delete the certificate authorities that sign for devices
    #[command(subcommand)]
    Ca(CaCommand),
    /// Show how many operations each service has done, by month
    Usage(Usage),
    /// Write a shell's completions to standard output
    Completions(Completions),
    /// Write manual pages
    Man(Man),
    /// Write the reference of all commands as Markdown, as in docs/cli.md
    #[command(hide = true)]
    Reference,
    /// Copy everything into a file, also while the server runs
    Backup(Backup),
    /// Fill an empty installation from a backup
    Restore(Restore),
    /// Copy everything to another store
    Migrate(Migrate),
    /// Prove that a store or a backup is whole, and that its master key fits
    Check(Check),
}

#[derive(Subcommand)]
pub enum DeviceCommand {
    /// Provision one device and explain each step
    Provision(Box<Provision>),
    /// Show a TPM's keys: what to enroll
    Tpm(TpmKeys),
}

#[derive(Args)]
pub struct Serve {
    /// The configuration; docs/usher.example.toml shows every setting
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// File to write, with the ports as JSON, once everything answers; removed when the node stops
    #[arg(long, value_name = "FILE")]
    pub ready_file: Option<PathBuf>,
    /// The log's form
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub log: LogFormat,
}

#[derive(Args)]
#[command(after_help = "Without --https-port it is 443, or 8443 where that cannot be had. Port 0 takes any free one.")]
pub struct Dev {
    /// Folder for the state, its master key, dev.json and ca.pem
    #[arg(long, value_name = "DIR", default_value = ".usher")]
    pub state: PathBuf,
    /// Address to listen on; repeat for several [default: 127.0.0.1 and ::1]
    #[arg(long, value_name = "ADDR")]
    pub bind: Vec<IpAddr>,
    #[command(flatten)]
    pub ports: PortOptions,
    /// Embedded hub to make and link, with its region; repeat for several [default: localhost]
    #[arg(long = "hub", value_name = "NAME[=REGION]", value_parser = parse_hub)]
    pub hubs: Vec<(HubName, String)>,
    /// Remote IoT hub, another usher's or a Mosquitto broker, to link by its connection string or URL, with its region; repeat for several
    #[arg(long = "link", value_name = "[REGION=]CONNECTION_STRING")]
    pub links: Vec<RemoteLink>,
    /// Root certificates to trust in remote hubs besides the machine's, PEM; repeat for several
    #[arg(long, value_name = "FILE")]
    pub hub_trust: Vec<PathBuf>,
    /// ID scope for a new state folder [default: generated]
    #[arg(long, value_name = "SCOPE", value_parser = parse_scope)]
    pub id_scope: Option<IdScope>,
    /// Name of the provisioning service
    #[arg(long, default_value = "dev")]
    pub name: String,
    /// Latency table for the lowest latency policy: networks, regions and milliseconds to hubs (docs/latency.md)
    #[arg(long, value_name = "FILE")]
    pub latency: Option<PathBuf>,
    /// CAs, PEM, that allocation webhooks may have their certificates from, beside the machine's roots
    #[arg(long, value_name = "FILE")]
    pub webhook_trust: Option<PathBuf>,
    #[command(flatten)]
    pub oidc: OidcArguments,
    /// Limits of the provisioning service: `dps` has the cloud's rates and numbers, to see how clients take them
    #[arg(long, value_enum, default_value_t = Limits::None)]
    pub limits: Limits,
    /// How to log, on standard error
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub log: LogFormat,
    /// Print the contents of dev.json on standard output instead of what to copy
    #[arg(long)]
    pub json: bool,
}

/// The endpoint's ports, to listen on or to connect to.
#[derive(Args)]
pub struct PortOptions {
    /// Port for HTTPS and WebSockets [default: 443]
    #[arg(long, value_name = "PORT")]
    pub https_port: Option<u16>,
    /// Port for MQTT over TLS [default: 8883]
    #[arg(long, value_name = "PORT")]
    pub mqtts_port: Option<u16>,
    /// Port for AMQP over TLS [default: 5671]
    #[arg(long, value_name = "PORT")]
    pub amqps_port: Option<u16>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Limits {
    /// The documented ones of Azure IoT Hub DPS
    Dps,
    /// None
    None,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people
    Text,
    /// A JSON object a line
    Json,
    /// None
    Off,
}

#[derive(Args)]
pub struct Demo {
    /// Print one JSON object instead of tables
    #[arg(long)]
    pub json: bool,
    /// Show the server's log
    #[arg(long)]
    pub verbose: bool,
}

#[derive(Args)]
#[command(after_help = "Without --host and --id-scope the running `usher dev` of this folder is used (.usher/dev.json).")]
pub struct Provision {
    /// Who the device says it is; a TPM's default ID is made of its endorsement key
    #[arg(long, value_name = "ID", required_unless_present = "tpm")]
    pub registration_id: Option<String>,
    /// The device's own symmetric key, base64
    #[arg(long, value_name = "BASE64", conflicts_with_all = ["group_key", "cert", "tpm"], required_unless_present_any = ["group_key", "cert", "tpm"])]
    pub key: Option<String>,
    /// The group's symmetric key, base64; the device's is derived from it
    #[arg(long, value_name = "BASE64", conflicts_with_all = ["cert", "tpm"])]
    pub group_key: Option<String>,
    /// The device's certificate chain, PEM, leaf first
    #[arg(long, value_name = "FILE", requires = "cert_key")]
    pub cert: Option<PathBuf>,
    /// The leaf's private key, PEM
    #[arg(long, value_name = "FILE")]
    pub cert_key: Option<PathBuf>,
    /// Prove by the machine's TPM 2.0 (needs tpm2-tools; --transport https, amqp or amqp-ws)
    #[arg(long, conflicts_with = "cert")]
    pub tpm: bool,
    /// How to reach the TPM, as tpm2-tools write it, for example swtpm:host=127.0.0.1,port=2321
    #[arg(long, requires = "tpm")]
    pub tcti: Option<String>,
    /// How to reach the endpoint
    #[arg(long, default_value = "mqtt", value_parser = parse_transport)]
    pub transport: Transport,
    /// Ask for a certificate: make a key and a signing request, and save the key and the issued chain in this folder
    #[arg(long, value_name = "DIR")]
    pub csr: Option<PathBuf>,
    /// JSON for the allocation webhook
    #[arg(long, value_name = "JSON")]
    pub payload: Option<String>,
    /// State folder of a running `usher dev`, for what is not said otherwise
    #[arg(long, value_name = "DIR", default_value = ".usher")]
    pub state: PathBuf,
    /// The device endpoint's host name
    #[arg(long, requires = "id_scope")]
    pub host: Option<String>,
    /// The ID scope
    #[arg(long, value_name = "SCOPE")]
    pub id_scope: Option<String>,
    #[command(flatten)]
    pub ports: PortOptions,
    /// Trusted root certificate, PEM
    #[arg(long, value_name = "FILE")]
    pub trust: Option<PathBuf>,
    /// Connect to the assigned hub and read the twin
    #[arg(long)]
    pub twin: bool,
    /// Print one JSON object; the trace goes to standard error
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
pub struct TpmKeys {
    /// How to reach the TPM, as tpm2-tools write it, for example swtpm:host=127.0.0.1,port=2321 [default: the machine's own]
    #[arg(long)]
    pub tcti: Option<String>,
}

fn parse_hub(text: &str) -> Result<(HubName, String), String> {
    let (name, region) = text.split_once('=').unwrap_or((text, "local"));
    HubName::parse(name).map(|name| (name, region.to_owned())).map_err(|why| why.to_string())
}

fn parse_scope(text: &str) -> Result<IdScope, String> {
    IdScope::parse(text).map_err(|why| why.to_string())
}

fn parse_transport(text: &str) -> Result<Transport, String> {
    let names = Transport::ALL.map(Transport::name).join(", ");
    Transport::from_name(text).ok_or_else(|| format!("there are {names}"))
}
