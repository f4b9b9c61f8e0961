//! Signing in by a browser (RFC 6749 section 4.1): begun by somebody, finished by the same somebody, or not at all.
//!
//! A `state` and a code verifier stop a stranger who throws a code at the callback. They do not stop one who lets a victim
//! finish what he began himself, nor a service that passes another service's code on. So four things more are checked, each
//! before a token request could leave: the redirect URI belongs to one client of one connector at one service (RFC 9700 section
//! 4.4.2.2), and the sign-in must have been begun for it; what the service says of itself (`iss`, RFC 9207) must agree with
//! where the person was sent; the browser that comes back must be the one that began, known by a cookie or by being on the
//! machine of the command that began; and who finishes must be who began. A state serves once, whatever comes of it.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jiff::SignedDuration;
use oauth2::{PkceCodeChallenge, PkceCodeVerifier};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use url::Url;

use super::grant::Obtained;
use super::named::{self, is_holder};
use super::seal::Shelf;
use super::{Credentials, Pinned, Unusable, answer};
use crate::egress;
use crate::model::actor::Actor;
use crate::model::audit::{AuditAction, AuditEvent, AuditKind, AuditObject};
use crate::model::authentication::Source;
use crate::model::connection::Connection;
use crate::model::credential::{Binding, CODE, Pending, Purpose};
use crate::model::error::Error;
use crate::model::id::ConnectionId;
use crate::model::origin::Origin;
use crate::model::secret::Secret;
use crate::model::verdict::Failure;
use crate::model::view::Cookie;

/// RFC 9700 asks for a short life; a person has to find a password and a phone in it.
const LASTS: SignedDuration = SignedDuration::from_mins(10);
const CODE_VERIFIER: &str = "code-verifier";
const REDIRECT_URI: &str = "redirect-uri";
const STATE: &str = "state";

/// Where the browser ends up, which says how it is known again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Return {
    /// It holds a cookie.
    Cookie,
    /// It is sent to this port of its own machine.
    Loopback(u16),
}

/// What a sign-in begins with.
#[derive(Debug)]
pub(crate) struct Begin<'a> {
    /// Where this host is reached, such as `https://turnbuckle.example.com`.
    pub(crate) base: &'a Url,
    pub(crate) back: Return,
    pub(crate) purpose: Purpose,
}

/// A sign-in that waits for a person.
#[derive(Debug)]
pub(crate) struct Begun {
    pub(crate) url: Url,
    /// What has to be registered at the service.
    pub(crate) redirect_uri: String,
    pub(crate) expires_at: jiff::Timestamp,
    /// The browser's cookie, where it is known by one.
    pub(crate) cookie: Option<Cookie>,
}

/// The cookie of the browser that brings this state back. Each sign-in has one of its own, so that two of them in one browser
/// leave each other alone.
pub fn sign_in_cookie(state: &str) -> String {
    format!("turnbuckle-sign-in-{}", &hash(state)[..16])
}

/// What became of a callback.
#[derive(Debug)]
pub(crate) enum Callback {
    /// It came from where the sign-in began: the code may be exchanged.
    Finish(Box<Finish>),
    /// The browser goes on to the command that began.
    GoOn(Url),
}

/// A sign-in whose code may be exchanged.
#[derive(Debug)]
pub(crate) struct Finish {
    pub(crate) pending: Pending,
    shelved: String,
}

