//! Whether an icon is a picture and nothing else.
//!
//! Icons are shown through `<img>` from a route with a sandboxing policy, where no script runs. This is the second wall.

use roxmltree::{Document, ParsingOptions};

const BYTES: usize = 32 * 1024;
const NODES: u32 = 2_000;

/// Elements that draw. What is not here is refused, so a new kind of script element is refused too.
const DRAWING: &[&str] = &[
    "svg",
    "g",
    "path",
    "rect",
    "circle",
    "ellipse",
    "line",
    "polyline",
    "polygon",
    "text",
    "tspan",
    "defs",
    "title",
    "desc",
    "linearGradient",
    "radialGradient",
    "stop",
    "clipPath",
    "mask",
    "symbol",
    "use",
];

/// Says why it is refused.
pub(crate) fn judge(svg: &str) -> Result<(), String> {
    if svg.len() > BYTES {
        return Err(format!("has {} bytes; at most {BYTES} are allowed", svg.len()));
    }
    let options = ParsingOptions { allow_dtd: false, nodes_limit: NODES, ..ParsingOptions::default() };
    let document = Document::parse_with_options(svg, options).map_err(|error| format!("is not SVG: {error}"))?;
    if document.root_element().tag_name().name() != "svg" {
        return Err("is not SVG: its root element is not `svg`".into());
    }
    for node in document.descendants() {
        if node.is_pi() {
            return Err("must not contain processing instructions".into());
        }
        if !node.is_element() {
            continue;
        }
        let element = node.tag_name().name();
        if !DRAWING.contains(&element) {
            return Err(format!("the element `{element}` is not allowed in an icon"));
        }
        for attribute in node.attributes() {
            let name = attribute.name().to_ascii_lowercase();
            let value = attribute.value().trim().to_ascii_lowercase();
            if name.starts_with("on") || name == "style" {
                return Err(format!("the attribute `{name}` is not allowed in an icon"));
            }
            if name == "href" && !value.starts_with('#') {
                return Err("an icon may refer only to itself".into());
            }
            functions(&value)?;
        }
    }
    Ok(())
}

/// What stands before a bracket in an attribute that CSS reads: shapes and colours, and `url` of a part of the icon itself.
/// `image-set`, `src` and whatever else may fetch one day is not among them.
const FUNCTIONS: &[&str] = &[
    "",
    "url",
    "rgb",
    "rgba",
    "hsl",
    "hsla",
    "matrix",
    "translate",
    "translatex",
    "translatey",
    "scale",
    "scalex",
    "scaley",
    "rotate",
    "skewx",
    "skewy",
];

fn functions(value: &str) -> Result<(), String> {
    let mut pieces = value.split('(');
    let mut before = pieces.next().unwrap_or_default();
    for behind in pieces {
        // CSS reads `\75 rl(` as `url(`: a name ends at what no name holds, and a backslash is in none of these.
        let ends = |c: char| c.is_whitespace() || matches!(c, ',' | ')' | ';' | ':');
        let name = before.rsplit(ends).next().unwrap_or_default();
        let escaped = before.contains('\\');
        if escaped || !FUNCTIONS.contains(&name) {
            let name: String = name.chars().take(40).collect();
            return Err(format!("the function `{name}` is not allowed in an icon"));
        }
        let target = behind.trim_start_matches(|c: char| c.is_whitespace() || matches!(c, '"' | '\''));
        if name == "url" && !target.starts_with('#') {
            return Err("an icon may refer only to itself".into());
        }
        before = behind;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::judge;

    #[test]
    fn a_drawing_passes() {
        for inside in [
            "<defs><linearGradient id='a'/></defs><path fill='url(#a)' d='M0 0h8v8z'/>",
            "<rect fill='url( &quot;#a&quot; ) rgb(1, 2, 3)' transform='translate(1 2) rotate(45)'/>",
            "<text>a (b) \\c</text>",
        ] {
            let svg = format!("<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 8 8'>{inside}</svg>");
            assert_eq!(judge(&svg), Ok(()), "{inside}");
        }
    }

    #[test]
    fn whatever_could_act_or_call_out_is_refused() {
        for inside in [
            "<script>alert(1)</script>",
            "<g onload='alert(1)'/>",
            "<foreignObject/>",
            "<image href='https://example.com/x.png'/>",
            "<use href='https://example.com/x.svg#a'/>",
            "<style>@import 'x'</style>",
            "<rect style='fill:red'/>",
            "<rect fill='url(https://example.com/)'/>",
            "<a href='javascript:alert(1)'/>",
            "<animate attributeName='href'/>",
            "<?xml-stylesheet href='x'?>",
            "<rect mask='url(#a), url(https://example.com/)'/>",
            "<rect mask='url(&quot;https://example.com/#a&quot;)'/>",
            "<rect fill='\\75 rl(https://example.com/)'/>",
            "<rect mask='image-set(&quot;https://example.com/x.png&quot; 1x)'/>",
        ] {
            let svg = format!("<svg xmlns='http://www.w3.org/2000/svg'>{inside}</svg>");
            assert!(judge(&svg).is_err(), "{inside}");
        }
        assert!(judge("<!DOCTYPE svg [<!ENTITY a 'b'>]><svg>&a;</svg>").is_err());
        assert!(judge("<html/>").is_err());
        assert!(judge("not xml").is_err());
    }
}
