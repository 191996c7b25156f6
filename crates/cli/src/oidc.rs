//! The options that name an OIDC issuer.

use std::path::PathBuf;

use clap::Args;
use usher_server::{OidcOptions, OidcSettings, parse_claim};

/// An OpenID Connect issuer whose tokens open the management API, besides the admin token.
#[derive(Args)]
pub struct OidcArguments {
    /// OpenID Connect issuer whose tokens open the management API, as its tokens have it in `iss`
    #[arg(long, value_name = "URL", requires = "oidc_audience")]
    pub oidc_issuer: Option<String>,
    /// What the issuer's tokens must have in `aud`
    #[arg(long, value_name = "AUD", requires = "oidc_issuer")]
    pub oidc_audience: Option<String>,
    /// Claim that the issuer's tokens must have, alone or in a list, for example roles=usher-admin [default: none, all tokens count]
    #[arg(long, value_name = "NAME=VALUE", requires = "oidc_issuer", value_parser = parse_claim)]
    pub oidc_claim: Option<(String, String)>,
    /// Root certificates that the issuer may have besides the machine's, PEM; repeat for several
    #[arg(long, value_name = "FILE", requires = "oidc_issuer")]
    pub oidc_trust: Vec<PathBuf>,
}

impl OidcArguments {
    /// The issuer, if there is one.
    pub fn options(self) -> Option<OidcOptions> {
        let settings = OidcSettings { issuer: self.oidc_issuer?, audience: self.oidc_audience?, claim: self.oidc_claim };
        Some(OidcOptions { settings, trust: self.oidc_trust })
    }
}
