//! A session with a token in which the key was found and judged fit.

use aws_lc_rs::rand;
use cryptoki::{
    context::Pkcs11,
    error::{Error, RvError},
    mechanism::{Mechanism, MechanismType, aead::GcmParams},
    object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle},
    session::{Session, UserType},
    slot::{Slot, TokenInfo},
    types::Ulong,
};

use crate::{
    TokenError, TokenSettings,
    error::{failed, is_not_authentic},
};

/// The IV before the ciphertext, in bytes (NIST SP 800-38D section 8.2.2: 96 random bits; a master key wraps some thousand times, far
/// below the 2^32 that are allowed).
const IV_BYTES: usize = 12;
/// The tag, in bits.
const TAG_BITS: u64 = 128;
/// An AES-256 key, in bytes.
const KEY_BYTES: u64 = 32;
/// Labels told in an error, at most.
const LABELS_MAX: usize = 16;

/// An open session with the key.
pub(crate) struct Connection {
    session: Session,
    key: ObjectHandle,
    /// What tells the key from others: label, identifier and check value as the token has them.
    pub identity: Vec<u8>,
}

impl Connection {
    /// Opens a session, logs in, finds the key.
    pub fn open(library: &Pkcs11, settings: &TokenSettings) -> Result<Self, TokenError> {
        let (slot, session) = log_in(library, settings)?;
        let mechanisms = library.get_mechanism_list(slot).map_err(failed("asking for the token's mechanisms"))?;
        if !mechanisms.contains(&MechanismType::AES_GCM) {
            let why = "the token has no AES-GCM (CKM_AES_GCM)".into();
            return Err(TokenError::Unfit { label: settings.key.clone(), why });
        }
        let key = find(&session, settings)?;
        let identity = judge(&session, key, settings)?;
        Ok(Self { session, key, identity })
    }

    /// `IV || ciphertext || tag`.
    pub fn wrap(&self, place: &[u8], key: &[u8]) -> Result<Vec<u8>, TokenError> {
        let mut iv = [0; IV_BYTES];
        rand::fill(&mut iv).map_err(|_| TokenError::Failed { step: "choosing an IV", why: "there is no randomness".into() })?;
        let sealed = {
            let parameters = GcmParams::new(&mut iv, place, Ulong::from(TAG_BITS)).map_err(failed("preparing AES-GCM"))?;
            self.session.encrypt(&Mechanism::AesGcm(parameters), self.key, key).map_err(failed("wrapping a key"))?
        };
        // Some modules choose the IV themselves; it stands in ours then.
        Ok([iv.as_slice(), &sealed].concat())
    }

    /// What was wrapped.
    pub fn unwrap(&self, place: &[u8], wrapped: &[u8]) -> Result<Vec<u8>, TokenError> {
        let (iv, sealed) = wrapped.split_first_chunk::<IV_BYTES>().ok_or(TokenError::NotAuthentic)?;
        let mut iv = *iv;
        let parameters = GcmParams::new(&mut iv, place, Ulong::from(TAG_BITS)).map_err(failed("preparing AES-GCM"))?;
        let opened = self.session.decrypt(&Mechanism::AesGcm(parameters), self.key, sealed);
        opened.map_err(|error| if is_not_authentic(&error) { TokenError::NotAuthentic } else { failed("unwrapping a key")(error) })
    }

    /// Whether the token wraps and unwraps at this moment.
    pub fn works(&self) -> bool {
        let trial = [0x5a; 32];
        self.wrap(b"trial", &trial).and_then(|wrapped| self.unwrap(b"trial", &wrapped)).is_ok_and(|opened| opened == trial)
    }
}

/// A session of the user with the token of this label.
fn log_in(library: &Pkcs11, settings: &TokenSettings) -> Result<(Slot, Session), TokenError> {
    let (slot, info) = find_token(library, &settings.token)?;
    if info.user_pin_locked() {
        return Err(refused(settings, Some(&info)));
    }
    let session = library.open_rw_session(slot).or_else(|_| library.open_ro_session(slot)).map_err(failed("opening a session"))?;
    match session.login(UserType::User, Some(&settings.pin.0)) {
        Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok((slot, session)),
        Err(Error::Pkcs11(
            RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange | RvError::PinLocked | RvError::PinExpired,
            _,
        )) => Err(refused(settings, library.get_token_info(slot).ok().as_ref())),
        Err(error) => Err(failed("logging in to the token")(error)),
    }
}

fn refused(settings: &TokenSettings, info: Option<&TokenInfo>) -> TokenError {
    let left = match info {
        Some(info) if info.user_pin_locked() => "it is locked: its security officer must set a new PIN",
        Some(info) if info.user_pin_final_try() => "one try is left before it locks itself",
        Some(info) if info.user_pin_count_low() => "some tries have failed, and few may be left before it locks itself",
        _ => "it does not tell how many tries are left",
    };
    TokenError::PinRefused { token: settings.token.clone(), left }
}

