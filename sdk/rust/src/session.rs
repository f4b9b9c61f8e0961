//! Signing in by requests of the service's own making, without OAuth.

use crate::{Authentication, Grant, Placement, Request};

/// Signs in with this request, and again when what it brought has expired. The protocol signs in
/// [`SignIn::Unattended`](crate::SignIn::Unattended).
///
/// ```
/// # use turnbuckle_sdk::{Capture, Placement, Request, json::json, session};
/// let sign_in = Request::post("https://{subdomain}.example.com/sessions")
///     .json(json!({"user": "{username}", "password": "{password}"}))
///     .capture(Capture::body("session-id", "/id"));
/// session(sign_in).place(Placement::header("X-Session", "{session-id}")).build();
/// ```
pub fn session(sign_in: Request) -> Session {
    let grant = Grant { token: vec![sign_in], ..Grant::default() };
    Session { authentication: Authentication { grant, ..Authentication::new() } }
}

/// A sign-in in the making.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "build it"]
pub struct Session {
    authentication: Authentication,
}

impl Session {
    /// A further step, with what those before captured.
    pub fn then(mut self, request: Request) -> Self {
        self.authentication.grant.token.push(request);
        self
    }

    /// Renews by this instead of signing in again.
    pub fn refresh(mut self, request: Request) -> Self {
        self.authentication.grant.refresh.push(request);
        self
    }

    /// Signs out by this when the connection is deleted or reconnected.
    pub fn sign_out(mut self, request: Request) -> Self {
        self.authentication.grant.revocation.push(request);
        self
    }

    /// How long it lasts, where no answer tells.
    pub fn lifetime(mut self, seconds: u32) -> Self {
        self.authentication.grant.lifetime_seconds = Some(seconds);
        self
    }

    /// Attaches this to every request afterwards.
    pub fn place(mut self, placement: impl Into<Placement>) -> Self {
        self.authentication = self.authentication.place(placement);
        self
    }

    /// As the contract writes it.
    pub fn build(self) -> Authentication {
        self.authentication
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Capture;
    use crate::testing::authentication;

    #[test]
    fn each_step_stands_on_those_before() {
        let sign_in = Request::post("https://a.example/login")
            .json(json!({"user": "{username}", "password": "{password}"}))
            .capture(Capture::cookie("sid", "SID"))
            .capture(Capture::body("region", "/region").visible());
        let exchange = Request::get("https://a.example/token")
            .header("Accept", "text/plain")
            .place(Placement::cookie("SID", "{sid}"))
            .capture(Capture::body("token", ""));
        let session = session(sign_in)
            .then(exchange)
            .refresh(Request::post("https://a.example/renew").form([("token", "{token}")]))
            .sign_out(Request::post("https://a.example/logout").text("text/xml", "<bye>{token}</bye>"))
            .lifetime(1200)
            .place(Placement::header("X-Token", "{token}"));
        assert_eq!(
            authentication(&session.build()),
            [
                "token POST https://a.example/login",
                r#"  json {{"user":"{username}","password":"{password}"}}"#,
                "  capture sid = cookie SID",
                "  capture region = body /region, visible",
                "token GET https://a.example/token",
                "  header Accept: text/plain",
                "  cookie SID={sid}",
                "  capture token = body",
                "refresh POST https://a.example/renew",
                "  form token={token}",
                "revocation POST https://a.example/logout",
                "  text text/xml: <bye>{token}</bye>",
                "lifetime 1200 s",
                "header X-Token: {token}",
            ]
        );
    }
}
