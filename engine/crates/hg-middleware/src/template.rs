//! Texts with variables: `${client_ip}`, `$$` for a dollar sign.

use crate::variables::Variable;
use crate::view::RequestView;
use std::fmt;
use std::sync::Arc;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(Box<str>),
    Variable(Variable),
    Made(Made),
}

/// A text that a middleware makes of the request, where no variable will do.
pub(crate) trait Value: fmt::Debug + Send + Sync {
    /// Appends the text; nothing leaves a header's line out.
    fn append(&self, view: &RequestView<'_>, out: &mut Vec<u8>);
}

#[derive(Clone, Debug)]
struct Made(Arc<dyn Value>);

impl PartialEq for Made {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Made {}

/// A compiled text. Rendering appends to the caller's buffer and allocates nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    parts: Box<[Part]>,
}

impl Template {
    /// Compiles a text in which `${name}` is a variable of [`crate::VARIABLES`] and `$$` a dollar
    /// sign.
    ///
    /// # Errors
    /// Returns a sentence about an unknown variable (with the allowed ones), a dollar sign that
    /// stands alone, or a brace that is not closed.
    pub fn compile(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        for piece in pieces(text) {
            match piece? {
                Piece::Text(text) => literal.push_str(text),
                Piece::Dollar => literal.push('$'),
                Piece::Name(name) => {
                    let variable = Variable::parse(name)?;
                    if !literal.is_empty() {
                        parts.push(Part::Text(std::mem::take(&mut literal).into()));
                    }
                    parts.push(Part::Variable(variable));
                }
                Piece::Number(digits) => {
                    return Err(format!(
                        "`${digits}` has a meaning in rewrite.regex.with only; write `$$` for a dollar sign"
                    ));
                }
            }
        }
        if !literal.is_empty() {
            parts.push(Part::Text(literal.into()));
        }
        Ok(Self { parts: parts.into() })
    }

    /// Returns a text without variables.
    pub(crate) fn text(text: &str) -> Self {
        Self { parts: [Part::Text(text.into())].into() }
    }

    /// Returns what a middleware makes of each request.
    pub(crate) fn made(value: impl Value + 'static) -> Self {
        Self { parts: [Part::Made(Made(Arc::new(value)))].into() }
    }

    /// Returns the text itself if it has no variable.
    pub fn as_literal(&self) -> Option<&str> {
        match &*self.parts {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// Appends the text with the variables' values, unescaped.
    pub fn render(&self, view: &RequestView<'_>, out: &mut Vec<u8>) {
        self.render_with(view, out, |_, _| {});
    }

    /// Renders as [`Self::render`] does; `clean` then makes each value (what begins at that length)
    /// harmless for its target.
    pub(crate) fn render_with(
        &self,
        view: &RequestView<'_>,
        out: &mut Vec<u8>,
        clean: impl Fn(&mut Vec<u8>, usize),
    ) {
        for part in &self.parts {
            match part {
                Part::Text(text) => out.extend_from_slice(text.as_bytes()),
                Part::Variable(variable) => {
                    let from = out.len();
                    variable.render(view, out);
                    clean(out, from);
                }
                Part::Made(Made(value)) => {
                    let from = out.len();
                    value.append(view, out);
                    clean(out, from);
                }
            }
        }
    }

    /// Returns the parts that are not variables.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Text(text) => Some(&**text),
            Part::Variable(_) | Part::Made(_) => None,
        })
    }

    /// Returns the text before the first variable, if there is one.
    pub(crate) fn leading_text(&self) -> Option<&str> {
        match self.parts.first() {
            Some(Part::Text(text)) => Some(text),
            _ => None,
        }
    }
}

/// A piece of a text with dollar signs.
pub(crate) enum Piece<'a> {
    Text(&'a str),
    /// `$$`
    Dollar,
    /// `${name}`
    Name(&'a str),
    /// `$1`
    Number(&'a str),
}

/// Splits a text at its dollar signs.
pub(crate) fn pieces(text: &str) -> impl Iterator<Item = Result<Piece<'_>, String>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (piece, after) = match next(rest) {
            Ok(found) => found,
            Err(message) => {
                rest = "";
                return Some(Err(message));
            }
        };
        rest = after;
        Some(Ok(piece))
    })
}

fn next(text: &str) -> Result<(Piece<'_>, &str), String> {
    let Some(after) = text.strip_prefix('$') else {
        let (plain, rest) = text.split_at(text.find('$').unwrap_or(text.len()));
        return Ok((Piece::Text(plain), rest));
    };
    if let Some(rest) = after.strip_prefix('$') {
        return Ok((Piece::Dollar, rest));
    }
    if let Some(named) = after.strip_prefix('{') {
        let (name, rest) = named
            .split_once('}')
            .ok_or_else(|| format!("`${{{named}` has no closing brace; write one"))?;
        return Ok((Piece::Name(name), rest));
    }
    let digits = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
    if digits > 0 {
        let (number, rest) = after.split_at(digits);
        return Ok((Piece::Number(number), rest));
    }
    Err(format!(
        "`{text}` has a dollar sign without a name; write a variable as `${{name}}`, a dollar sign as `$$`"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::VARIABLES;
    use crate::testing::{text_of, view};

    #[test]
    fn every_listed_variable_has_a_value() {
        let request = view();
        for (name, _) in VARIABLES {
            let name = name.replace("NAME", "X-Tenant");
            let template = Template::compile(&format!("<${{{name}}}>")).unwrap();
            let value = text_of(&template, &request);
            assert!(value.len() > 2, "{name}: {value}");
        }
    }

    #[test]
    fn variables_are_filled_in() {
        let template = Template::compile(
            "${client_ip} ${method} ${scheme}://${host}:${port}${path}?${query} ${header:x-tenant}",
        );
        assert_eq!(
            text_of(&template.unwrap(), &view()),
            "192.0.2.7 GET http://api.example:8000/v1/users?a=b acme, other"
        );
    }

    #[test]
    fn the_scheme_s_own_port_and_missing_values() {
        let mut request = view();
        (request.port, request.query, request.scheme) = (None, None, "https");
        let template = Template::compile("${port}|${query}|${target}|${header:none}|").unwrap();
        assert_eq!(text_of(&template, &request), "443||/v1/users||");
    }

    #[test]
    fn literals_and_escapes() {
        for (text, literal) in [("", ""), ("a b", "a b"), ("$$5", "$5"), ("$${x}", "${x}")] {
            assert_eq!(Template::compile(text).unwrap().as_literal(), Some(literal));
        }
        assert_eq!(Template::compile("${host}").unwrap().as_literal(), None);
    }

    #[test]
    fn mistakes_are_explained() {
        let message = |text| Template::compile(text).unwrap_err();
        assert!(message("${hots}").contains("client_ip, client_subject"), "{}", message("${hots}"));
        assert!(message("${header:a b}").contains("header:NAME"));
        assert!(message("${host").contains("closing brace"));
        assert!(message("$host").contains("`${name}`"));
        assert!(message("5$").contains("`$$`"));
        assert!(message("$1").contains("rewrite.regex.with"));
    }
}
