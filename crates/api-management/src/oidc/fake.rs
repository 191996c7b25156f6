//! An issuer in memory, whose keys are real.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::expect_used)]

use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

use aws_lc_rs::{
    rand::SystemRandom,
    rsa,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use serde_json::{Value, json};

use super::{BoxFuture, KeySource};

pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A key of the issuer.
pub enum SigningKey {
    Rsa(rsa::KeyPair),
    P256(EcdsaKeyPair),
}

impl SigningKey {
    pub fn rsa() -> Self {
        Self::Rsa(rsa::KeyPair::generate(rsa::KeySize::Rsa2048).unwrap())
    }

    pub fn p256() -> Self {
        Self::P256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    pub fn algorithm(&self) -> &'static str {
        match self {
            Self::Rsa(_) => "RS256",
            Self::P256(_) => "ES256",
        }
    }

    /// The public key in the form that forgers take for an HMAC's secret.
    pub fn public(&self) -> Vec<u8> {
        match self {
            Self::Rsa(pair) => pair.public_key().as_ref().to_vec(),
            Self::P256(pair) => pair.public_key().as_ref().to_vec(),
        }
    }

    pub fn jwk(&self, id: &str) -> Value {
        let public = self.public();
        match self {
            // PKCS #1 of 2048 bits: nine bytes before the modulus.
            Self::Rsa(_) => json!({ "kty": "RSA", "kid": id, "use": "sig", "n": encode(&public[9..265]), "e": "AQAB" }),
            Self::P256(_) => json!({ "kty": "EC", "kid": id, "crv": "P-256", "x": encode(&public[1..33]), "y": encode(&public[33..]) }),
        }
    }

    pub fn token(&self, head: &Value, claims: &Value) -> String {
        let signed = format!("{}.{}", encode(head.to_string()), encode(claims.to_string()));
        let random = SystemRandom::new();
        let signature = match self {
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, signed.as_bytes(), &mut signature).unwrap();
                signature
            }
            Self::P256(pair) => pair.sign(&random, signed.as_bytes()).unwrap().as_ref().to_vec(),
        };
        format!("{signed}.{}", encode(signature))
    }
}

/// Publishes keys, or is down; counts how often it is asked.
#[derive(Default)]
pub struct FakeKeys {
    pub document: Mutex<Option<Value>>,
    pub asked: AtomicUsize,
}

impl FakeKeys {
    pub fn publish(&self, keys: &[Value]) {
        *self.document.lock().unwrap() = Some(json!({ "keys": keys }));
    }

    pub fn go_down(&self) {
        *self.document.lock().unwrap() = None;
    }

    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl KeySource for FakeKeys {
    fn fetch(&self) -> BoxFuture<'_, Result<Bytes, String>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let document = self.document.lock().unwrap().clone();
        Box::pin(async move { document.map(|document| document.to_string().into()).ok_or_else(|| "it is down".into()) })
    }
}
