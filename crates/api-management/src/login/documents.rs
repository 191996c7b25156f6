//! What log-in libraries and azure-cli read before they log in: where to, and whether to believe it.

use serde_json::{Value, json};

use crate::SUBSCRIPTION;

/// The endpoints of this cloud, for `az cloud register --endpoint-resource-manager` (azure-cli-core: cloud.py). Names of years past stand
/// beside today's, since versions differ in which they read. The tenant is `common`, as in Azure's own document: Terraform's azurerm takes
/// every other for an Azure Stack, which it refuses (go-azure-sdk: sdk/environments/azure_stack.go).
pub fn endpoints(base: &str) -> Value {
    json!({
        "name": "usher",
        "galleryEndpoint": base,
        "graphEndpoint": base,
        "graph": base,
        "portalEndpoint": base,
        "portal": base,
        "resourceManager": base,
        "authentication": {
            "loginEndpoint": base,
            "audiences": [base],
            "tenant": "common",
            "identityProvider": "AAD",
        },
        "media": base,
        "graphAudience": base,
        "batch": base,
        "sqlManagement": base,
        "microsoftGraphResourceId": base,
        "activeDirectoryDataLake": base,
        // Terraform's azurerm does not start without names for these two, which no resource of usher needs (internal/clients/builder.go).
        // `.invalid` leads nowhere for certain (RFC 6761 section 6.4).
        "suffixes": { "storage": "storage.invalid", "keyVaultDns": "vault.invalid" },
    })
}

/// The description of a tenant's log-in (OpenID Connect Discovery 1.0 section 3).
pub fn openid(base: &str, tenant: &str) -> Value {
    let of_tenant = format!("{base}/{tenant}");
    json!({
        "issuer": format!("{of_tenant}/v2.0"),
        "token_endpoint": format!("{of_tenant}/oauth2/v2.0/token"),
        "authorization_endpoint": format!("{of_tenant}/oauth2/v2.0/authorize"),
        "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
        "response_types_supported": ["token"],
        "grant_types_supported": ["client_credentials"],
        "scopes_supported": ["openid"],
        "subject_types_supported": ["public"],
        "tenant_region_scope": null,
    })
}

/// Which authorities are believed (MSAL: instance discovery): this one, whoever asks.
pub fn instances(base: &str) -> Value {
    let host = base.strip_prefix("https://").unwrap_or(base);
    json!({
        "tenant_discovery_endpoint": format!("{base}/{SUBSCRIPTION}/v2.0/.well-known/openid-configuration"),
        "api-version": "1.1",
        "metadata": [{ "preferred_network": host, "preferred_cache": host, "aliases": [host] }],
    })
}
