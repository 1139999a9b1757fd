//! WebSockets of clients over HTTP/2 (RFC 8441), among other requests on the same connections.

use crate::http2::Ways;
use crate::ledger::{Act, Spec};
use crate::scenario::{Caller, Scenario, client};
use hg_net::Rng;

/// Draws a run: the stage is that of HTTP.
pub(crate) fn scenario(seed: u64) -> Scenario {
    let mut all = Scenario::new(seed ^ 0x50c4_0000);
    let rng = &mut Rng::new(seed ^ 0x50c4);
    let (calm, buffer) = (all.calm, all.weather.buffer);
    let mut specs = Vec::new();
    all.clients = (0..rng.between(1, 4)).map(|_| caller(rng, calm, buffer, &mut specs)).collect();
    (all.seed, all.specs) = (seed, specs);
    all
}

fn caller(rng: &mut Rng, calm: bool, buffer: u64, specs: &mut Vec<Spec>) -> Caller {
    let begin = specs.len();
    let mut caller = client(rng, calm, buffer, specs);
    caller.http2 = Some(Ways::draw(rng, calm, buffer));
    for spec in specs.iter_mut().skip(begin) {
        if rng.chance(300) {
            continue;
        }
        let act = match spec.act {
            Act::Early | Act::EarlyClose | Act::Last => Act::Answer,
            act => act,
        };
        let most = 40_000.min(buffer * 100);
        let tunnel = Some((rng.size(most) as usize, rng.size(most) as usize));
        *spec = Spec {
            method: "GET",
            up: None,
            down_trailers: false,
            waits_for_continue: false,
            act,
            tunnel,
            ..spec.clone()
        };
    }
    caller
}
