//! Where a credential goes. Every value is a template that the host expands.

use crate::authentication::parameter;
use crate::{Basic, Certificate, Oauth1, Oauth1Signature, Placement, Sigv4};

fn basic(username: impl Into<String>, password: impl Into<String>) -> Basic {
    Basic { username: username.into(), password: password.into() }
}

impl Placement {
    /// A header, such as `Authorization: Bearer {token}`.
    pub fn header(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self::Header(parameter(name, value))
    }

    /// A query parameter.
    pub fn query(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self::Query(parameter(name, value))
    }

    /// A cookie.
    pub fn cookie(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self::Cookie(parameter(name, value))
    }

    /// What the host puts before the path of every request: `/bot{bot-token}`.
    pub fn path_prefix(template: impl Into<String>) -> Self {
        Self::PathPrefix(template.into())
    }

    /// A form field, or a JSON Pointer into a JSON body.
    pub fn body(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self::Body(parameter(name, value))
    }

    /// Basic authentication (RFC 7617).
    pub fn basic_auth(username: impl Into<String>, password: impl Into<String>) -> Self {
        Self::Basic(basic(username, password))
    }

    /// Digest authentication (RFC 7616).
    pub fn digest_auth(username: impl Into<String>, password: impl Into<String>) -> Self {
        Self::Digest(basic(username, password))
    }

    /// A signature by OAuth 1.0a with HMAC-SHA1. [`Oauth1`] has the options.
    ///
    /// ```
    /// # use turnbuckle_sdk::Placement;
    /// Placement::oauth1("{consumer-key}", "{consumer-secret}", "{token}", "{token-secret}");
    /// ```
    pub fn oauth1(
        consumer_key: impl Into<String>,
        consumer_secret: impl Into<String>,
        token: impl Into<String>,
        token_secret: impl Into<String>,
    ) -> Self {
        Oauth1::new(consumer_key, consumer_secret).token(token, token_secret).into()
    }

    /// A signature by AWS Signature Version 4. [`Sigv4`] takes a session token besides.
    ///
    /// ```
    /// # use turnbuckle_sdk::Placement;
    /// Placement::aws_sigv4("{region}", "s3", "{access-key-id}", "{secret-access-key}");
    /// ```
    pub fn aws_sigv4(
        region: impl Into<String>,
        service: impl Into<String>,
        access_key_id: impl Into<String>,
        secret_access_key: impl Into<String>,
    ) -> Self {
        Sigv4::new(region, service, access_key_id, secret_access_key).into()
    }

    /// A client certificate for TLS; its chain and its key in PEM.
    pub fn client_certificate(chain: impl Into<String>, key: impl Into<String>) -> Self {
        Self::ClientCertificate(Certificate { chain: chain.into(), key: key.into() })
    }

    /// The headers that this connector's [`Signer`](crate::Signer) answers.
    pub fn signed() -> Self {
        Self::Signed
    }
}

impl Oauth1 {
    /// Signs for a consumer (RFC 5849 calls it the client), with HMAC-SHA1 until told otherwise.
    ///
    /// ```
    /// # use turnbuckle_sdk::{Authentication, Oauth1, Oauth1Signature};
    /// let signature = Oauth1::new("{consumer-key}", "{consumer-secret}")
    ///     .token("{token-id}", "{token-secret}")
    ///     .signature(Oauth1Signature::HmacSha256)
    ///     .realm("{account-id}");
    /// Authentication::new().place(signature);
    /// ```
    pub fn new(consumer_key: impl Into<String>, consumer_secret: impl Into<String>) -> Self {
        Self {
            signature: Oauth1Signature::HmacSha1,
            consumer_key: consumer_key.into(),
            consumer_secret: consumer_secret.into(),
            token: None,
            token_secret: None,
            parameters: Vec::new(),
        }
    }

    /// On behalf of the account that this token stands for.
    #[must_use]
    pub fn token(mut self, token: impl Into<String>, secret: impl Into<String>) -> Self {
        (self.token, self.token_secret) = (Some(token.into()), Some(secret.into()));
        self
    }

    /// How it signs.
    #[must_use]
    pub fn signature(mut self, signature: Oauth1Signature) -> Self {
        self.signature = signature;
        self
    }

    /// The realm, such as a NetSuite account.
    #[must_use]
    pub fn realm(self, realm: impl Into<String>) -> Self {
        self.parameter("realm", realm)
    }

    /// A further parameter of the `Authorization` header, such as `oauth_callback` where a request token is asked for.
    #[must_use]
    pub fn parameter(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.parameters.push(parameter(name, value));
        self
    }
}

impl Sigv4 {
    /// Signs for a service in a region, with a key that lasts.
    pub fn new(
        region: impl Into<String>,
        service: impl Into<String>,
        access_key_id: impl Into<String>,
        secret_access_key: impl Into<String>,
    ) -> Self {
        Self {
            region: region.into(),
            service: service.into(),
            access_key_id: access_key_id.into(),
            secret_access_key: secret_access_key.into(),
            session_token: None,
        }
    }

    /// What goes with a key that was lent for a while.
    ///
    /// ```
    /// # use turnbuckle_sdk::{Authentication, Sigv4};
    /// let signature = Sigv4::new("{region}", "s3", "{access-key-id}", "{secret-access-key}");
    /// Authentication::new().place(signature.session_token("{session-token}"));
    /// ```
    #[must_use]
    pub fn session_token(mut self, token: impl Into<String>) -> Self {
        self.session_token = Some(token.into());
        self
    }
}

impl From<Oauth1> for Placement {
    fn from(oauth1: Oauth1) -> Self {
        Self::Oauth1(oauth1)
    }
}

impl From<Sigv4> for Placement {
    fn from(sigv4: Sigv4) -> Self {
        Self::AwsSigv4(sigv4)
    }
}
