//! The treatment of the worker by a peer over HTTP/2, as a seed decides.

use super::settings::Offer;
use hg_net::Rng;

/// The treatment of the worker by a peer over HTTP/2.
#[derive(Clone, Debug)]
pub(crate) struct Ways {
    /// Its first SETTINGS.
    pub(crate) offer: Offer,
    /// Longest time until it gives windows back, microseconds.
    pub(crate) credit_us: u64,
    /// Frames with padding, per mille.
    pub(crate) pads: u64,
    /// Streams that a client cuts off; per mille.
    pub(crate) cuts: u64,
    /// Longest time until it changes its settings, sends a PING or the like; 0 = never.
    pub(crate) change_us: u64,
    /// Streams that an endpoint refuses; per mille.
    pub(crate) refuses: u64,
    /// Longest time until an endpoint says GOAWAY; 0 = never.
    pub(crate) away_us: u64,
}

/// Every frame is padded, and small.
pub(super) const ALWAYS: u64 = 1000;

impl Ways {
    /// Draws them. Windows are so large that the bodies of this network pass in a while: those grow
    /// with its buffers.
    pub(crate) fn draw(rng: &mut Rng, calm: bool, buffer: u64) -> Self {
        let some = |rng: &mut Rng, most: u64| if rng.chance(500) { 0 } else { rng.size(most) };
        let least = (buffer / 8).clamp(16, 65_535);
        let window = match rng.below(3) {
            0 => 65_535,
            1 => rng.between(least, 65_535),
            _ => rng.between(least, least * 4),
        };
        let streams = if rng.chance(500) { u32::MAX } else { rng.between(1, 6) as u32 };
        let table = rng.pick(&[0, 100, 4096, 4096, 65_536]).unwrap_or(4096);
        let offer = Offer { window: window as u32, frame: 16_384, table, streams };
        let cuts = if calm { 0 } else { some(rng, 300) };
        // A WebSocket is asked for after the greeting, which no endpoint may follow by its leave each
        // time if all are to be served.
        let least_us = if calm { 2_000_000 } else { 0 };
        Self {
            offer,
            credit_us: some(rng, 60_000),
            pads: if rng.chance(150) { ALWAYS } else { some(rng, 300) },
            cuts,
            change_us: some(rng, 3_000_000),
            refuses: if rng.chance(700) { 0 } else { rng.below(300) },
            away_us: if rng.chance(600) { 0 } else { rng.size(15_000_000).max(least_us) },
        }
    }
}
