//! Who may pass: the service that a request is for, and the SAS token that opens it.
//!
//! `Authorization: SharedAccessSignature sr=…&sig=…&se=…&skn=policy` (MicrosoftDocs/azure-docs: articles/iot-dps/how-to-control-access.md).

use bytes::Bytes;
use http::{Request, header};
use percent_encoding::percent_decode_str;
use usher_attestation::{
    SasToken,
    sas::{SasError, decode_key},
};
use usher_domain::{
    Timestamp,
    service::{AccessPolicy, ProvisioningService, Right},
};
use usher_registry::{Directory, Tenant};

use crate::denial::Denial;

/// Finds the service and lets the request in, or says why not. Tells the service, and the policy that opened the door.
///
/// The service is the one whose host name the request names. Where it names none of ours, as behind a proxy or by IP address, it is
/// the one that the token is for; the token has to be valid there all the same.
pub(crate) async fn authorize(
    directory: &Directory,
    request: &Request<Bytes>,
    right: Right,
    now: Timestamp,
) -> Result<(Tenant, String), Denial> {
    let token = token(request)?;
    let tenant = match directory.by_host(requested_host(request)).await? {
        Some(tenant) => tenant,
        None => directory.by_host(host_of(first_segment(token.resource()))).await?.ok_or_else(|| {
            Denial::locked(
                "host.unknown",
                format!("neither the Host header ({:.200}) nor the token's resource names a provisioning service", requested_host(request)),
                "Call the service by the host name in its connection string.",
            )
        })?,
    };
    let policy = check(&tenant.service, &token, request, right, now)?.name.clone();
    Ok((tenant, policy))
}

fn token(request: &Request<Bytes>) -> Result<SasToken, Denial> {
    let missing = || {
        Denial::locked(
            "token.missing",
            "the request has no Authorization header",
            "Sign the request with a shared access policy of the service.",
        )
    };
    let text = request.headers().get(header::AUTHORIZATION).ok_or_else(missing)?.to_str().unwrap_or_default();
    if text.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("Bearer ")) {
        return Err(Denial::locked(
            "token.kind",
            "the request carries a bearer token; this service takes shared access signatures",
            "Use the service's connection string (azure-iot-cli-extension: --login, or --auth-type key).",
        ));
    }
    SasToken::parse(text)
        .map_err(|why| Denial::locked("token.malformed", why.to_string(), "Let an SDK make the token, or compare its form."))
}

fn check<'a>(
    service: &'a ProvisioningService,
    token: &SasToken,
    request: &Request<Bytes>,
    right: Right,
    now: Timestamp,
) -> Result<&'a AccessPolicy, Denial> {
    if !is_for(service, token, request.uri().path()) {
        let detail = format!("the token is for {:.200}, the request is for {}", token.resource(), service.host_name);
        return Err(Denial::locked("token.resource", detail, "Sign the service's host name, or the path itself."));
    }
    let policy = policy(service, token)?;
    verify(policy, token, now)?;
    if policy.allows(right) {
        return Ok(policy);
    }
    let detail = format!("The shared access policy {} lacks the right {right:?}.", policy.name);
    Err(Denial::right(detail, "Use another policy, or give this one the right."))
}

/// Whether the token's resource is the service's host, or a path on it that leads to this one. Tools write the host with a scheme or a
/// port too (azure-iot-deviceprovisioning: `_patch.py` signs the endpoint as it was given).
fn is_for(service: &ProvisioningService, token: &SasToken, path: &str) -> bool {
    let path = percent_decode_str(path).decode_utf8_lossy();
    let named = first_segment(token.resource());
    host_of(named).eq_ignore_ascii_case(&service.host_name) && token.covers(&format!("{named}{path}"))
}

fn policy<'a>(service: &'a ProvisioningService, token: &SasToken) -> Result<&'a AccessPolicy, Denial> {
    let Some(name) = token.key_name() else {
        return Err(Denial::locked("token.policy", "the token names no shared access policy", "Add skn=<policy> to the token."));
    };
    service.policies.iter().find(|policy| policy.name.eq_ignore_ascii_case(name)).ok_or_else(|| {
        let detail = format!("the service has no shared access policy {name:.64}");
        Denial::locked("token.policy", detail, "Take the connection string of a policy that exists.")
    })
}

/// Either key of the policy will do. An expired token was signed well, so both keys need not be tried for it.
fn verify(policy: &AccessPolicy, token: &SasToken, now: Timestamp) -> Result<(), Denial> {
    let mut failure = SasError::BadSignature;
    for key in [&policy.primary, &policy.secondary] {
        let Ok(key) = decode_key(key.expose()) else { continue };
        match token.verify(&key, now) {
            Ok(()) => return Ok(()),
            Err(SasError::BadSignature) => {}
            Err(other) => failure = other,
        }
    }
    let (check, mend) = match failure {
        SasError::Expired { .. } => ("token.expired", "Make a new token; see that the client's clock is right."),
        _ => ("token.signature", "Use the policy's current key; it may have been regenerated."),
    };
    Err(Denial::locked(check, format!("policy {}: {failure}", policy.name), mend))
}

/// The host that the request names, without a port.
fn requested_host(request: &Request<Bytes>) -> &str {
    let header = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let authority = request.uri().authority().map(http::uri::Authority::as_str);
    host_of(authority.or(header).unwrap_or_default())
}

/// The first segment of a resource, without a scheme: the host, perhaps with a port.
fn first_segment(resource: &str) -> &str {
    let rest = resource.split_once("://").map_or(resource, |(_, rest)| rest);
    rest.trim_start_matches('/').split(['/', '?']).next().unwrap_or_default()
}

/// A host without its port.
fn host_of(text: &str) -> &str {
    match text.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') && port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_read_out_of_whatever_tools_write() {
        for resource in
            ["dps.example", "dps.example:8443", "https://dps.example/", "https://dps.example:8443/enrollments/d?x=1", "/dps.example"]
        {
            assert_eq!(host_of(first_segment(resource)), "dps.example", "{resource}");
        }
        assert_eq!(host_of("[::1]"), "[::1]");
    }
}
