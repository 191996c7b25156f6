//! `usher certificate`: the CA certificates that enrollments refer to by name.

use std::{fs, path::Path};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::Method;
use rustls::pki_types::CertificateDer;
use serde_json::{Value, json};
use usher_device::Failure;

use super::{CertificateCommand, Of, Session, explain::printable, id_of, proof, strange, text};
use crate::{near::nearest, service_api::escaped, show::table};

/// `usher certificate …`
pub async fn run(command: CertificateCommand) -> Result<(), String> {
    let outcome = match command {
        CertificateCommand::List { of } => list(&of).await,
        CertificateCommand::Show { name, of } => show(&name, &of).await,
        CertificateCommand::Upload { name, file, verified, etag, of } => upload(&name, &file, verified, etag.as_deref(), &of).await,
        CertificateCommand::Prove { name, key, of } => prove(&name, &key, &of).await,
        CertificateCommand::GenerateCode { name, of } => generate_code(&name, &of).await,
        CertificateCommand::Verify { name, file, of } => verify(&name, &file, &of).await,
        CertificateCommand::Delete { name, etag, of } => delete(&name, etag.as_deref(), &of).await,
    };
    outcome.map_err(|why| why.to_string())
}

/// A service's certificates.
struct Place {
    session: Session,
    certificates: String,
    service: String,
}

impl Place {
    async fn open(of: &Of) -> Result<Self, Failure> {
        let session = Session::open(&of.reach)?;
        let service = session.service(of.service.as_deref()).await?;
        let certificates = format!("{}/certificates", id_of(&service)?);
        Ok(Self { session, certificates, service: text(&service["name"]) })
    }

    fn path(&self, name: &str) -> String {
        format!("{}/{}", self.certificates, escaped(name))
    }

    async fn all(&self) -> Result<Vec<Value>, Failure> {
        match self.session.get(&self.certificates).await?["value"].take() {
            Value::Array(all) => Ok(all),
            _ => Err(strange("it lists no certificates")),
        }
    }

    /// One by its name, in any case.
    async fn existing(&self, name: &str) -> Result<Value, Failure> {
        let all = self.all().await?;
        let names: Vec<&str> = all.iter().filter_map(|found| found["name"].as_str()).collect();
        let found = all.iter().find(|found| found["name"].as_str().is_some_and(|there| there.eq_ignore_ascii_case(name)));
        found.cloned().ok_or_else(|| {
            let near = nearest(name, names.iter().copied()).map(|near| format!("is {near} meant? ")).unwrap_or_default();
            let there = if names.is_empty() { "it has none".to_owned() } else { format!("it has {}", names.join(", ")) };
            let what = format!("the service {} has no certificate {name}; {near}{there}", self.service);
            Failure::new("certificate", what, "Upload it: usher certificate upload NAME FILE.")
        })
    }

    /// Asks for a code; the answer has the certificate's new ETag.
    async fn code(&self, name: &str) -> Result<Value, Failure> {
        let found = self.existing(name).await?;
        self.session.send(Method::POST, &format!("{}/generateVerificationCode", self.path(name)), None, found["etag"].as_str()).await
    }

    async fn send_proof(&self, name: &str, proof: &str, etag: Option<&str>) -> Result<Value, Failure> {
        self.session.send(Method::POST, &format!("{}/verify", self.path(name)), Some(&json!({ "certificate": proof })), etag).await
    }
}

async fn list(of: &Of) -> Result<(), Failure> {
    let place = Place::open(of).await?;
    let all = place.all().await?;
    if of.reach.json {
        say!("{:#}", Value::Array(all));
        return Ok(());
    }
    let row = |found: &Value| {
        let properties = &found["properties"];
        let verified = if properties["isVerified"] == true { "yes" } else { "no" };
        [text(&found["name"]), verified.to_owned(), text(&properties["subject"]), text(&properties["expiry"])]
            .map(|cell| printable(&cell))
            .to_vec()
    };
    if all.is_empty() {
        say!("{} has no CA certificate: usher certificate upload NAME FILE", place.service);
    } else {
        say!("{}", table(&["name", "verified", "subject", "expires"], &all.iter().map(row).collect::<Vec<_>>()));
    }
    Ok(())
}

