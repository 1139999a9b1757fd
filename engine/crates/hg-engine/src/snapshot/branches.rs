//! The choice of the upstream that a connection of a TCP route goes to.

use hg_plan::{SplitPart, TcpRoute};
use hg_policy::{Random, Shares, Sticky};
use std::net::IpAddr;
use std::sync::Arc;

/// An upstream of a TCP route.
#[derive(Clone, Debug)]
pub(crate) struct Branch {
    pub(crate) slot: usize,
    /// Its name: a connection may wait while another upstream comes into the slot.
    pub(crate) name: Arc<str>,
}

/// The upstreams of a TCP route, and how one of them is chosen.
#[derive(Debug)]
pub(crate) struct Branches {
    each: Box<[Branch]>,
    shares: Shares,
    /// The means by which a client finds its branch again.
    sticky: Option<Sticky>,
}

impl Branches {
    /// Compiles those of a route; `slot` finds upstreams.
    ///
    /// # Errors
    /// Returns a path within the route, and what is wrong there.
    pub(super) fn compile(
        name: &str,
        route: &TcpRoute,
        slot: impl Fn(&str) -> Option<usize>,
    ) -> Result<Self, (String, String)> {
        let parts = match (&route.upstream, route.split.is_empty()) {
            (Some(upstream), true) => &[SplitPart { upstream: upstream.clone(), weight: 1 }],
            (None, false) => route.split.as_slice(),
            _ => return Err(("upstream".into(), "write one upstream, or `split`".into())),
        };
        let path = |i: usize| match route.upstream {
            Some(_) => "upstream".to_owned(),
            None => format!("split[{i}].upstream"),
        };
        let branch = |(i, part): (usize, &SplitPart)| match slot(&part.upstream) {
            Some(slot) => Ok(Branch { slot, name: part.upstream.as_str().into() }),
            None => Err((path(i), format!("there is no upstream `{}`", part.upstream))),
        };
        let each = parts.iter().enumerate().map(branch).collect::<Result<_, _>>()?;
        let shares = Shares::new(parts.iter().map(|part| part.weight));
        if shares.total() == 0 {
            return Err(("split".into(), "every weight is 0".into()));
        }
        let sticky = route.sticky.as_ref().map(|plan| match plan {
            hg_plan::Sticky::By(keys) if keys.iter().all(|key| key == "client_ip") => {
                Sticky::new(plan, name, parts).map_err(|(_, message)| ("sticky.by".into(), message))
            }
            _ => Err(("sticky".into(), "a connection is kept by `client_ip` alone".into())),
        });
        Ok(Self { each, shares, sticky: sticky.transpose()? })
    }

    /// Returns the upstream of a client's next connection. One hash for clients that stay at theirs,
    /// else one random number, or nothing where there is one upstream.
    pub(crate) fn choose(&self, client: IpAddr, rng: &mut dyn Random) -> Option<&Branch> {
        if let [only] = &*self.each {
            return Some(only);
        }
        let at = match &self.sticky {
            None => self.shares.pick(rng)?,
            Some(sticky) => {
                let key = Some(hg_policy::hash_client(client));
                sticky.choose(|_| {}, |_| key, || 0, rng)?.branch
            }
        };
        self.each.get(at)
    }
}

#[cfg(test)]
mod tests;