impl Credentials {
    /// Makes what `prepare` asks for, and the URL that a person is sent to.
    pub(crate) async fn begin(&self, actor: &Actor, pinned: Pinned<'_>, begin: Begin<'_>) -> Result<Begun, Unusable> {
        let connection = pinned.connection;
        let plan = self.plan_of(pinned, &connection.settings).await?;
        let Some(authorization) = &plan.grant.authorization else {
            return Err(no_browser(&connection.protocol).into());
        };
        let secrets = self.unseal(connection.id, &connection.secrets)?;
        let fields = self.field_values(pinned, &secrets)?;
        let provider = provider_of(connection, egress::authorization_origin(authorization, &fields).as_ref());
        let mut redirect_uri = begin.base.clone();
        redirect_uri.set_path(&format!("/oauth/callback/{provider}"));
        redirect_uri.set_query(None);
        redirect_uri.set_fragment(None);
        let (state, verifier) = (self.random_text(), PkceCodeVerifier::new(self.random_text()));
        let challenge = PkceCodeChallenge::from_code_verifier_sha256(&verifier);

        let mut base = fields.public(REDIRECT_URI, redirect_uri.as_str()).public(STATE, &state);
        let mut own = vec![
            ("response_type", "code".to_owned()),
            ("redirect_uri", redirect_uri.to_string()),
            ("state", state.clone()),
        ];
        let mut kept = BTreeMap::new();
        if authorization.pkce {
            own.push(("code_challenge", challenge.as_str().to_owned()));
            own.push(("code_challenge_method", challenge.method().as_str().to_owned()));
            base = base.secret(CODE_VERIFIER, Secret::new(verifier.secret()));
            kept.insert(CODE_VERIFIER.to_owned(), Secret::new(verifier.secret()));
        }
        let prepared = self
            .run(pinned, AuditAction::ConnectionObtain, &plan, &plan.grant.prepare, &base, Obtained::default())
            .await?;
        let values = prepared.added_to(base);
        let url = egress::authorization_url(authorization, &own, &values, &self.outside)?;
        kept.extend(prepared.secrets);

        let (binding, cookie) = match begin.back {
            Return::Loopback(port) => (Binding::Loopback(port), None),
            Return::Cookie => {
                let value = self.random_text();
                let binding = Binding::Cookie(hash(&value));
                (binding, Some(Cookie { name: sign_in_cookie(&state), value: Secret::new(value) }))
            }
        };
        let now = self.outside.now();
        let expires_at =
            now.checked_add(LASTS).map_err(|error| Error::internal("reading the clock")(Box::new(error)))?;
        let shelved = hash(&state);
        let pending = Pending {
            connection: connection.id,
            version: connection.version,
            purpose: begin.purpose,
            provider,
            redirect_uri: redirect_uri.to_string(),
            sent_to: url.origin().ascii_serialization(),
            actor: actor.name().to_owned(),
            binding,
            expires_at,
            secrets: BTreeMap::new(),
            visible: prepared.visible,
            plan,
        };
        let event = AuditEvent::of(now, actor.name(), AuditAction::ConnectionAuthorize, connection);
        let event = AuditEvent { origins: vec![pending.sent_to.clone()], ..event };
        self.store.note(event);
        self.shelve(shelved, pending, kept).await?;
        Ok(Begun { url, redirect_uri: redirect_uri.into(), expires_at, cookie })
    }

    /// Judges a callback. Whatever it says, its state is used up.
    pub(crate) async fn callback(
        &self,
        provider: &str,
        parameters: &[(String, String)],
        cookie: Option<&str>,
    ) -> Result<Callback, Unusable> {
        let state = once(parameters, STATE).ok_or_else(|| refused("it has no state"))?;
        let shelved = hash(state);
        let Some(pending) = self.take(&shelved).await? else {
            // Anybody can make one up, so nothing of it is kept.
            return Err(refused("its state is not known, was used before, or has expired"));
        };
        let (who, connection) = (pending.actor.clone(), pending.connection);
        let judged = self.judge(provider, parameters, cookie, (state, &shelved), pending).await;
        if let Err(unusable) = &judged {
            self.note_not_signed_in(&who, connection, unusable)?;
        }
        judged
    }

    /// Puts down that a sign-in somebody began came to nothing.
    pub(crate) fn note_not_signed_in(&self, who: &str, id: ConnectionId, unusable: &Unusable) -> Result<(), Error> {
        let (now, action) = (self.outside.now(), AuditAction::ConnectionSignIn);
        let event = match self.store.read(|reader| reader.connection(id))? {
            Some(connection) => AuditEvent::of(now, who, action, &connection),
            None => match self.store.read(|reader| reader.holder(id))? {
                Some(holder) => {
                    let object = AuditObject::with_id(AuditKind::Principal, id, &holder.principal);
                    AuditEvent::new(now, who, AuditAction::PrincipalSignIn, object)
                }
                None => AuditEvent::new(now, who, action, AuditObject::with_id(AuditKind::Connection, id, "")),
            },
        };
        self.store.note(match unusable {
            Unusable::Failed(failure) => event.failed(failure.kind.name()),
            Unusable::Error(error) => event.ended(error),
        });
        Ok(())
    }