async fn show(name: &str, of: &Of) -> Result<(), Failure> {
    print(&Place::open(of).await?.existing(name).await?, of);
    Ok(())
}

fn print(found: &Value, of: &Of) {
    if of.reach.json {
        say!("{found:#}");
        return;
    }
    let properties = &found["properties"];
    let verified = if properties["isVerified"] == true { "yes" } else { "no: it admits nobody yet (usher certificate prove)" };
    for (what, value) in [
        ("name", text(&found["name"])),
        ("verified", verified.to_owned()),
        ("subject", text(&properties["subject"])),
        ("SHA-1", text(&properties["thumbprint"])),
        ("expires", text(&properties["expiry"])),
        ("uploaded", text(&properties["created"])),
        ("changed", text(&properties["updated"])),
        ("ETag", text(&found["etag"])),
    ] {
        say!("  {what:18}{}", printable(&value));
    }
}

/// The largest certificate file; the service takes 16 KiB.
const FILE_BYTES_MAX: usize = 64 * 1024;

/// A certificate as the API takes it: base64 of the file, which may be PEM or DER.
fn encoded(file: &Path) -> Result<String, Failure> {
    let bytes = fs::read(file).map_err(|why| Failure::settings(format!("cannot read {}: {why}", file.display())))?;
    if bytes.len() > FILE_BYTES_MAX {
        return Err(Failure::settings(format!("{} is too large for a certificate", file.display())));
    }
    Ok(STANDARD.encode(bytes))
}

async fn upload(name: &str, file: &Path, verified: bool, etag: Option<&str>, of: &Of) -> Result<(), Failure> {
    let certificate = encoded(file)?;
    let place = Place::open(of).await?;
    let mut body = json!({ "properties": { "certificate": certificate } });
    if verified {
        body["properties"]["isVerified"] = json!(true);
    }
    print(&place.session.send(Method::PUT, &place.path(name), Some(&body), etag).await?, of);
    Ok(())
}

async fn prove(name: &str, key: &Path, of: &Of) -> Result<(), Failure> {
    let key = fs::read_to_string(key).map_err(|why| Failure::settings(format!("cannot read {}: {why}", key.display())))?;
    let place = Place::open(of).await?;
    let asked = place.code(name).await?;
    let der = asked["properties"]["certificate"].as_str().and_then(|text| STANDARD.decode(text).ok());
    let der = CertificateDer::from(der.ok_or_else(|| strange("it does not tell the certificate"))?);
    let code = asked["properties"]["verificationCode"].as_str().ok_or_else(|| strange("it tells no code"))?;
    let proof = proof::signed(&der, &key, code)?;
    print(&place.send_proof(name, &STANDARD.encode(proof), asked["etag"].as_str()).await?, of);
    Ok(())
}

async fn generate_code(name: &str, of: &Of) -> Result<(), Failure> {
    let asked = Place::open(of).await?.code(name).await?;
    if of.reach.json {
        say!("{asked:#}");
        return Ok(());
    }
    let code = text(&asked["properties"]["verificationCode"]);
    say!("{code}\n\nSign a certificate with this common name by the CA's key, then verify it:\n");
    say!("  openssl req -new -newkey rsa:2048 -nodes -keyout proof.key -subj '/CN={code}' -out proof.csr");
    say!("  openssl x509 -req -in proof.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 1 -out proof.pem");
    say!("  usher certificate verify {name} proof.pem");
    Ok(())
}

async fn verify(name: &str, file: &Path, of: &Of) -> Result<(), Failure> {
    let proof = encoded(file)?;
    let place = Place::open(of).await?;
    let found = place.existing(name).await?;
    print(&place.send_proof(name, &proof, found["etag"].as_str()).await?, of);
    Ok(())
}

async fn delete(name: &str, etag: Option<&str>, of: &Of) -> Result<(), Failure> {
    let place = Place::open(of).await?;
    let found = place.existing(name).await?;
    place.session.send(Method::DELETE, &place.path(name), None, etag.or(found["etag"].as_str())).await?;
    if of.reach.json {
        say!("{}", json!({ "deleted": found["name"] }));
    } else {
        say!("{name} is deleted.");
    }
    Ok(())
}
