//! `compress`: answers in a coding that takes fewer bytes.

use crate::context::Place;
use crate::encoding::{Encoding, RESULTS};
use crate::step::{Problems, Step};
use crate::variables::is_token;
use hg_codec::{Coding, Levels};
use serde::Deserialize;
use std::sync::Arc;

/// Options in the plan.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Options {
    /// Types in lower case, without parameters.
    pub(crate) types: Vec<String>,
    /// Shorter answers stay as they are, in bytes.
    pub(crate) min_bytes: u64,
    /// `zstd`, `br`, `gzip`, in the order of preference.
    pub(crate) codings: Vec<String>,
    /// 1 to 9.
    pub(crate) gzip_level: u8,
    /// 0 to 9.
    pub(crate) brotli_level: u8,
    /// 1 to 12.
    pub(crate) zstd_level: u8,
}

impl Default for Options {
    fn default() -> Self {
        let Levels { gzip, brotli, zstd } = Levels::default();
        Self {
            types: TYPES.map(String::from).into(),
            min_bytes: 1024,
            codings: ["zstd", "br", "gzip"].map(String::from).into(),
            gzip_level: gzip,
            brotli_level: brotli,
            zstd_level: zstd,
        }
    }
}

/// Types of texts, which shrink to a quarter.
const TYPES: [&str; 12] = [
    "text/html",
    "text/css",
    "text/plain",
    "text/javascript",
    "text/xml",
    "text/event-stream",
    "application/javascript",
    "application/json",
    "application/ld+json",
    "application/xml",
    "application/wasm",
    "image/svg+xml",
];

/// A `compress`, compiled.
#[derive(Clone, Debug)]
pub(crate) struct Compress(Arc<Encoding>);

impl Step for Compress {
    type Options = Options;
    const RUNS: bool = false;
    const ANSWERS: bool = false;
    const COUNTS: bool = true;

    fn compile(options: &Options, problems: &mut Problems) -> Option<Self> {
        let before = problems.len();
        let offered = offered(&options.codings, problems);
        let mut wrong =
            |key: &str, message: String| problems.push((format!("compress.{key}"), message));
        for (index, name) in options.types.iter().enumerate() {
            if !name.split_once('/').is_some_and(|(kind, sub)| is_token(kind) && is_token(sub)) {
                wrong(
                    &format!("types[{index}]"),
                    format!("`{name}` is not a type; write one such as `text/html`"),
                );
            }
        }
        for (key, level, most) in
            [("gzip_level", options.gzip_level, 9), ("zstd_level", options.zstd_level, 12)]
        {
            if !(1..=most).contains(&level) {
                wrong(key, format!("{level} is not a level; write 1 to {most}"));
            }
        }
        if options.brotli_level > 9 {
            wrong("brotli_level", format!("{} is not a level; write 0 to 9", options.brotli_level));
        }
        (problems.len() == before).then(|| {
            Self(Arc::new(Encoding {
                types: options.types.iter().map(|name| name.to_ascii_lowercase().into()).collect(),
                least: options.min_bytes,
                offered,
                levels: Levels {
                    gzip: options.gzip_level,
                    brotli: options.brotli_level,
                    zstd: options.zstd_level,
                },
                results: None,
            }))
        })
    }

    fn bind(&mut self, place: &Place<'_>) {
        Arc::make_mut(&mut self.0).results = Some(place.results(RESULTS));
    }

    fn encoding(&self) -> Option<&Arc<Encoding>> {
        Some(&self.0)
    }
}

fn offered(names: &[String], problems: &mut Problems) -> Box<[Coding]> {
    let mut found = Vec::new();
    for (index, name) in names.iter().enumerate() {
        match Coding::ALL.into_iter().find(|coding| coding.token() == name) {
            Some(coding) if !found.contains(&coding) => found.push(coding),
            Some(_) => {}
            None => problems.push((
                format!("compress.codings[{index}]"),
                format!("`{name}` is not a coding; write zstd, br or gzip"),
            )),
        }
    }
    if names.is_empty() {
        problems.push(("compress.codings".into(), "there is none; write zstd, br or gzip".into()));
    }
    found.into()
}

#[cfg(test)]
mod tests;
