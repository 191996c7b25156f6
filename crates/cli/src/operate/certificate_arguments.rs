//! What can be said of CA certificates.

use std::path::PathBuf;

use clap::Subcommand;

use super::Of;

#[derive(Subcommand)]
pub enum CertificateCommand {
    /// The CA certificates of a service
    List {
        #[command(flatten)]
        of: Of,
    },
    /// One of them
    Show {
        /// Its name
        name: String,
        #[command(flatten)]
        of: Of,
    },
    /// Upload a CA certificate, or replace the one under this name
    Upload {
        /// Its name, by which enrollments refer to it
        name: String,
        /// The certificate, PEM or DER
        file: PathBuf,
        /// You vouch for it: no proof that its key is held is wanted
        #[arg(long)]
        verified: bool,
        /// Only if it still has this ETag
        #[arg(long)]
        etag: Option<String>,
        #[command(flatten)]
        of: Of,
    },
    /// Prove that its key is held, in one step: asks for a code, signs it with the CA's key, here, and sends the proof
    Prove {
        /// Its name
        name: String,
        /// The CA's private key, PEM; it is not sent
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        #[command(flatten)]
        of: Of,
    },
    /// Ask for a code to prove with, where the key is elsewhere
    GenerateCode {
        /// Its name
        name: String,
        #[command(flatten)]
        of: Of,
    },
    /// Send the proof: a certificate with the code as common name, signed by the CA
    Verify {
        /// Its name
        name: String,
        /// The proving certificate, PEM or DER
        file: PathBuf,
        #[command(flatten)]
        of: Of,
    },
    /// Delete one that no enrollment refers to
    Delete {
        /// Its name
        name: String,
        /// Only if it still has this ETag
        #[arg(long)]
        etag: Option<String>,
        #[command(flatten)]
        of: Of,
    },
}
