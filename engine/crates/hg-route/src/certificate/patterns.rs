//! Patterns of subjects and alternative names: exact, or with `*`.

use std::ops::ControlFlow;

/// A subject as RFC 4514 writes it. A value may end with `*`; a first component `*` stands for any
/// number of components.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SubjectPattern {
    /// True if components may precede.
    is_open: bool,
    /// Texts of components, and whether more of the value may follow.
    components: Box<[(Box<str>, bool)]>,
}

impl SubjectPattern {
    /// Parses a pattern.
    ///
    /// # Errors
    /// Returns what is wrong and what to write.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let rest = text.strip_prefix("*,");
        let mut found = Vec::new();
        for component in split(rest.unwrap_or(text)) {
            let (literal, is_prefix) =
                component.strip_suffix('*').map_or((component, false), |literal| (literal, true));
            let is_attribute = literal.find('=').is_some_and(|at| at > 0);
            if !is_attribute || literal.contains('*') || (is_prefix && has_plus(literal)) {
                return Err(format!(
                    "`{text}` is not a subject; write one as RFC 4514 does, such as \
                     `CN=alice,O=ACME`, with `*` at the end of a value, or `*,` before all"
                ));
            }
            found.push((literal.into(), is_prefix));
        }
        Ok(Self { is_open: rest.is_some(), components: found.into() })
    }

    /// Reports whether a subject fits. Costs a pass over it, and no allocation.
    pub(crate) fn fits(&self, subject: &str) -> bool {
        let (count, wanted) = (split(subject).count(), self.components.len());
        let Some(before) = count.checked_sub(wanted) else { return false };
        (before == 0 || self.is_open)
            && split(subject).skip(before).zip(&self.components).all(|(one, (literal, more))| {
                match one.strip_prefix(&**literal) {
                    // A second attribute of the component is not a part of the first one's value.
                    Some(rest) => rest.is_empty() || (*more && !has_plus(rest)),
                    None => false,
                }
            })
    }
}

/// Splits a name at the commas that are not escaped (RFC 4514 §2.1).
fn split(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let all = rest?;
        let (one, after) = match find_bare(all, b',') {
            Some(at) => (all.get(..at)?, all.get(at + 1..)),
            None => (all, None),
        };
        rest = after;
        Some(one)
    })
}

fn has_plus(text: &str) -> bool {
    find_bare(text, b'+').is_some()
}

/// Finds a byte that no backslash precedes.
fn find_bare(text: &str, wanted: u8) -> Option<usize> {
    let found = text.bytes().enumerate().try_fold(false, |is_escaped, (at, byte)| {
        if byte == wanted && !is_escaped {
            return ControlFlow::Break(at);
        }
        ControlFlow::Continue(byte == b'\\' && !is_escaped)
    });
    found.break_value()
}

/// An alternative name with its type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NamePattern {
    Exact(Box<str>),
    /// `dns:*.example`: one or more labels before; `email:*@example`: anybody there. The type with
    /// its colon, and what names end with.
    Ending(&'static str, Box<str>),
    /// `uri:scheme://authority/…` by segments: `*` is one, a last `**` any number.
    Segments(Box<[Box<str>]>),
}

const NAME_ALLOWED: &str = "write `dns:a.example`, `dns:*.example`, `uri:spiffe://a.example/b/*`, \
                            `email:a@b.example`, `email:*@b.example` or `ip:192.0.2.7`";

impl NamePattern {
    /// Parses a pattern; names of types are as certificates have them.
    ///
    /// # Errors
    /// Returns what is wrong and what to write.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not an alternative name; {NAME_ALLOWED}");
        let (kind, name) = text.split_once(':').ok_or_else(wrong)?;
        if name.is_empty() || !matches!(kind, "dns" | "uri" | "email" | "ip") {
            return Err(wrong());
        }
        if !name.contains('*') {
            return Ok(Self::Exact(text.into()));
        }
        let ending = |kind, first: &str| {
            let rest = name.strip_prefix('*').filter(|rest| rest.starts_with(first))?;
            (rest.len() > 1 && !rest.contains('*')).then(|| Self::Ending(kind, rest.into()))
        };
        match kind {
            "dns" => ending("dns:", "."),
            "email" => ending("email:", "@"),
            "uri" => segments(text),
            _ => None,
        }
        .ok_or_else(wrong)
    }

    /// Reports whether it is about SPIFFE IDs, of which a certificate has one at most.
    pub(crate) fn is_spiffe(&self) -> bool {
        match self {
            Self::Exact(text) => text.starts_with("uri:spiffe:"),
            Self::Ending(..) => false,
            Self::Segments(segments) => segments.first().is_some_and(|s| &**s == "uri:spiffe:"),
        }
    }

    /// Reports whether a name fits.
    pub(crate) fn fits(&self, name: &str) -> bool {
        match self {
            Self::Exact(text) => **text == *name,
            Self::Ending(kind, end) => {
                let before = name.strip_prefix(kind).and_then(|name| name.strip_suffix(&**end));
                before.is_some_and(|before| !before.is_empty())
            }
            Self::Segments(wanted) => {
                let mut found = name.split('/');
                for segment in wanted {
                    let fits = match (&**segment, found.next()) {
                        ("**", Some(first)) => {
                            return is_plain(first) && found.all(is_plain);
                        }
                        ("*", Some(one)) => is_plain(one),
                        (literal, Some(one)) => literal == one,
                        (_, None) => false,
                    };
                    if !fits {
                        return false;
                    }
                }
                found.next().is_none()
            }
        }
    }
}

/// Reports whether it is a segment of a path that names something below.
fn is_plain(segment: &str) -> bool {
    !matches!(segment, "" | "." | "..") && !segment.contains(['?', '#'])
}

/// Splits a URI with `*`, whose scheme and authority are written out.
fn segments(text: &str) -> Option<NamePattern> {
    let segments: Box<[Box<str>]> = text.split('/').map(Box::from).collect();
    let [scheme, empty, authority, path @ ..] = &*segments else { return None };
    let is_free = |text: &str| !text.is_empty() && !text.contains('*');
    let last = path.len().checked_sub(1)?;
    let is_whole = is_free(scheme) && scheme.ends_with(':') && empty.is_empty();
    let is_right = is_whole
        && is_free(authority)
        && path.iter().enumerate().all(|(at, segment)| match &**segment {
            "*" => true,
            "**" => at == last,
            literal => !literal.contains('*'),
        });
    is_right.then_some(NamePattern::Segments(segments))
}
