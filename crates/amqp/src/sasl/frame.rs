//! The bodies of SASL frames (section 5.3.3). What they carry may be a password, so Debug does not show it.

use bytes::{Bytes, BytesMut};

use crate::codec::{
    DecodeError, Reader, descriptor, encode_value,
    fields::{Fields, composite},
    types::{Array, SecretBytes, Symbol, Value},
};

/// A step of SASL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SaslFrame {
    /// What the server offers.
    Mechanisms(Vec<Symbol>),
    /// The client's choice.
    Init {
        /// One of the mechanisms.
        mechanism: Symbol,
        /// What the mechanism begins with.
        initial_response: SecretBytes,
        /// Whom the client means to speak to.
        hostname: Option<String>,
    },
    /// The server's next step.
    Challenge(SecretBytes),
    /// The client's next step.
    Response(SecretBytes),
    /// The end.
    Outcome(SaslCode),
}

/// How SASL ended (section 5.3.3.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SaslCode {
    /// Authenticated.
    Ok,
    /// The credentials are no good.
    Auth,
    /// The server failed.
    Sys,
    /// The server failed and will fail again.
    SysPerm,
    /// The server failed; try again later.
    SysTemp,
}

impl SaslCode {
    const ALL: [Self; 5] = [Self::Ok, Self::Auth, Self::Sys, Self::SysPerm, Self::SysTemp];

    fn number(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Auth => 1,
            Self::Sys => 2,
            Self::SysPerm => 3,
            Self::SysTemp => 4,
        }
    }
}

impl SaslFrame {
    /// Decodes a frame's body.
    pub fn decode(body: Bytes) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let (code, list) = reader.value()?.into_described().ok_or(DecodeError::Descriptor)?;
        if !reader.is_empty() {
            return Err(DecodeError::TrailingBytes);
        }
        let mut fields = Fields::of(list)?;
        Ok(match code {
            descriptor::SASL_MECHANISMS => Self::Mechanisms(fields.mandatory("sasl-server-mechanisms")?),
            descriptor::SASL_INIT => Self::Init {
                mechanism: fields.mandatory("mechanism")?,
                initial_response: fields.or_default::<Bytes>("initial-response")?.into(),
                hostname: fields.optional("hostname")?,
            },
            descriptor::SASL_CHALLENGE => Self::Challenge(fields.mandatory::<Bytes>("challenge")?.into()),
            descriptor::SASL_RESPONSE => Self::Response(fields.mandatory::<Bytes>("response")?.into()),
            descriptor::SASL_OUTCOME => {
                let number: u8 = fields.mandatory("code")?;
                let code = SaslCode::ALL.into_iter().find(|code| code.number() == number);
                Self::Outcome(code.ok_or(DecodeError::Field("code"))?)
            }
            _ => return Err(DecodeError::Descriptor),
        })
    }

    /// The body of a frame.
    pub fn encode(&self) -> Bytes {
        let binary = |bytes: &SecretBytes| Value::Binary(bytes.0.clone());
        let value = match self {
            Self::Mechanisms(names) => {
                // Always an array: Java's DPS client takes nothing else.
                composite(descriptor::SASL_MECHANISMS, vec![Array::symbols(names.iter().cloned()).into()])
            }
            Self::Init { mechanism, initial_response, hostname } => {
                composite(descriptor::SASL_INIT, vec![mechanism.clone().into(), binary(initial_response), hostname.clone().into()])
            }
            Self::Challenge(bytes) => composite(descriptor::SASL_CHALLENGE, vec![binary(bytes)]),
            Self::Response(bytes) => composite(descriptor::SASL_RESPONSE, vec![binary(bytes)]),
            Self::Outcome(code) => composite(descriptor::SASL_OUTCOME, vec![code.number().into()]),
        };
        let mut out = BytesMut::new();
        encode_value(&value, &mut out);
        out.freeze()
    }
}
