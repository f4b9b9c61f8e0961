//! Requests that the host makes to obtain a credential, and what it keeps of their answers.

use serde_json::Value;

use crate::authentication::parameter;
use crate::{Body, Capture, Placement, Request, Source, template};

impl Request {
    /// A request of a grant by any method. Its URL lies within the descriptor's origins.
    pub fn new(method: impl Into<String>, url: impl Into<String>) -> Self {
        Self { method: method.into(), url: url.into(), placements: Vec::new(), body: Body::None, captures: Vec::new() }
    }

    /// A GET request of a grant.
    pub fn get(url: impl Into<String>) -> Self {
        Self::new("GET", url)
    }

    /// A POST request of a grant.
    pub fn post(url: impl Into<String>) -> Self {
        Self::new("POST", url)
    }

    /// Attaches this to it.
    #[must_use]
    pub fn place(mut self, placement: impl Into<Placement>) -> Self {
        self.placements.push(placement.into());
        self
    }

    /// Attaches a header.
    #[must_use]
    pub fn header(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.place(Placement::header(name, value))
    }

    /// Sends a form. A field whose value is missing is left out.
    #[must_use]
    pub fn form<N: Into<String>, V: Into<String>>(mut self, fields: impl IntoIterator<Item = (N, V)>) -> Self {
        self.body = Body::form(fields);
        self
    }

    /// Sends JSON whose texts are templates: `json!({"user": "{username}"})`.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "`json!(..)` reads best where it is the argument")]
    pub fn json(mut self, value: Value) -> Self {
        self.body = Body::json(&value);
        self
    }

    /// Sends a text of any media type.
    #[must_use]
    pub fn text(mut self, media_type: impl Into<String>, text: impl Into<String>) -> Self {
        self.body = Body::text(media_type, text);
        self
    }

    /// Keeps something of the answer.
    #[must_use]
    pub fn capture(mut self, capture: Capture) -> Self {
        self.captures.push(capture);
        self
    }
}

impl Body {
    /// A form. A field whose value is missing is left out.
    pub fn form<N: Into<String>, V: Into<String>>(fields: impl IntoIterator<Item = (N, V)>) -> Self {
        Self::Form(fields.into_iter().map(|(name, value)| parameter(name, value)).collect())
    }

    /// JSON whose texts are templates; its own braces are taken care of.
    pub fn json(value: &Value) -> Self {
        Self::Json(template::json(value))
    }

    /// A text of any media type.
    pub fn text(media_type: impl Into<String>, text: impl Into<String>) -> Self {
        Self::Text((media_type.into(), text.into()))
    }
}

impl Capture {
    fn new(name: impl Into<String>, source: Source) -> Self {
        Self { name: name.into(), source, visible: false }
    }

    /// What stands at a JSON Pointer in the body; the empty pointer is the body as text.
    pub fn body(name: impl Into<String>, pointer: impl Into<String>) -> Self {
        Self::new(name, Source::Body(pointer.into()))
    }

    /// The value of a header.
    pub fn header(name: impl Into<String>, header: impl Into<String>) -> Self {
        Self::new(name, Source::Header(header.into()))
    }

    /// The value of a cookie that the answer sets.
    pub fn cookie(name: impl Into<String>, cookie: impl Into<String>) -> Self {
        Self::new(name, Source::Cookie(cookie.into()))
    }

    /// A parameter of the address to which the browser comes back.
    pub fn callback(name: impl Into<String>, parameter: impl Into<String>) -> Self {
        Self::new(name, Source::Callback(parameter.into()))
    }

    /// No secret: kept as a setting that the connector reads.
    #[must_use]
    pub fn visible(mut self) -> Self {
        self.visible = true;
        self
    }
}
