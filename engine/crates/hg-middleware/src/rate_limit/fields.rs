//! The RateLimit fields (draft-ietf-httpapi-ratelimit-headers-10).

use crate::variables::is_token;
use hg_limit::Rate;

/// The policy of a middleware that is written where it is used, or whose name needs quotes.
const UNNAMED: &str = "default";

/// The fields of one limit, as far as they are the same for all requests.
#[derive(Clone, Debug)]
pub(crate) struct Fields {
    /// The line of the policy, and the beginning of the other one.
    text: Box<str>,
    /// True if answers that pass have them.
    pub(crate) announced: bool,
}

impl Fields {
    /// Makes the fields of the policy of a middleware of this name: its quota is the burst, its window
    /// the time in which a burst is earned.
    pub(crate) fn new(name: &str, rate: &Rate, burst: u32, announced: bool) -> Self {
        let name = if is_token(name) { name } else { UNNAMED };
        let window = rate.earns_us(burst).div_ceil(1_000_000).max(1);
        let policy = format!("ratelimit-policy: \"{name}\";q={burst};w={window}\r\n");
        Self { text: format!("{policy}ratelimit: \"{name}\";r=").into(), announced }
    }

    /// Appends both lines: what is left now, and after how many seconds there is more.
    pub(crate) fn append(&self, remaining: u32, more_in_s: u64, out: &mut Vec<u8>) {
        let mut text = itoa::Buffer::new();
        out.extend_from_slice(self.text.as_bytes());
        out.extend_from_slice(text.format(remaining).as_bytes());
        out.extend_from_slice(b";t=");
        out.extend_from_slice(text.format(more_in_s).as_bytes());
        out.extend_from_slice(b"\r\n");
    }
}
