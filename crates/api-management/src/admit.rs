//! Who may come in: holders of the admin token, of a token from a log-in, or of one from the OIDC issuer where there is one.

use http::{HeaderMap, header};
use usher_audit::Actor;

use crate::{ManagementApi, answer::Refused, login::Worth, oidc::Rejection};

impl ManagementApi {
    /// Every request needs a token, whatever it asks for: a stranger must not learn which services there are.
    pub(crate) async fn authenticate(&self, headers: &HeaderMap) -> Result<Actor, Refused> {
        let header = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let shown = header.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, token)| token.trim());
        let token = shown.ok_or_else(Refused::unauthenticated)?;
        let expected = self.settings.token.expose().as_bytes();
        if aws_lc_rs::constant_time::verify_slices_are_equal(token.as_bytes(), expected).is_ok() {
            return Ok(Actor::Administrator);
        }
        match self.login.as_ref().map(|login| login.judge(token, self.ports.clock.now())) {
            Some(Worth::Good) => return Ok(Actor::Administrator),
            Some(Worth::Expired) => return Err(rejected(&Rejection::Expired)),
            Some(Worth::Foreign) | None => {}
        }
        let oidc = self.oidc.as_ref().ok_or_else(Refused::unauthenticated)?;
        oidc.verify(token).await.map(Actor::Issuer).map_err(|why| rejected(&why))
    }

    /// Who sends a request with these headers, if an administrator.
    pub async fn admitted(&self, headers: &HeaderMap) -> Option<Actor> {
        self.authenticate(headers).await.ok()
    }

    /// Whether a request with these headers comes from an administrator.
    pub async fn admits(&self, headers: &HeaderMap) -> bool {
        self.authenticate(headers).await.is_ok()
    }
}

fn rejected(why: &Rejection) -> Refused {
    let (status, code) = why.status();
    Refused { status, code, message: why.message(), mend: why.mend(), allow: None }
}