fn find_token(library: &Pkcs11, label: &str) -> Result<(Slot, TokenInfo), TokenError> {
    let slots = library.get_slots_with_token().map_err(failed("listing the tokens"))?;
    let mut seen = Vec::new();
    for slot in slots {
        let Ok(info) = library.get_token_info(slot) else { continue };
        let found = info.label().trim_end().to_owned();
        if info.token_initialized() && found == label {
            return Ok((slot, info));
        }
        if info.token_initialized() && seen.len() < LABELS_MAX {
            seen.push(found);
        }
    }
    Err(TokenError::NoToken { label: label.to_owned(), seen })
}

fn find(session: &Session, settings: &TokenSettings) -> Result<ObjectHandle, TokenError> {
    let looking = failed("looking for the key");
    let named = [Attribute::Class(ObjectClass::SECRET_KEY), Attribute::Label(settings.key.as_bytes().to_vec())];
    let found = session.find_objects(&named).map_err(&looking)?;
    match found.as_slice() {
        [key] => Ok(*key),
        [] => {
            let all = session.find_objects(&[Attribute::Class(ObjectClass::SECRET_KEY)]).map_err(&looking)?;
            let labels = all.into_iter().take(LABELS_MAX).filter_map(|key| match session.get_attributes(key, &[AttributeType::Label]) {
                Ok(found) => found.into_iter().find_map(|one| if let Attribute::Label(label) = one { Some(label) } else { None }),
                Err(_) => None,
            });
            let seen = labels.map(|label| String::from_utf8_lossy(&label).into_owned()).collect();
            Err(TokenError::NoKey { label: settings.key.clone(), seen })
        }
        several => {
            let why = format!("the token has {} secret keys of this label; give each its own", several.len());
            Err(TokenError::Unfit { label: settings.key.clone(), why })
        }
    }
}

/// Whether the key is one that a master key can be; what tells it from others.
fn judge(session: &Session, key: ObjectHandle, settings: &TokenSettings) -> Result<Vec<u8>, TokenError> {
    use AttributeType::{CheckValue, Decrypt, Encrypt, Extractable, Id, KeyType as Kind, Sensitive, ValueLen};
    let asked = [Kind, ValueLen, Encrypt, Decrypt, Sensitive, Extractable, Id, CheckValue];
    let attributes = session.get_attributes(key, &asked).map_err(failed("reading the key's attributes"))?;
    let mut identity = [b"usher token key\0".as_slice(), settings.key.as_bytes(), b"\0"].concat();
    for attribute in attributes {
        let wrong = match attribute {
            Attribute::KeyType(kind) if kind != KeyType::AES => Some("it is not an AES key"),
            Attribute::ValueLen(length) if u64::from(length) != KEY_BYTES => Some("it must have 256 bits"),
            Attribute::Encrypt(false) | Attribute::Decrypt(false) => Some("it may not encrypt and decrypt (CKA_ENCRYPT, CKA_DECRYPT)"),
            Attribute::Sensitive(false) => Some("the token shows its value to anyone logged in (CKA_SENSITIVE is false)"),
            Attribute::Extractable(true) => Some("it may be taken out of the token (CKA_EXTRACTABLE is true)"),
            Attribute::Id(bytes) | Attribute::CheckValue(bytes) => {
                identity.extend_from_slice(&bytes);
                identity.push(0);
                None
            }
            _ => None,
        };
        if let Some(why) = wrong {
            return Err(TokenError::Unfit { label: settings.key.clone(), why: format!("{why}; `usher keys make` makes one that fits") });
        }
    }
    Ok(identity)
}

/// Makes a key in the token that fits: AES-256, for encrypting and decrypting, never to leave it.
pub(crate) fn make(library: &Pkcs11, settings: &TokenSettings) -> Result<(), TokenError> {
    let (_, session) = log_in(library, settings)?;
    match find(&session, settings) {
        Err(TokenError::NoKey { .. }) => {}
        Ok(_) => return Err(TokenError::Unfit { label: settings.key.clone(), why: "there is one of this label already".into() }),
        Err(error) => return Err(error),
    }
    let mut id = vec![0; 8];
    rand::fill(&mut id).map_err(|_| TokenError::Failed { step: "choosing an identifier", why: "there is no randomness".into() })?;
    let template = [
        Attribute::Label(settings.key.as_bytes().to_vec()),
        Attribute::Id(id),
        Attribute::ValueLen(Ulong::from(KEY_BYTES)),
        Attribute::Token(true),
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Encrypt(true),
        Attribute::Decrypt(true),
    ];
    session.generate_key(&Mechanism::AesKeyGen, &template).map(drop).map_err(failed("making a key"))
}
