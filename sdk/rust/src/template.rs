//! JSON as a template: what is JSON's own stands for itself, what an author names stays a name.

use serde_json::Value;

/// A template that expands to this JSON. Texts in it are templates, already in the contract's words; keys are literal.
pub(crate) fn json(value: &Value) -> String {
    let mut template = String::new();
    write(value, &mut template);
    template
}

fn write(value: &Value, template: &mut String) {
    match value {
        // Quoting leaves braces alone, and a name has nothing to quote.
        Value::String(text) => template.push_str(&quoted(text)),
        Value::Null | Value::Bool(_) | Value::Number(_) => template.push_str(&value.to_string()),
        Value::Array(items) => {
            template.push('[');
            for (index, item) in items.iter().enumerate() {
                separate(index, template);
                write(item, template);
            }
            template.push(']');
        }
        Value::Object(members) => {
            template.push_str("{{");
            for (index, (key, member)) in members.iter().enumerate() {
                separate(index, template);
                template.push_str(&literal(&quoted(key)));
                template.push(':');
                write(member, template);
            }
            template.push_str("}}");
        }
    }
}

fn separate(index: usize, template: &mut String) {
    if index > 0 {
        template.push(',');
    }
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

fn literal(text: &str) -> String {
    text.replace('{', "{{").replace('}', "}}")
}

#[cfg(test)]
mod tests {
    use serde_json::json as value;

    use super::json;

    #[test]
    fn braces_of_json_are_doubled_and_names_stay() {
        let body = value!({"user": "{username}", "scopes": ["a", "b"], "deep": {"n": 1, "yes": true, "none": null}});
        let template = r#"{{"user":"{username}","scopes":["a","b"],"deep":{{"n":1,"yes":true,"none":null}}}}"#;
        assert_eq!(json(&body), template);
    }

    #[test]
    fn what_an_author_writes_is_escaped() {
        let body = value!({"a \"b\" {c}": "say \"{name}\"\n\\ {{literally}}"});
        assert_eq!(json(&body), r#"{{"a \"b\" {{c}}":"say \"{name}\"\n\\ {{literally}}"}}"#);
    }
}
