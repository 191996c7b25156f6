//! Why a token of the OIDC issuer does not open the management API. All of it can be read in the token by whoever holds it, so the client
//! is told too.

/// What was wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// The token is too long or no token.
    Malformed(&'static str),
    /// It is signed by an algorithm that is not taken: `none`, an HMAC or another.
    Algorithm,
    /// Another issuer's.
    Issuer,
    /// For another audience.
    Audience,
    /// Its time is over, or it says no time.
    Expired,
    /// Its time has not come.
    NotYet,
    /// No key of the issuer has its ID.
    UnknownKey,
    /// The signature is wrong.
    Signature,
    /// The required claim is not in it.
    Claim,
    /// The issuer's keys could not be had; in words for the log.
    Unreachable(String),
}

impl Rejection {
    /// What happened, for the client.
    pub fn message(&self) -> String {
        match self {
            Self::Malformed(why) => return format!("The bearer token is not valid: {why}."),
            Self::Algorithm => "The token's algorithm is not taken; RS256 and ES256 are.",
            Self::Issuer => "The token is of another issuer.",
            Self::Audience => "The token is for another audience.",
            Self::Expired => "The token has expired, or does not say when it does.",
            Self::NotYet => "The token is not valid yet.",
            Self::UnknownKey => "The token is signed with a key that its issuer does not publish.",
            Self::Signature => "The token's signature is wrong.",
            Self::Claim => "The token does not have the claim that administrators must have.",
            Self::Unreachable(_) => "The keys of the token's issuer cannot be had now.",
        }
        .into()
    }

    /// What to do, for the log.
    pub fn mend(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "Send a token of the OIDC issuer, or the admin token.",
            Self::Algorithm => "Let the issuer sign with RS256 or ES256.",
            Self::Issuer => "Compare the token's iss with --oidc-issuer; they must be the same to the letter.",
            Self::Audience => "Ask the issuer for a token for the audience in --oidc-audience.",
            Self::Expired => "Get a new token; compare the clocks of this node and the issuer.",
            Self::NotYet => "Compare the clocks of this node and the issuer.",
            Self::UnknownKey => "If the issuer has changed its keys a moment ago, try again in half a minute.",
            Self::Signature => "Get a new token; if it persists, the token was changed on its way or is forged.",
            Self::Claim => "Give the client the role or claim in --oidc-claim.",
            Self::Unreachable(_) => "Make the issuer reachable from this node, and its CA trusted (--oidc-trust).",
        }
    }

    /// HTTP status and Azure Resource Manager's word for it.
    pub fn status(&self) -> (u16, &'static str) {
        match self {
            Self::Expired => (401, "ExpiredAuthenticationToken"),
            Self::Audience => (401, "InvalidAuthenticationTokenAudience"),
            Self::Claim => (403, "AuthorizationFailed"),
            Self::Unreachable(_) => (503, "ServiceUnavailable"),
            _ => (401, "InvalidAuthenticationToken"),
        }
    }
}
