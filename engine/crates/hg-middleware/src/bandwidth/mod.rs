//! `bandwidth`: how many bytes of bodies pass in a second.

mod connections;

use crate::context::{Context, Place, Wait, Woken};
use crate::keep::Results;
use crate::limit_key::LimitKey;
use crate::limit_state::{Kept, State};
use crate::pace::{
    Account, BANDWIDTH_BYTES, BANDWIDTH_HELD, Counts, DIRECTIONS, Limit, RESULTS, Speed,
};
use crate::step::{Flow, Problems, Run, Step};
use crate::view::RequestView;
pub use connections::ConnectionBandwidth;
use hg_limit::{Cell, Key, MAX_BYTES, MIN_BYTES};
use hg_proto::Reject;
use serde::Deserialize;
use std::sync::Arc;

/// The options, as they are in the plan.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Options {
    /// Bytes a second of answers: 1,000 to 10,000,000,000; 0 = any.
    #[serde(default)]
    download: u64,
    /// Bytes of answers that pass at once after a pause.
    #[serde(default)]
    download_burst: u64,
    /// The same of requests.
    #[serde(default)]
    upload: u64,
    #[serde(default)]
    upload_burst: u64,
    /// The key of the requests that share the bytes: `request` alone = each request has its own;
    /// `connection` alone = those of a client's connection; nothing = all requests together.
    #[serde(default)]
    key: Vec<String>,
    /// The number of keys that the table has room for.
    #[serde(default = "room")]
    max_keys: u32,
    #[serde(default = "network")]
    ipv6_prefix: u8,
}

fn room() -> u32 {
    131_072
}

fn network() -> u8 {
    64
}

/// The word for a limit that each request has for itself.
const REQUEST: &str = "request";
/// The word for a limit that the requests of each client's connection share.
const CONNECTION: &str = "connection";

/// Indices of [`DIRECTIONS`].
const DOWNLOAD: usize = 0;
const UPLOAD: usize = 1;

/// The requests that share an account.
#[derive(Clone, Debug)]
enum Scope {
    /// Each request has its own.
    Request,
    /// Those of one client's connection.
    Connection,
    /// Those with the same key.
    Key(LimitKey),
}

impl Scope {
    fn compile(options: &Options, problems: &mut Problems) -> Self {
        match options.key.as_slice() {
            [word] if word == REQUEST => Self::Request,
            [word] if word == CONNECTION => Self::Connection,
            parts => {
                Self::Key(LimitKey::compile(parts, options.ipv6_prefix, "bandwidth", problems))
            }
        }
    }
}

/// The limit of one direction.
#[derive(Clone, Debug)]
struct Way {
    speed: Speed,
    /// All that decides what is owed: limits that agree in it go on with each other's accounts.
    identity: Box<str>,
    /// The accounts by key. Those of connections are with the connections: there this only tells
    /// limits apart.
    kept: Arc<Kept>,
}

/// A limit of bytes, compiled.
#[derive(Clone, Debug)]
pub(crate) struct Bandwidth {
    scope: Scope,
    max_keys: u32,
    /// By direction, as in [`DIRECTIONS`].
    ways: [Option<Way>; 2],
    counts: Option<[Arc<Results>; 3]>,
}

impl Step for Bandwidth {
    type Options = Options;
    const ANSWERS: bool = false;
    const IS_LIVE: bool = true;

    fn compile(options: &Options, problems: &mut Problems) -> Option<Self> {
        let before = problems.len();
        let mut check = |name: &str, value: u64, least: u64, most: u64| {
            if !(least..=most).contains(&value) {
                let message = format!("{value} is out of range; write {least} to {most}");
                problems.push((format!("bandwidth.{name}"), message));
            }
        };
        let rates = [("download", options.download), ("upload", options.upload)];
        for (name, rate) in rates.into_iter().filter(|(_, rate)| *rate > 0) {
            check(name, rate, MIN_BYTES, MAX_BYTES);
        }
        check("max_keys", options.max_keys.into(), 1, 1 << 24);
        check("ipv6_prefix", options.ipv6_prefix.into(), 1, 128);
        if options.download == 0 && options.upload == 0 {
            let message = "it limits nothing; write `download`, `upload` or both";
            problems.push(("bandwidth".into(), message.into()));
        }
        let scope = Scope::compile(options, problems);
        (problems.len() == before).then(|| Self {
            scope,
            max_keys: options.max_keys,
            ways: [
                way(options, DOWNLOAD, (options.download, options.download_burst)),
                way(options, UPLOAD, (options.upload, options.upload_burst)),
            ],
            counts: None,
        })
    }

