//! What can be said of an enrollment on the command line.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// How a device or a group's devices are to prove themselves, beside what both kinds share.
pub trait Settings: Args {
    /// Everything that was said, in one form for both kinds.
    fn said(&self) -> Said<'_>;
}

/// What was said.
pub struct Said<'a> {
    pub common: &'a Common,
    /// Device certificates, or a group's CA certificates.
    pub certificates: &'a [PathBuf],
    pub tpm_ek: Option<&'a str>,
    pub tpm_srk: Option<&'a str>,
    pub device_id: Option<&'a str>,
}

/// Settings of an individual enrollment.
#[derive(Args)]
pub struct IndividualSettings {
    /// The device's own certificate, PEM; a second one is the secondary
    #[arg(long = "certificate", value_name = "FILE", conflicts_with_all = ["symmetric_key", "ca_references", "tpm_ek"])]
    pub certificates: Vec<PathBuf>,
    /// The TPM's endorsement key, base64, as `usher device tpm` shows it
    #[arg(long, value_name = "BASE64", conflicts_with_all = ["symmetric_key", "ca_references"])]
    pub tpm_ek: Option<String>,
    /// The TPM's storage root key, base64, where it is to be checked too
    #[arg(long, value_name = "BASE64", requires = "tpm_ek")]
    pub tpm_srk: Option<String>,
    /// ID of the device on its hub; empty for none of its own [default: the registration ID]
    #[arg(long, value_name = "ID")]
    pub device_id: Option<String>,
    #[command(flatten)]
    pub common: Common,
}

/// Settings of an enrollment group.
#[derive(Args)]
pub struct GroupSettings {
    /// CA certificate that signs the devices' ones, PEM; a second one is the secondary
    #[arg(long = "ca", value_name = "FILE", conflicts_with_all = ["symmetric_key", "ca_references"])]
    pub certificates: Vec<PathBuf>,
    #[command(flatten)]
    pub common: Common,
}

/// What both kinds share.
#[derive(Args)]
pub struct Common {
    /// Prove by symmetric key: a key in base64, - for one on standard input, where other users of the machine do not see it, or
    /// `generate` for one that the service makes
    #[arg(long, value_name = "generate|BASE64|-", num_args = 0..=1, default_missing_value = "generate", conflicts_with = "ca_references")]
    pub symmetric_key: Option<String>,
    /// The second symmetric key, base64 [default: as the first: made by the service]
    #[arg(long, value_name = "BASE64", requires = "symmetric_key")]
    pub secondary_key: Option<String>,
    /// Name of an uploaded CA certificate (`usher certificate`); a second one is the secondary
    #[arg(long = "ca-reference", value_name = "NAME")]
    pub ca_references: Vec<String>,
    /// Host name of a linked hub that may be chosen; repeat for several; `any` for all of the service's
    #[arg(long = "hub", value_name = "HOST")]
    pub hubs: Vec<String>,
    /// How the hub is chosen
    #[arg(long, value_enum)]
    pub allocation: Option<Allocation>,
    /// Webhook that chooses the hub; implies --allocation custom
    #[arg(long, value_name = "URL")]
    pub webhook: Option<String>,
    /// Version of what the webhook is asked [default: 2021-10-01]
    #[arg(long, value_name = "VERSION", requires = "webhook")]
    pub webhook_api_version: Option<String>,
    /// Initial twin: a JSON file or the JSON itself, {"tags":{…},"properties":{"desired":{…}}} or for short {"desired":{…}}
    #[arg(long, value_name = "FILE|JSON")]
    pub twin: Option<String>,
    /// What happens to a device that registers again
    #[arg(long, value_enum)]
    pub reprovision: Option<Reprovision>,
    /// Whether it is an IoT Edge device
    #[arg(long, value_name = "true|false", num_args = 0..=1, default_missing_value = "true")]
    pub edge: Option<bool>,
    /// Certificate authority that signs for devices which send a signing request (usher ca); empty for none
    #[arg(long, value_name = "NAME")]
    pub credential_policy: Option<String>,
    /// Whether devices are admitted
    #[arg(long, value_enum)]
    pub status: Option<Status>,
    /// The whole enrollment as the service API has it, from a JSON file or - for standard input; other options change it
    #[arg(long, value_name = "FILE|-")]
    pub from_json: Option<PathBuf>,
}

/// Allocation policies.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Allocation {
    /// Evenly by weight
    Hashed,
    /// To the nearest hub
    GeoLatency,
    /// To the one hub that --hub names
    Static,
    /// A webhook chooses
    Custom,
    /// As the service does
    Service,
}

/// Re-provisioning policies.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Reprovision {
    /// It stays where it is
    Keep,
    /// The hub is chosen anew, and its twin goes along
    Migrate,
    /// The hub is chosen anew, and its twin begins as enrolled
    Reset,
}

/// Whether devices are admitted.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Status {
    /// They are
    Enabled,
    /// They are not
    Disabled,
}

impl Allocation {
    /// The service API's word; none where the service's own policy is meant.
    pub fn word(self) -> Option<&'static str> {
        match self {
            Self::Hashed => Some("hashed"),
            Self::GeoLatency => Some("geoLatency"),
            Self::Static => Some("static"),
            Self::Custom => Some("custom"),
            Self::Service => None,
        }
    }
}

impl Reprovision {
    /// The word of files and commands.
    pub fn word(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Migrate => "migrate",
            Self::Reset => "reset",
        }
    }
}

impl Status {
    /// The service API's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Disabled => "disabled",
        }
    }
}

impl Settings for IndividualSettings {
    fn said(&self) -> Said<'_> {
        let (tpm_ek, tpm_srk, device_id) = (self.tpm_ek.as_deref(), self.tpm_srk.as_deref(), self.device_id.as_deref());
        Said { common: &self.common, certificates: &self.certificates, tpm_ek, tpm_srk, device_id }
    }
}

impl Settings for GroupSettings {
    fn said(&self) -> Said<'_> {
        Said { common: &self.common, certificates: &self.certificates, tpm_ek: None, tpm_srk: None, device_id: None }
    }
}
