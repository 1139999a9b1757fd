//! `rewrite`: sets another path or host before forwarding.

use crate::patterns::whole;
use crate::step::{Flow, Problems, Run, Step};
use crate::target::{self, BAD_HOST};
use crate::template::{Piece, Template, pieces};
use crate::view::{RequestView, Rewritten};
use hg_plan::PathRewrite;
use hg_proto::Reject;
use regex_automata::Input;
use regex_automata::meta::Regex;
use regex_automata::util::primitives::NonMaxUsize;

/// Most groups of a pattern, the whole match included.
const MAX_GROUPS: usize = 32;

/// A rewrite, compiled.
#[derive(Clone, Debug)]
pub(crate) struct Rewrite {
    path: Option<PathStep>,
    host: Option<Template>,
}

#[derive(Clone, Debug)]
enum PathStep {
    /// A prefix without trailing slash.
    Strip(Box<str>),
    /// A prefix without trailing slash.
    Prefix(Box<str>),
    Path(Template),
    Regex(Box<Replacement>),
}

#[derive(Clone, Debug)]
struct Replacement {
    /// A regex that matches the whole path or nothing.
    regex: Regex,
    groups: usize,
    with: Box<[Part]>,
}

#[derive(Clone, Debug)]
enum Part {
    Text(Box<str>),
    Group(usize),
}

impl Step for Rewrite {
    type Options = hg_plan::Rewrite;
    const ANSWERS: bool = false;
    // Patterns have scratch space of their own.
    const HAS_SCRATCH: bool = true;

    fn compile(spec: &hg_plan::Rewrite, problems: &mut Problems) -> Option<Self> {
        let before = problems.len();
        if spec.path.is_none() && spec.host.is_none() {
            problems.push((
                "rewrite".into(),
                "the rewrite changes nothing; write a path or a host".into(),
            ));
        }
        let path = spec.path.as_ref().and_then(|path| {
            PathStep::compile(path).map_err(|(key, m)| problems.push((key.into(), m))).ok()
        });
        let host = spec.host.as_ref().and_then(|host| {
            compile_host(host).map_err(|m| problems.push(("rewrite.host".into(), m))).ok()
        });
        (problems.len() == before).then_some(Self { path, host })
    }

    fn request(&self, run: &mut Run<'_, '_, '_>) -> Result<Flow, Reject> {
        let Run { view, out, prefix_len, .. } = run;
        if let Some(host) = &self.host {
            rewrite_host(host, view, out)?;
        }
        let Some(step) = &self.path else {
            return Ok(Flow::Next);
        };
        // `OPTIONS *` has no path.
        if !view.path.starts_with('/') {
            return Ok(Flow::Next);
        }
        out.scratch.clear();
        let current = if out.path_changed { out.path.as_str() } else { view.path };
        if step.write(view, current, prefix_len, &mut out.scratch) {
            target::settle(&out.scratch, &mut out.path)?;
            out.path_changed = true;
        }
        Ok(Flow::Next)
    }
}

fn rewrite_host(
    host: &Template,
    view: &RequestView<'_>,
    out: &mut Rewritten,
) -> Result<(), Reject> {
    out.scratch.clear();
    host.render(view, &mut out.scratch);
    target::parse_host(&out.scratch).ok_or(BAD_HOST)?;
    out.host.clear();
    out.host.push_str(std::str::from_utf8(&out.scratch).map_err(|_| BAD_HOST)?);
    out.host_changed = true;
    Ok(())
}

fn compile_host(text: &str) -> Result<Template, String> {
    let template = Template::compile(text)?;
    match template.as_literal() {
        Some(host) if target::parse_host(host.as_bytes()).is_none() => {
            Err(format!("`{host}` is not a host; write `name`, `name:port` or `[::1]:port`"))
        }
        _ => Ok(template),
    }
}

