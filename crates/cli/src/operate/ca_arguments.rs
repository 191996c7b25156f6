//! What can be said of certificate authorities.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::arguments::Of;

#[derive(Subcommand)]
pub enum CaCommand {
    /// The certificate authorities that sign for a service's devices
    List {
        #[command(flatten)]
        of: Of,
    },
    /// One authority with the rules for what it signs
    Show {
        /// Its name, which enrollments give as credentialPolicyName
        name: String,
        /// Print its certificate and those above it as PEM
        #[arg(long)]
        pem: bool,
        #[command(flatten)]
        of: Of,
    },
    /// Make an authority, take over one that exists, or name one to ask by EST
    Create {
        /// Its name: 3 to 50 letters, digits and hyphens
        name: String,
        #[command(flatten)]
        authority: Authority,
        #[command(flatten)]
        leaf: Leaf,
        #[command(flatten)]
        of: Of,
    },
    /// Change what is signed, or by whom
    Update {
        /// Its name
        name: String,
        #[command(flatten)]
        authority: Authority,
        #[command(flatten)]
        leaf: Leaf,
        #[command(flatten)]
        of: Of,
    },
    /// Delete an authority with its private key; what it signed stays valid
    Delete {
        /// Its name
        name: String,
        /// Really
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        of: Of,
    },
}

/// Who signs.
#[derive(Args)]
pub struct Authority {
    /// Common name of an authority that is made [default: "usher SERVICE NAME"]
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["chain", "est"])]
    pub subject: Option<String>,
    /// Certificate of an authority that exists, PEM, then those above it up to the root
    #[arg(long, value_name = "FILE")]
    pub chain: Option<PathBuf>,
    /// Its private key, PEM, not encrypted; kept sealed
    #[arg(long, value_name = "FILE", requires = "chain", conflicts_with = "est")]
    pub key: Option<PathBuf>,
    /// EST server (RFC 7030) that signs, for example https://est.example
    #[arg(long, value_name = "URL")]
    pub est: Option<String>,
    /// User name for the EST server
    #[arg(long, value_name = "NAME", requires = "est")]
    pub est_user: Option<String>,
    /// Its password, or - to read one line from standard input
    #[arg(long, value_name = "TEXT", requires = "est_user")]
    pub est_password: Option<String>,
    /// Roots that the EST server's certificate may be from besides the machine's, PEM
    #[arg(long, value_name = "FILE", requires = "est")]
    pub est_trust: Option<PathBuf>,
}

/// What is signed.
#[derive(Args)]
pub struct Leaf {
    /// How long a certificate is valid, in days [default: 30]
    #[arg(long, value_name = "DAYS")]
    pub validity_days: Option<u32>,
    /// How hubs tell the devices: by thumbprint, or by the authority, which you then put on the hub [default: thumbprint]
    #[arg(long, value_name = "thumbprint|ca", value_parser = parse_hub_authentication)]
    pub hub_authentication: Option<&'static str>,
    /// Key that is certified: P-256, P-384 or RSA (2048 bits or more); repeat for several [default: all]
    #[arg(long = "key-type", value_name = "TYPE")]
    pub key_types: Vec<String>,
}

fn parse_hub_authentication(word: &str) -> Result<&'static str, String> {
    match word {
        "thumbprint" => Ok("thumbprint"),
        "ca" => Ok("certificateAuthority"),
        _ => Err("there are thumbprint and ca".into()),
    }
}
