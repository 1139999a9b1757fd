//! The branch of a split that a request goes to.

use super::Worker;
use super::exchange::ExId;
use super::request::Lines;
use crate::snapshot::{RouteEntry, Split};
use hg_middleware::Later;
use hg_policy::{Chosen, Random as _};
use hg_proto::Known;
use hg_route::Headers as _;
use std::net::IpAddr;

/// Returns the seconds since the Unix epoch.
pub(super) fn unix_s() -> u64 {
    hg_net::unix_micros() / 1_000_000
}

impl Worker {
    /// Returns the slot of the upstream that a request goes to, if there is one.
    pub(super) fn choose_upstream(
        &mut self,
        x: ExId,
        route: &RouteEntry,
        client: IpAddr,
        (path, lines): (&str, &Lines<'_>),
        scheme: &str,
    ) -> Option<usize> {
        match &route.terms.split {
            None => route.upstream.map(|slot| slot as usize),
            Some(split) => self.choose_branch(x, split, client, (path, lines), scheme),
        }
    }

    /// Returns the slot of a branch, drawn by weight or found again; `None` if all weights are 0.
    fn choose_branch(
        &mut self,
        x: ExId,
        split: &Split,
        client: IpAddr,
        (path, lines): (&str, &Lines<'_>),
        scheme: &str,
    ) -> Option<usize> {
        let Some((sticky, results)) = &split.sticky else {
            return self.draw_branch(split);
        };
        let Chosen { branch, found, sets } = sticky.choose(
            |each| lines.fields.each(Known::Cookie).for_each(each),
            |key| key.hash(client, path, |name, line| lines.each(name, line)),
            unix_s,
            &mut self.rng,
        )?;
        results.add(self.mailbox.index, found as usize);
        if let Some(token) = sets
            && let Some(e) = self.exchanges.get_mut(x)
        {
            let mut cookie = Vec::new();
            sticky.write_cookie(token, scheme == "https", unix_s, &mut cookie);
            e.chained.later = Some(Box::new(Later::with_response_line("set-cookie", &cookie)));
        }
        split.parts.get(branch).map(|(slot, _)| *slot as usize)
    }

    fn draw_branch(&mut self, split: &Split) -> Option<usize> {
        let mut at = if split.total == 0 { 0 } else { self.rng.next_u64() % split.total };
        let (slot, _) = split.parts.iter().find(|(_, weight)| {
            let is_it = at < u64::from(*weight);
            at = at.saturating_sub(u64::from(*weight));
            is_it
        })?;
        Some(*slot as usize)
    }
}

#[cfg(test)]
mod tests;