impl PathStep {
    /// Compiles a path rewrite; returns the path of keys and the message if it is wrong.
    fn compile(spec: &PathRewrite) -> Result<Self, (&'static str, String)> {
        match spec {
            PathRewrite::StripPrefix(prefix) => match target::compile_prefix(prefix) {
                Ok(prefix) if prefix.is_empty() => Err((
                    "rewrite.strip_prefix",
                    "stripping `/` removes nothing; write the prefix to remove, such as `/v1`"
                        .into(),
                )),
                Ok(prefix) => Ok(Self::Strip(prefix)),
                Err(message) => Err(("rewrite.strip_prefix", message)),
            },
            PathRewrite::Prefix(prefix) => target::compile_prefix(prefix)
                .map(Self::Prefix)
                .map_err(|message| ("rewrite.prefix", message)),
            PathRewrite::Path(path) => target::compile_path(path)
                .map(Self::Path)
                .map_err(|message| ("rewrite.path", message)),
            PathRewrite::Regex { pattern, with } => {
                let (regex, groups) = compile_regex(pattern).map_err(|m| ("rewrite.regex", m))?;
                let with = compile_with(with, &regex).map_err(|m| ("rewrite.with", m))?;
                Ok(Self::Regex(Box::new(Replacement { regex, groups, with })))
            }
        }
    }

    /// Writes the new path, not yet normalised; returns false if the path stays.
    fn write(
        &self,
        view: &RequestView<'_>,
        path: &str,
        prefix_len: &mut usize,
        out: &mut Vec<u8>,
    ) -> bool {
        match self {
            Self::Strip(prefix) => {
                let Some(rest) = path.strip_prefix(&**prefix) else {
                    return false;
                };
                if !rest.is_empty() && !rest.starts_with('/') {
                    return false;
                }
                *prefix_len = prefix_len.saturating_sub(prefix.len());
                target::replace_prefix(path, prefix.len(), "", out);
            }
            Self::Prefix(prefix) => {
                target::replace_prefix(path, *prefix_len, prefix, out);
                *prefix_len = prefix.len();
            }
            Self::Path(template) => {
                target::render_path(template, view, out);
                *prefix_len = 0;
            }
            Self::Regex(replacement) => {
                if !replacement.write(path, out) {
                    return false;
                }
                *prefix_len = 0;
            }
        }
        true
    }
}

impl Replacement {
    fn write(&self, path: &str, out: &mut Vec<u8>) -> bool {
        let mut slots: [Option<NonMaxUsize>; 2 * MAX_GROUPS] = [None; 2 * MAX_GROUPS];
        let used = slots.get_mut(..2 * self.groups).unwrap_or_default();
        if self.regex.search_slots(&Input::new(path), used).is_none() {
            return false;
        }
        for part in &self.with {
            match part {
                Part::Text(text) => out.extend_from_slice(text.as_bytes()),
                Part::Group(group) => {
                    let slot = |i: usize| slots.get(i).copied().flatten().map(|at| at.get());
                    // A group that did not take part in the match is empty.
                    if let (Some(from), Some(to)) = (slot(2 * group), slot(2 * group + 1)) {
                        out.extend_from_slice(path.get(from..to).unwrap_or("").as_bytes());
                    }
                }
            }
        }
        true
    }
}

fn compile_regex(pattern: &str) -> Result<(Regex, usize), String> {
    let regex = whole(pattern)?;
    let groups = regex.captures_len();
    if groups > MAX_GROUPS {
        return Err(format!(
            "`{pattern}` has more than {} groups; write fewer, or `(?:…)`",
            MAX_GROUPS - 1
        ));
    }
    Ok((regex, groups))
}

fn compile_with(text: &str, regex: &Regex) -> Result<Box<[Part]>, String> {
    let names: Vec<_> = regex.group_info().pattern_names(Default::default()).collect();
    let group = |name: &str| {
        let found = match name.parse::<usize>() {
            Ok(number) => (number < names.len()).then_some(number),
            Err(_) => names.iter().position(|n| *n == Some(name)),
        };
        found.map(Part::Group).ok_or_else(|| {
            let named: Vec<_> = names.iter().copied().flatten().collect();
            format!(
                "`{text}`: the pattern has no group `{name}`; it has $0 to ${}{}{}",
                names.len() - 1,
                if named.is_empty() { "" } else { " and " },
                named.join(", "),
            )
        })
    };
    let mut parts = Vec::new();
    for piece in pieces(text) {
        parts.push(match piece? {
            Piece::Text(plain) => {
                target::check_text(text, std::iter::once(plain))?;
                Part::Text(plain.into())
            }
            Piece::Dollar => Part::Text("$".into()),
            Piece::Name(name) | Piece::Number(name) => group(name)?,
        });
    }
    match parts.first() {
        Some(Part::Text(first)) if !first.starts_with('/') => {
            Err(format!("`{text}` does not begin with a slash; write a path such as `/new/$1`"))
        }
        None => Err("the path is empty; write one that begins with a slash".into()),
        _ => Ok(parts.into()),
    }
}

#[cfg(test)]
mod tests;
