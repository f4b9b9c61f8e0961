//! The description of this API (OpenAPI 3.1), made from the handlers.

use utoipa::openapi::path::Operation;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Content, ContentBuilder, OpenApi as Document, Ref, RefOr, ResponseBuilder};
use utoipa::{Modify, OpenApi};

#[derive(OpenApi)]
#[openapi(
    info(title = "Turnbuckle", description = "Connections between automation and the systems outside it."),
    modifiers(&Bearer),
    security(("bearer" = [])),
)]
pub(crate) struct Description;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut Document) {
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        document.components.get_or_insert_default().add_security_scheme("bearer", SecurityScheme::Http(bearer));
    }
}

/// Completes a description: problems are `application/problem+json`, and every operation says which it may answer besides
/// those of its own.
pub(crate) fn with_problems(document: &mut Document) {
    for (path, item) in &mut document.paths.paths {
        let by_name = path.contains('{');
        let reading = [&mut item.get, &mut item.head, &mut item.options, &mut item.delete];
        let writing = [&mut item.post, &mut item.put, &mut item.patch];
        for operation in reading.into_iter().chain(writing).flatten() {
            problems(operation, by_name);
        }
    }
}

fn problems(operation: &mut Operation, by_name: bool) {
    // Bytes as they are, not a list of numbers.
    if let Some(RefOr::T(body)) = &mut operation.request_body
        && let Some(RefOr::T(component)) = body.content.get_mut("application/wasm")
    {
        let bytes = SchemaFormat::KnownFormat(KnownFormat::Binary);
        component.schema = Some(ObjectBuilder::new().schema_type(Type::String).format(Some(bytes)).build().into());
    }
    let answers = &mut operation.responses.responses;
    for (status, answer) in &mut *answers {
        if let (true, RefOr::T(answer)) = (status.starts_with(['4', '5']), answer)
            && let Some(words) = answer.content.shift_remove("application/json")
        {
            answer.content.insert(PROBLEM.to_owned(), words);
        }
    }
    // An answer of whatever kind is described: the service's own, which goes first.
    let own = operation.request_body.is_some();
    for (status, words, may) in [
        ("400", "The path, or the form of the request, is not readable", true),
        ("401", "No token, or none that is known here", true),
        ("403", "A permission is missing", true),
        ("404", "There is nothing of that name", by_name),
        ("409", "A rule of the host, or the state of what is asked for, stands against it", true),
        ("413", "The body is too large", own),
        ("415", "The body is of another kind", own),
        ("422", "Some of what was given is wrong; `problems` names each field", true),
    ] {
        if may && !answers.contains_key(status) {
            let words = ResponseBuilder::new().description(words).content(PROBLEM, problem()).build();
            answers.insert(status.to_owned(), words.into());
        }
    }
}

const PROBLEM: &str = "application/problem+json";

fn problem() -> Content {
    ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build()
}

/// The description as it is served at `/api/openapi.json`.
pub fn document() -> Document {
    crate::routes::described().1
}