    async fn judge(
        &self,
        provider: &str,
        parameters: &[(String, String)],
        cookie: Option<&str>,
        (state, shelved): (&str, &str),
        pending: Pending,
    ) -> Result<Callback, Unusable> {
        let parameter = |name: &str| once(parameters, name);
        let now = self.outside.now();
        if pending.expires_at < now {
            return Err(refused("it came too late; begin again"));
        }
        if pending.provider != provider {
            return Err(refused("it came to the callback of another client"));
        }
        // A receipt is no state, and a cookie proves only what was begun with one.
        match &pending.binding {
            Binding::Cookie(expected) => {
                let same = cookie.is_some_and(|cookie| bool::from(hash(cookie).as_bytes().ct_eq(expected.as_bytes())));
                if !same {
                    return Err(refused("it came from another browser than the one that began"));
                }
            }
            Binding::Loopback(_) => {}
            Binding::Receipt(_) => return Err(refused("its state was used before")),
        }
        // RFC 6749 section 3.1: what stands there twice means nothing, and must not pass for what is not there.
        let mut names: Vec<_> = parameters.iter().map(|(name, _)| name).collect();
        names.sort_unstable();
        if names.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(refused("it says one thing twice"));
        }
        if let Some(issuer) = parameter("iss")
            && !is_issuer(issuer, &pending.sent_to)
        {
            return Err(refused("it comes from another service than the one that the person was sent to"));
        }
        if let Some(code) = parameter("error") {
            let failure = answer::of_callback(code, parameter("error_description"));
            return match pending.binding {
                // The state is used up; to the command it proves that this is no page that guessed its port.
                Binding::Loopback(port) => {
                    Ok(Callback::GoOn(loopback(port, &[("error", &failure.message), (STATE, state)])?))
                }
                Binding::Cookie(_) | Binding::Receipt(_) => Err(Unusable::Failed(failure)),
            };
        }
        let mut secrets = self.unseal_from(Shelf::Pending, shelved, &pending.secrets).map_err(Error::from)?;
        let mut pending = pending;
        let code = parameter("code").filter(|code| !code.is_empty());
        if let Some(code) = code {
            secrets.insert(CODE.to_owned(), Secret::new(code));
        }
        // OAuth 1.0 has a verifier for a code, which its plan captures.
        let mut exchangeable = code.is_some();
        let captures = pending.plan.grant.authorization.iter().flat_map(|authorization| &authorization.captures);
        for capture in captures {
            let Source::Callback(name) = &capture.source else { continue };
            exchangeable |= parameter(name).is_some_and(|value| !value.is_empty());
            let Some(value) = parameter(name).filter(|value| value.len() <= 16 << 10) else { continue };
            if capture.visible {
                pending.visible.insert(capture.name.clone(), value.to_owned());
            } else {
                secrets.insert(capture.name.clone(), Secret::new(value));
            }
        }
        if !exchangeable {
            return Err(refused("it brings no code"));
        }
        if let Binding::Loopback(port) = pending.binding {
            let receipt = self.random_text();
            let shelved = hash(&receipt);
            pending.binding = Binding::Receipt(shelved.clone());
            self.shelve(shelved, pending, secrets).await?;
            return Ok(Callback::GoOn(loopback(port, &[("receipt", &receipt)])?));
        }
        // Sealed again for the place where it stood, so that there is one way on from here.
        pending.secrets = self.seal_on(Shelf::Pending, shelved, &secrets);
        Ok(Callback::Finish(Box::new(Finish { pending, shelved: shelved.to_owned() })))
    }

    /// Takes a receipt for whoever began, and nobody else.
    pub(crate) async fn receipt(&self, actor: &Actor, receipt: &str) -> Result<Finish, Error> {
        let shelved = hash(receipt);
        let now = self.outside.now();
        let good = self.take(&shelved).await?.filter(|pending| {
            pending.expires_at >= now
                && pending.actor == actor.name()
                && matches!(&pending.binding, Binding::Receipt(expected) if *expected == shelved)
        });
        match good {
            Some(pending) => Ok(Finish { pending, shelved }),
            None => Err(Error::Refused {
                rule: "receipt",
                message: "the receipt is not known, was used before, or has expired".into(),
                hint: Some("authorize the connection again".into()),
            }),
        }
    }

    /// Exchanges the code. Nothing is stored yet.
    pub(crate) async fn exchange(&self, pinned: Pinned<'_>, finish: &Finish) -> Result<Obtained, Unusable> {
        let Finish { pending, shelved } = finish;
        let connection = pinned.connection;
        if connection.version != pending.version {
            return Err(refused("it was changed meanwhile; begin again"));
        }
        let secrets = self.unseal(connection.id, &connection.secrets)?;
        let mut base = self.field_values(pinned, &secrets)?.public(REDIRECT_URI, &pending.redirect_uri);
        for (name, secret) in self.unseal_from(Shelf::Pending, shelved, &pending.secrets).map_err(Error::from)? {
            base = base.secret(name, secret);
        }
        for (name, value) in &pending.visible {
            base = base.public(name, value);
        }
        let plan = &pending.plan;
        let obtained =
            self.run(pinned, AuditAction::ConnectionObtain, plan, &plan.grant.token, &base, Obtained::default()).await;
        let mut obtained = obtained.map_err(|broke| match Unusable::from(broke) {
            // Of a code this says that it was not taken, not that anything was revoked.
            Unusable::Failed(failure) if answer::is_invalid_grant(&failure) => {
                Unusable::Failed(Failure { kind: crate::model::verdict::FailureKind::Unauthorized, ..failure })
            }
            other => other,
        })?;
        // What the sign-in learned before the code is part of what was obtained: a client that was registered, say.
        let prepared = plan.grant.prepare.iter().flat_map(|request| &request.captures);
        let called_back = plan.grant.authorization.iter().flat_map(|authorization| &authorization.captures);
        let names: Vec<_> = prepared.chain(called_back).map(|capture| &capture.name).collect();
        for (name, secret) in self.unseal_from(Shelf::Pending, shelved, &pending.secrets).map_err(Error::from)? {
            if names.contains(&&name) {
                obtained.secrets.entry(name).or_insert(secret);
            }
        }
        for (name, value) in &pending.visible {
            obtained.visible.entry(name.clone()).or_insert_with(|| value.clone());
        }
        self.complete(plan, obtained)
    }

    /// What waits under this hash, which waits no longer.
    async fn take(&self, shelved: &str) -> Result<Option<Pending>, Error> {
        let (shelved, now) = (shelved.to_owned(), self.outside.now());
        self.store.write(move |writer| writer.take_pending(&shelved, now).map_err(Error::from)).await
    }

    /// Keeps a sign-in under a hash, its secrets sealed on the writer's thread.
    async fn shelve(
        &self,
        shelved: String,
        mut pending: Pending,
        secrets: BTreeMap<String, Secret>,
    ) -> Result<(), Error> {
        let (credentials, now) = (self.clone(), self.outside.now());
        self.store
            .write(move |writer| {
                writer.clear_pending(now)?;
                pending.secrets = credentials.seal_on(Shelf::Pending, &shelved, &secrets);
                writer.put_pending(&shelved, &pending)?;
                Ok(())
            })
            .await
    }

    /// 256 random bits as text: RFC 7636 section 4.1 takes it for a verifier too.
    fn random_text(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(self.outside.random::<32>())
    }
}