    fn bind(&mut self, place: &Place<'_>) {
        if !matches!(self.scope, Scope::Request) {
            for way in self.ways.iter_mut().flatten() {
                let owner = format!("{} {}", place.owner, way.identity);
                way.kept = Place { owner: &owner, ..*place }.keep(Kept::default);
            }
        }
        let of = |kind, names| place.keep.results_of(place.name, kind, names);
        let results = place.results(RESULTS);
        self.counts =
            Some([results, of(BANDWIDTH_BYTES, DIRECTIONS), of(BANDWIDTH_HELD, DIRECTIONS)]);
    }

    /// Has the bodies of a request pass as quickly as it is written; one that comes while more than
    /// the burst is owed waits for its turn.
    fn request(&self, run: &mut Run<'_, '_, '_>) -> Result<Flow, Reject> {
        if matches!(run.woken, Woken::Delay) {
            return Ok(Flow::Next);
        }
        let now_us = run.cx.now_us;
        let mut us = 0;
        if let Some(limit) = self.limit(DOWNLOAD, run.view, run.cx) {
            let pace = run.out.later().paces.download.get_or_insert_default();
            us = pace.join(limit, now_us, true);
        }
        let body = body_of(run.view);
        if body != Body::Never
            && let Some(limit) = self.limit(UPLOAD, run.view, run.cx)
        {
            let pace = run.out.later().paces.upload.get_or_insert_default();
            us = us.max(pace.join(limit, now_us, body == Body::AtOnce));
        }
        Ok(if us > 0 { Flow::Wait(Wait::Delay { us }) } else { Flow::Next })
    }
}

impl Bandwidth {
    /// Makes the limit of a direction for one request; `None` if there is none.
    fn limit(
        &self,
        direction: usize,
        view: &RequestView<'_>,
        cx: &mut Context<'_>,
    ) -> Option<Limit> {
        let way = self.ways.get(direction)?.as_ref()?;
        let (account, has_evicted) = self.account(way, view, cx);
        let counts = self.counts.clone().map(|[results, bytes, held_us]| Counts {
            results,
            bytes,
            held_us,
            worker: cx.worker,
            direction,
        });
        let limit = Limit { speed: way.speed, account, counts, has_held: false };
        if has_evicted {
            limit.count_evicted();
        }
        Some(limit)
    }

    /// Returns the account of a request. Reports whether another one lost what it owed to it.
    fn account(&self, way: &Way, view: &RequestView<'_>, cx: &mut Context<'_>) -> (Account, bool) {
        let rate = way.speed.rate;
        match (&self.scope, &mut cx.accounts) {
            (Scope::Connection, Some(accounts)) => {
                let (cell, has_evicted) = accounts.of(&way.kept, rate, cx.now_us);
                (Account::Connection(cell), has_evicted)
            }
            // Without a connection nothing else shares the bytes of a request.
            (Scope::Request | Scope::Connection, _) => (Account::Own(Cell::new(rate)), false),
            (Scope::Key(key), _) => {
                let room = (!key.is_for_all()).then_some(self.max_keys);
                let key = match way.kept.get_or_init(|| State::new(rate, room, cx)) {
                    State::All(_) => Key(0),
                    State::Keys(_, seed) => key.of(view, *seed),
                };
                (Account::Shared(way.kept.clone(), key), false)
            }
        }
    }
}

/// The body that a request brings behind its head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Body {
    /// Nothing.
    Never,
    /// Perhaps something, of which nothing is taken before it may pass: on a stream, or as a WebSocket.
    Later,
    /// A body, the first bytes of which come with the head.
    AtOnce,
}

fn body_of(view: &RequestView<'_>) -> Body {
    if view.protocol == "HTTP/2.0" {
        return Body::Later;
    }
    let (mut body, mut is_upgrade) = (false, false);
    view.headers.each("content-length", &mut |value| body |= value != b"0");
    view.headers.each("transfer-encoding", &mut |_| body = true);
    view.headers.each("upgrade", &mut |_| is_upgrade = true);
    match (body, is_upgrade) {
        (true, _) => Body::AtOnce,
        (false, true) => Body::Later,
        (false, false) => Body::Never,
    }
}

fn way(options: &Options, direction: usize, (rate, burst): (u64, u64)) -> Option<Way> {
    let Options { key, max_keys, ipv6_prefix, .. } = options;
    let name = DIRECTIONS.get(direction)?;
    let identity = format!("{name} {rate} {} {max_keys} /{ipv6_prefix}", key.join(","));
    (rate > 0).then(|| Way {
        speed: Speed::new(rate, burst),
        identity: identity.into(),
        kept: Arc::default(),
    })
}

#[cfg(test)]
mod tests;
