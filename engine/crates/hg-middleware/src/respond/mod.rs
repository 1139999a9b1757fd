//! `respond`: an answer without an upstream.

use crate::headers::{Composition, Direction, Edits, HeaderProgram};
use crate::step::{Flow, Problems, Run, Step};
use crate::template::Template;
use hg_plan::HeaderEdits;
use hg_proto::Reject;

/// An answer, compiled.
#[derive(Clone, Debug)]
pub(crate) struct Respond {
    status: u16,
    headers: HeaderProgram,
    body: Template,
}

const PLAIN_TEXT: &str = "text/plain; charset=utf-8";

impl Step for Respond {
    type Options = hg_plan::Respond;
    const CLOSES: bool = true;

    fn compile(spec: &hg_plan::Respond, problems: &mut Problems) -> Option<Self> {
        let before = problems.len();
        if !(200..=599).contains(&spec.status) {
            problems.push((
                "respond.status".into(),
                format!("{} is not a status of an answer; write 200 to 599", spec.status),
            ));
        }
        if matches!(spec.status, 204 | 205 | 304) && !spec.body.is_empty() {
            // RFC 9110 §15.3.5, §15.3.6, §15.4.5.
            problems.push((
                "respond.body".into(),
                format!(
                    "an answer of status {} has no body; leave `body` out, or write another status",
                    spec.status
                ),
            ));
        }
        let edits = HeaderEdits { set: spec.headers.clone(), ..HeaderEdits::default() };
        let mut header_problems = Vec::new();
        let mut edits =
            Edits::compile(&edits, Direction::Response, "respond", &mut header_problems);
        problems.extend(
            header_problems
                .into_iter()
                .map(|(path, m)| (path.replacen("respond.set.", "respond.headers.", 1), m)),
        );
        let body = Template::compile(&spec.body)
            .map_err(|message| problems.push(("respond.body".into(), message)))
            .ok()?;
        if !spec.body.is_empty() && !edits.sets("content-type") {
            edits.set("content-type", Template::compile(PLAIN_TEXT).ok()?);
        }
        let mut composed = Composition::default();
        composed.then(&edits);
        (problems.len() == before).then(|| Self {
            status: spec.status,
            headers: composed.program(),
            body,
        })
    }

    /// Fills in the answer.
    fn request(&self, run: &mut Run<'_, '_, '_>) -> Result<Flow, Reject> {
        let (view, unix_us, answer) = (run.view, run.cx.unix_us, &mut run.out.answer);
        answer.status = self.status;
        self.headers.append(view, unix_us, &mut answer.headers);
        self.body.render(view, &mut answer.body);
        Ok(Flow::Answer)
    }
}

#[cfg(test)]
mod tests;
