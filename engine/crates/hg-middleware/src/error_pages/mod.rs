//! `error_pages`: pages of one's own instead of the bodies of errors.

use crate::context::Place;
use crate::pages::{Page, Pages, RESULTS};
use crate::step::{Problems, Step};
use serde::Deserialize;
use std::sync::Arc;

/// Longest page, bytes.
const LONGEST: usize = 64 * 1024;
/// Most pages of one middleware.
const MOST: usize = 64;

/// The options, as they are in the plan.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Options {
    pages: Vec<PageOptions>,
}

/// A page, as it is in the plan.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PageOptions {
    /// First and last status of each range, 400 to 599.
    statuses: Vec<(u16, u16)>,
    body: String,
    #[serde(default = "html")]
    content_type: String,
}

fn html() -> String {
    "text/html; charset=utf-8".to_owned()
}

/// Pages, compiled.
#[derive(Clone, Debug)]
pub(crate) struct ErrorPages(Pages);

impl Step for ErrorPages {
    type Options = Options;
    const RUNS: bool = false;
    const ANSWERS: bool = false;
    const COUNTS: bool = true;

    fn compile(options: &Options, problems: &mut Problems) -> Option<Self> {
        let before = problems.len();
        let pages = &options.pages;
        if pages.is_empty() || pages.len() > MOST {
            let message = format!("there are {} pages; write 1 to {MOST}", pages.len());
            problems.push(("error_pages.pages".into(), message));
        }
        for (index, page) in pages.iter().enumerate() {
            let mut wrong = |key: &str, message: String| {
                problems.push((format!("error_pages.pages[{index}].{key}"), message));
            };
            let is_range =
                |(first, last): &(u16, u16)| 400 <= *first && first <= last && *last <= 599;
            if page.statuses.is_empty() || !page.statuses.iter().all(is_range) {
                wrong("statuses", "not statuses of errors; write some from 400 to 599".into());
            }
            if page.body.len() > LONGEST {
                let bytes = page.body.len();
                wrong("body", format!("{bytes} bytes are too many; write at most {LONGEST}"));
            }
            if !page.content_type.contains('/') || !page.content_type.bytes().all(is_visible) {
                let message = "it is not a type; write one such as `text/html`";
                wrong("content_type", message.into());
            }
        }
        let compiled = |page: &PageOptions| {
            Arc::new(Page::new(&page.statuses, &page.content_type, &page.body))
        };
        (problems.len() == before)
            .then(|| Self(Pages { pages: pages.iter().map(compiled).collect(), results: None }))
    }

    fn bind(&mut self, place: &Place<'_>) {
        self.0.results = Some(place.results(RESULTS));
    }

    fn pages(&self) -> Option<&Pages> {
        Some(&self.0)
    }
}

fn is_visible(byte: u8) -> bool {
    matches!(byte, b' '..=b'~')
}

#[cfg(test)]
mod tests;
