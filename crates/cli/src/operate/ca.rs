//! `usher ca`: the certificate authorities that sign for devices, each with the rules of its credential policy.

use std::{fs, path::Path};

use serde_json::{Map, Value, json};
use usher_device::Failure;

use super::{
    Session,
    arguments::Of,
    ca_arguments::{Authority, CaCommand, Leaf},
    given_or_read, id_of, text,
};
use crate::show::{certificate_pem, table};

/// `usher ca …`
pub async fn run(command: CaCommand) -> Result<(), String> {
    let outcome = match command {
        CaCommand::List { of } => list(&of).await,
        CaCommand::Show { name, pem, of } => show(&name, pem, &of).await,
        CaCommand::Create { name, authority, leaf, of } => create(&name, &authority, &leaf, &of).await,
        CaCommand::Update { name, authority, leaf, of } => update(&name, &authority, &leaf, &of).await,
        CaCommand::Delete { name, yes, of } => delete(&name, yes, &of).await,
    };
    outcome.map_err(|why| why.to_string())
}

async fn list(of: &Of) -> Result<(), Failure> {
    let session = Session::open(&of.reach)?;
    let mut told = session.get(&format!("{}/credentialPolicies", place(&session, of).await?)).await?;
    let all = told["value"].as_array_mut().map(std::mem::take).unwrap_or_default();
    if of.reach.json {
        say!("{:#}", Value::Array(all));
    } else if all.is_empty() {
        say!("no certificate authority; make one: usher ca create NAME");
    } else {
        say!("{}", rows(&all));
    }
    Ok(())
}

async fn show(name: &str, pem: bool, of: &Of) -> Result<(), Failure> {
    let session = Session::open(&of.reach)?;
    let policy = session.get(&path(&session, of, name).await?).await?;
    if pem {
        say!("{}", chain_pem(&policy));
    } else {
        print_policy(&policy, of);
    }
    Ok(())
}

async fn create(name: &str, authority: &Authority, leaf: &Leaf, of: &Of) -> Result<(), Failure> {
    write(name, authority, leaf, of, None).await
}

async fn update(name: &str, authority: &Authority, leaf: &Leaf, of: &Of) -> Result<(), Failure> {
    let session = Session::open(&of.reach)?;
    let old = session.get(&path(&session, of, name).await?).await?;
    write(name, authority, leaf, of, old["etag"].as_str()).await
}

/// `etag` is that of the policy which is changed; without one it must be new.
async fn write(name: &str, authority: &Authority, leaf: &Leaf, of: &Of, etag: Option<&str>) -> Result<(), Failure> {
    let session = Session::open(&of.reach)?;
    let path = path(&session, of, name).await?;
    if etag.is_none() && session.get(&path).await.is_ok() {
        let why = format!("there is a certificate authority {name} already");
        return Err(Failure::new("settings", why, "Change it with usher ca update, or choose another name."));
    }
    let body = json!({ "properties": { "hubAuthentication": leaf.hub_authentication, "certificate": {
        "certificateAuthorityConfiguration": authority_body(authority)?,
        "leafCertificateConfiguration": leaf_body(leaf),
    } } });
    let written = session.client.send(http::Method::PUT, &path, Some(&body), etag).await?;
    print_policy(&written, of);
    Ok(())
}

async fn delete(name: &str, yes: bool, of: &Of) -> Result<(), Failure> {
    if !yes {
        let why = format!("nothing was deleted: with {name} its private key is gone for good, and devices' requests are refused");
        return Err(Failure::new("settings", why, "Say --yes if that is what you want."));
    }
    let session = Session::open(&of.reach)?;
    session.client.send(http::Method::DELETE, &path(&session, of, name).await?, None, None).await?;
    Ok(())
}

async fn place(session: &Session, of: &Of) -> Result<String, Failure> {
    id_of(&session.service(of.service.as_deref()).await?).map(str::to_owned)
}

async fn path(session: &Session, of: &Of, name: &str) -> Result<String, Failure> {
    Ok(format!("{}/credentialPolicies/{name}", place(session, of).await?))
}

fn authority_body(authority: &Authority) -> Result<Value, Failure> {
    let mut body = Map::new();
    if let Some(subject) = &authority.subject {
        body.insert("subject".into(), json!(subject));
    }
    if let Some(file) = &authority.chain {
        body.insert("certificateChain".into(), json!(read(file)?));
    }
    if let Some(file) = &authority.key {
        body.insert("privateKey".into(), json!(read(file)?));
    }
    if let Some(url) = &authority.est {
        let password = authority.est_password.as_deref().map(given_or_read).transpose()?;
        let trust = authority.est_trust.as_deref().map(read).transpose()?;
        body.insert("est".into(), json!({ "url": url, "user": authority.est_user, "password": password, "trust": trust }));
    }
    Ok(Value::Object(body))
}

fn leaf_body(leaf: &Leaf) -> Value {
    let key_types = (!leaf.key_types.is_empty()).then_some(&leaf.key_types);
    json!({ "validityPeriodInDays": leaf.validity_days, "keyTypes": key_types })
}

fn read(file: &Path) -> Result<String, Failure> {
    fs::read_to_string(file).map_err(|why| Failure::settings(format!("cannot read {}: {why}", file.display())))
}

fn print_policy(policy: &Value, of: &Of) {
    if of.reach.json { say!("{policy:#}") } else { say!("{}", rows(std::slice::from_ref(policy))) }
}

fn rows(policies: &[Value]) -> String {
    let row = |policy: &Value| {
        let certificate = &policy["properties"]["certificate"];
        let (authority, leaf) = (&certificate["certificateAuthorityConfiguration"], &certificate["leafCertificateConfiguration"]);
        let kinds: Vec<String> = leaf["keyTypes"].as_array().into_iter().flatten().map(text).collect();
        let signs = if authority["kind"] == "est" { text(&authority["est"]["url"]) } else { text(&authority["subject"]) };
        vec![text(&policy["name"]), signs, text(&authority["expiry"]), text(&leaf["validityPeriodInDays"]), kinds.join(" ")]
    };
    table(&["name", "authority", "expires", "days", "keys"], &policies.iter().map(row).collect::<Vec<_>>())
}

fn chain_pem(policy: &Value) -> String {
    let chain = &policy["properties"]["certificate"]["certificateAuthorityConfiguration"]["certificateChain"];
    chain.as_array().into_iter().flatten().filter_map(Value::as_str).map(certificate_pem).collect()
}
