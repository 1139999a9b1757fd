//! `redirect`: sends the client to another URL. Parts that are not given stay as the client sent
//! them.

use crate::step::{Flow, Problems, Run, Step};
use crate::target::{self, BAD_HOST};
use crate::template::Template;
use crate::variables::{number, own_port};
use crate::view::{RequestView, Rewritten};
use hg_proto::Reject;

/// A redirect, compiled.
#[derive(Clone, Debug)]
pub(crate) struct Redirect {
    status: u16,
    scheme: Option<&'static str>,
    host: Option<Template>,
    port: Option<u16>,
    path: PathPart,
}

#[derive(Clone, Debug)]
enum PathPart {
    Same,
    Path(Template),
    /// A prefix without trailing slash, in place of what the route's match took.
    Prefix(Box<str>),
}

impl Step for Redirect {
    type Options = hg_plan::Redirect;

    fn compile(spec: &hg_plan::Redirect, problems: &mut Problems) -> Option<Self> {
        let before = problems.len();
        let mut problem = |key: &str, message: String| {
            problems.push((format!("redirect.{key}"), message));
        };
        if !matches!(spec.status, 301 | 302 | 303 | 307 | 308) {
            let message = format!(
                "{} is not a status of a redirect; write 301, 302, 303, 307 or 308",
                spec.status
            );
            problem("status", message);
        }
        if spec.port == Some(0) {
            problem("port", "0 is not a port; write 1 to 65535".into());
        }
        let scheme = match spec.scheme.as_deref() {
            None => None,
            Some("http") => Some("http"),
            Some("https") => Some("https"),
            Some(other) => {
                problem("scheme", format!("`{other}` is not a scheme; write `http` or `https`"));
                None
            }
        };
        let host = spec
            .host
            .as_deref()
            .and_then(|host| compile_host(host).map_err(|message| problem("host", message)).ok());
        let path = PathPart::compile(spec).map_err(|(key, m)| problem(key, m)).ok();
        let (status, port) = (spec.status, spec.port);
        let redirect = Self { status, scheme, host, port, path: path? };
        (problems.len() == before).then_some(redirect)
    }

    /// Fills in the answer. A request for exactly the redirect's target passes if it may, which
    /// prevents a redirect loop.
    fn request(&self, run: &mut Run<'_, '_, '_>) -> Result<Flow, Reject> {
        let Run { view, out, may_pass, .. } = run;
        self.path(view, out)?;
        let scheme = self.scheme.unwrap_or(view.scheme);
        let port = match (self.port, self.scheme) {
            (None, None) => view.port,
            (None, Some(_)) => None,
            (port, _) => port,
        };
        let is_own = |port: u16, scheme| port == own_port(scheme);
        let effective = |port: Option<u16>, scheme| port.unwrap_or_else(|| own_port(scheme));
        out.scratch.clear();
        match &self.host {
            Some(host) => host.render(view, &mut out.scratch),
            None => out.scratch.extend_from_slice(view.host.as_bytes()),
        }
        if target::parse_host(&out.scratch).is_none_or(|host| host.port.is_some()) {
            return Err(BAD_HOST);
        }
        if *may_pass
            && scheme == view.scheme
            && effective(port, scheme) == effective(view.port, view.scheme)
            && out.scratch.eq_ignore_ascii_case(view.host.as_bytes())
            && out.location == view.path
        {
            return Ok(Flow::Next);
        }
        let lines = &mut out.answer.headers;
        for piece in [b"location: ", scheme.as_bytes(), b"://", &out.scratch] {
            lines.extend_from_slice(piece);
        }
        if let Some(port) = port.filter(|port| !is_own(*port, scheme)) {
            lines.push(b':');
            number(port, lines);
        }
        lines.extend_from_slice(out.location.as_bytes());
        if let Some(query) = view.query {
            lines.push(b'?');
            target::push_query(query, lines);
        }
        lines.extend_from_slice(b"\r\n");
        out.answer.status = self.status;
        Ok(Flow::Answer)
    }
}

impl Redirect {
    /// Leaves the path of the target in `out.location`.
    fn path(&self, view: &RequestView<'_>, out: &mut Rewritten) -> Result<(), Reject> {
        // `OPTIONS *` has no path.
        let current = if view.path.starts_with('/') { view.path } else { "/" };
        out.scratch.clear();
        match &self.path {
            PathPart::Same => out.scratch.extend_from_slice(current.as_bytes()),
            PathPart::Path(template) => target::render_path(template, view, &mut out.scratch),
            PathPart::Prefix(prefix) => {
                target::replace_prefix(current, view.prefix_len, prefix, &mut out.scratch);
            }
        }
        target::settle(&out.scratch, &mut out.location)
    }
}

impl PathPart {
    fn compile(spec: &hg_plan::Redirect) -> Result<Self, (&'static str, String)> {
        match (&spec.path, &spec.prefix) {
            (Some(_), Some(_)) => {
                Err(("prefix", "`path` and `prefix` exclude each other; write one of them".into()))
            }
            (Some(path), None) => {
                target::compile_path(path).map(Self::Path).map_err(|m| ("path", m))
            }
            (None, Some(prefix)) => {
                target::compile_prefix(prefix).map(Self::Prefix).map_err(|m| ("prefix", m))
            }
            (None, None) => Ok(Self::Same),
        }
    }
}

fn compile_host(text: &str) -> Result<Template, String> {
    let template = Template::compile(text)?;
    if let Some(host) = template.as_literal() {
        match target::parse_host(host.as_bytes()) {
            None => return Err(format!("`{host}` is not a host; write `name` or `[::1]`")),
            Some(parsed) if parsed.port.is_some() => {
                return Err(format!("`{host}` has a port; write the port in redirect.port"));
            }
            Some(_) => {}
        }
    }
    Ok(template)
}

#[cfg(test)]
mod tests;