/// The last part of a connection's redirect URI. A client of its own has one that no identity provider can be named like. It
/// names the service too, such as `http.oauth2.login.example.com`: where the connection's settings say which service it is, a
/// service could otherwise have the code of another one brought to itself.
fn provider_of(connection: &Connection, service: Option<&Origin>) -> String {
    if let Some(name) = &connection.identity_provider {
        return if is_holder(connection) { named::provider(name, service) } else { name.clone() };
    }
    let own = format!("{}.{}", connection.connector.name, connection.protocol);
    match service {
        Some(service) if service.scheme() == "https" && service.port() == 443 => format!("{own}.{}", service.host()),
        Some(service) => format!("{own}.{}:{}", service.host(), service.port()),
        // Only what the service itself answered first says where it is.
        None => own,
    }
}

/// RFC 6749 section 3.1: none may stand there twice.
fn once<'a>(parameters: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let mut found = parameters.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str());
    found.next().filter(|_| found.next().is_none())
}

/// RFC 9207 compares issuers; a plan knows the authorization endpoint, which an issuer shares its origin with.
fn is_issuer(issuer: &str, sent_to: &str) -> bool {
    Url::parse(issuer).is_ok_and(|issuer| issuer.origin().ascii_serialization() == sent_to)
}

fn loopback(port: u16, parameters: &[(&str, &str)]) -> Result<Url, Error> {
    let base = format!("http://127.0.0.1:{port}/");
    Url::parse_with_params(&base, parameters).map_err(|error| Error::internal("writing a URL")(Box::new(error)))
}

fn hash(text: &str) -> String {
    hex::encode(Sha256::digest(text))
}

fn refused(why: &str) -> Unusable {
    Unusable::Error(Error::Refused {
        rule: "callback",
        message: format!("the sign-in is refused: {why}"),
        hint: Some("nothing was sent and nothing was stored; authorize the connection again".into()),
    })
}

fn no_browser(protocol: &str) -> Error {
    Error::Refused {
        rule: "no-browser",
        message: format!("the protocol `{protocol}` signs in without a browser"),
        hint: Some("reconnect the connection with new secrets instead".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_challenge_is_that_of_the_rfc() {
        // RFC 7636 appendix B.
        let verifier = PkceCodeVerifier::new("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk".to_owned());
        let challenge = PkceCodeChallenge::from_code_verifier_sha256(&verifier);
        assert_eq!(challenge.as_str(), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
        assert_eq!(challenge.method().as_str(), "S256");
    }

    #[test]
    fn an_issuer_shares_its_origin_with_where_the_person_was_sent() {
        for good in ["https://login.example.com", "https://login.example.com/", "https://login.example.com/tenant/v2.0"]
        {
            assert!(is_issuer(good, "https://login.example.com"), "{good}");
        }
        for bad in [
            "https://attacker.example",
            "https://login.example.com.attacker.example",
            "https://login.example.com@attacker.example",
            "http://login.example.com",
            "https://login.example.com:8443",
            "login.example.com",
            "",
        ] {
            assert!(!is_issuer(bad, "https://login.example.com"), "{bad}");
        }
    }
}
