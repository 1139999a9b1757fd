//! `decompress`: bodies of requests without their coding.

use crate::context::Place;
use crate::decoding::{Coded, Codings, Decoding, PLAIN, RESULTS, UNSUPPORTED};
use crate::headers::push_line;
use crate::keep::Results;
use crate::limit_answer::refuse;
use crate::step::{Flow, Problems, Run, Step};
use hg_codec::{Bound, MOST_LAYERS, Readable};
use hg_proto::Reject;
use serde::Deserialize;
use std::sync::Arc;

/// The treatment of a body in a coding that is not decoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Unsupported {
    /// The request gets 415.
    #[default]
    Refuse,
    /// It goes to the endpoint as it is.
    Pass,
}

/// Options in the plan.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Options {
    /// `zstd`, `br`, `gzip`, `deflate`.
    codings: Vec<String>,
    /// Most bytes of a decoded body.
    limit_bytes: u64,
    /// Most decoded bytes for each byte that came.
    ratio: u32,
    /// Most codings of one body, one over the other.
    layers: usize,
    unsupported: Unsupported,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            codings: Readable::ALL.map(|coding| coding.token().into()).into(),
            limit_bytes: 16 * 1024 * 1024,
            ratio: 100,
            layers: 1,
            unsupported: Unsupported::Refuse,
        }
    }
}

/// A `decompress`, compiled.
#[derive(Clone, Debug)]
pub(crate) struct Decompress {
    codings: Box<[Readable]>,
    /// They with commas, for the answer to other ones (RFC 9110 §15.5.16).
    offer: Box<str>,
    bound: Bound,
    layers: usize,
    unsupported: Unsupported,
    results: Option<Arc<Results>>,
}

const DETAIL: &str = "the request's body has a Content-Encoding that is not taken here";

impl Step for Decompress {
    type Options = Options;
    const COUNTS: bool = true;

    fn compile(options: &Options, problems: &mut Problems) -> Option<Self> {
        let before = problems.len();
        let codings = known(&options.codings, problems);
        for (key, value) in [("limit_bytes", options.limit_bytes), ("ratio", options.ratio.into())]
        {
            if value == 0 {
                problems.push((
                    format!("decompress.{key}"),
                    "0 leaves no room; write 1 or more".into(),
                ));
            }
        }
        if !(1..=MOST_LAYERS).contains(&options.layers) {
            let message =
                format!("{} is not a number of codings; write 1 to {MOST_LAYERS}", options.layers);
            problems.push(("decompress.layers".into(), message));
        }
        let offer: Vec<_> = codings.iter().map(|coding| coding.token()).collect();
        (problems.len() == before).then(|| Self {
            offer: offer.join(", ").into(),
            codings,
            bound: Bound { bytes: options.limit_bytes, ratio: options.ratio },
            layers: options.layers,
            unsupported: options.unsupported,
            results: None,
        })
    }

    fn bind(&mut self, place: &Place<'_>) {
        self.results = Some(place.results(RESULTS));
    }

    /// Has the body decoded as it passes, or refuses what cannot be.
    fn request(&self, run: &mut Run<'_, '_, '_>) -> Result<Flow, Reject> {
        let results = self.results.as_deref();
        match Coded::of(run.view.headers) {
            Coded::Plain => run.count(results, PLAIN),
            Coded::As(codings) if self.takes(&codings) => {
                let results = self.results.clone();
                run.out.later().decoding = Some(Decoding { codings, bound: self.bound, results });
            }
            Coded::As(_) | Coded::Otherwise => {
                run.count(results, UNSUPPORTED);
                if self.unsupported == Unsupported::Refuse {
                    let answer = &mut run.out.answer;
                    refuse(answer, (415, "content-encoding"), DETAIL, None);
                    push_line(&mut answer.headers, "accept-encoding", self.offer.as_bytes());
                    return Ok(Flow::Answer);
                }
            }
        }
        Ok(Flow::Next)
    }
}

impl Decompress {
    fn takes(&self, codings: &Codings) -> bool {
        codings.iter().count() <= self.layers
            && codings.iter().all(|one| self.codings.contains(&one))
    }
}

fn known(names: &[String], problems: &mut Problems) -> Box<[Readable]> {
    let mut found = Vec::new();
    for (index, name) in names.iter().enumerate() {
        match Readable::ALL.into_iter().find(|coding| coding.token() == name) {
            Some(coding) if !found.contains(&coding) => found.push(coding),
            Some(_) => {}
            None => problems.push((
                format!("decompress.codings[{index}]"),
                format!("`{name}` is not a coding; write zstd, br, gzip or deflate"),
            )),
        }
    }
    if names.is_empty() {
        let message = "there is none; write zstd, br, gzip or deflate";
        problems.push(("decompress.codings".into(), message.into()));
    }
    found.into()
}

#[cfg(test)]
mod tests;
