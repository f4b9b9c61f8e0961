//! Pages as answers: their policy, and what is told where a call of the host did not do what was asked.

use askama::Template;
use axum::response::{Html, IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use turnbuckle::{Error, User};

use super::frame::{Entry, Frame};
use crate::problem::Problem;

/// A page loads what this server has, sends forms here, and stands in nobody's frame. Nothing inline runs or styles.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// A page, made.
pub(crate) fn page(status: StatusCode, template: &impl Template) -> Response {
    match template.render() {
        Ok(text) => {
            let mut response = (status, Html(text)).into_response();
            let headers = response.headers_mut();
            headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
            // Where nothing at all is told, a browser does not say of its own form where it comes from, and it is refused.
            headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
            response
        }
        Err(error) => {
            tracing::error!(%error, "a page could not be made");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// On to a page of this server, by a fresh request.
pub(crate) fn to(path: &str) -> Response {
    match HeaderValue::try_from(path) {
        Ok(location) => (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response(),
        Err(_unprintable) => StatusCode::NOT_FOUND.into_response(),
    }
}

/// A part of a path, whatever it contains.
pub(crate) fn segment(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

/// What went wrong, for a page of its own.
#[derive(Debug, Clone)]
pub(crate) struct Failed {
    pub(crate) status: StatusCode,
    pub(crate) words: String,
    pub(crate) hint: Option<String>,
    pub(crate) users: Vec<User>,
}

impl Failed {
    /// A form that says what no page of this console does.
    pub(crate) fn form(words: &str) -> Self {
        Self { status: StatusCode::UNPROCESSABLE_ENTITY, words: words.to_owned(), hint: None, users: Vec::new() }
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        let hint = error.hint().map(sentence);
        let users = match &error {
            Error::InUse { users, .. } => users.clone(),
            _ => Vec::new(),
        };
        let problem = Problem::from(error);
        Self { status: problem.status(), words: sentence(problem.detail()), hint, users }
    }
}

/// The frame is put around it by the gate, which knows who it is for.
impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// As a person reads it: a capital at the beginning, a full stop at the end.
pub(crate) fn sentence(text: &str) -> String {
    let text = text.trim();
    let mut letters = text.chars();
    let mut whole: String = letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect();
    if !whole.is_empty() && !whole.ends_with(['.', '!', '?', '…', ':']) {
        whole.push('.');
    }
    whole
}

#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemPage {
    frame: Frame,
    headline: &'static str,
    failed: Failed,
}

/// A page about what went wrong.
pub(crate) fn problem(frame: Frame, failed: Failed) -> Response {
    let status = failed.status;
    let headline = match status {
        StatusCode::NOT_FOUND => "Not here",
        StatusCode::FORBIDDEN => "You may not do this",
        StatusCode::CONFLICT => "Not possible now",
        StatusCode::UNPROCESSABLE_ENTITY => "Something does not fit",
        _ => "It did not work",
    };
    page(status, &ProblemPage { frame, headline, failed })
}

#[derive(Template)]
#[template(path = "nowhere.html")]
struct Nowhere {
    entry: Entry,
}

/// There is no such page.
pub(crate) fn not_found() -> Response {
    page(StatusCode::NOT_FOUND, &Nowhere { entry: Entry::new("Not here") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fragments_become_sentences() {
        assert_eq!(sentence("there is no connection `x`"), "There is no connection `x`.");
        assert_eq!(sentence("What now?"), "What now?");
        assert_eq!(sentence(""), "");
    }

    #[test]
    fn a_name_stays_one_part_of_a_path() {
        assert_eq!(segment("a/b c@1.0.0+x"), "a%2Fb%20c%401.0.0%2Bx");
    }
}
