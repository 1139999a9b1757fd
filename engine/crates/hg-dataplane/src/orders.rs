//! Orders of operators on disk, so that an endpoint in maintenance stays there over a restart, a
//! crash and an upgrade. A small JSON file beside the plan, written whole and renamed into place.

use crate::engine_port::EngineApi;
use crate::store::write_all_new;
use hg_engine::EndpointOrder;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// One order; `ready` is none and not kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    upstream: String,
    endpoint: String,
    state: String,
}

/// The file, and a lock so that one order is written after the other.
pub struct Orders {
    path: PathBuf,
    writing: Mutex<()>,
}

/// Returns the order that a word names.
fn named(word: &str) -> Option<EndpointOrder> {
    match word {
        "ready" => Some(EndpointOrder::Ready),
        "drain" => Some(EndpointOrder::Drain),
        "maintenance" => Some(EndpointOrder::Maintenance),
        _ => None,
    }
}

impl Orders {
    /// Uses the file in the plan's directory.
    pub fn new(plan_dir: &Path) -> Self {
        Self { path: plan_dir.join("orders.json"), writing: Mutex::default() }
    }

    fn read(&self) -> io::Result<Vec<Kept>> {
        let text = match fs::read(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        serde_json::from_slice(&text).map_err(io::Error::other)
    }

    /// Gives the engine the orders that are kept, and no others. Call it before the first plan, and
    /// again when the control process turns to this process: until then its predecessor has written
    /// what operators wanted.
    ///
    /// # Errors
    /// If the file cannot be read; then nothing changes.
    pub fn load(&self, engine: &dyn EngineApi) -> io::Result<()> {
        let _one = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let all = self.read()?;
        for (upstream, endpoint) in engine.ordered() {
            if !all.iter().any(|k| k.upstream == upstream && k.endpoint == endpoint) {
                engine.order(&upstream, &endpoint, EndpointOrder::Ready);
            }
        }
        for kept in all {
            if let Some(order) = named(&kept.state) {
                engine.order(&kept.upstream, &kept.endpoint, order);
            }
        }
        Ok(())
    }

    /// Keeps an order, then puts it in force.
    ///
    /// # Errors
    /// If there is no such state or endpoint, or the order cannot be kept; then nothing changes.
    pub fn set(
        &self,
        engine: &dyn EngineApi,
        upstream: &str,
        endpoint: &str,
        state: &str,
    ) -> Result<(), String> {
        let _one = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let order = named(state).ok_or_else(|| {
            format!("`{state}` is not a state; write `ready`, `drain` or `maintenance`")
        })?;
        let place = self.path.display();
        let mut all = self.read().map_err(|error| format!("{place}: {error}"))?;
        let is_it = |k: &Kept| k.upstream == upstream && k.endpoint == endpoint;
        if order != EndpointOrder::Ready || !all.iter().any(is_it) {
            engine.find_endpoint(upstream, endpoint)?;
        }
        all.retain(|k| !is_it(k));
        if order != EndpointOrder::Ready {
            let (upstream, endpoint) = (upstream.to_owned(), endpoint.to_owned());
            all.push(Kept { upstream, endpoint, state: state.to_owned() });
        }
        self.write(&all).map_err(|error| format!("the order cannot be kept: {error}"))?;
        engine.order(upstream, endpoint, order);
        Ok(())
    }

    fn write(&self, all: &[Kept]) -> io::Result<()> {
        let new = self.path.with_extension("new");
        write_all_new(&new, &serde_json::to_vec_pretty(all)?)?;
        fs::File::open(&new)?.sync_all()?;
        fs::rename(&new, &self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::FakeEngine;
    use crate::store::tests::TempDir;
    use EndpointOrder::{Drain, Maintenance, Ready};

    fn place() -> (TempDir, Orders) {
        let dir = TempDir::new();
        let orders = Orders::new(dir.path());
        (dir, orders)
    }

    #[test]
    fn an_order_is_kept_over_a_restart_and_ready_ends_it() {
        let (dir, orders) = place();
        let engine = FakeEngine::default();
        orders.set(&engine, "u", "a:1", "drain").unwrap();
        orders.set(&engine, "u", "b:1", "maintenance").unwrap();
        orders.set(&engine, "u", "a:1", "maintenance").unwrap();
        let kept = [("b:1", Maintenance), ("a:1", Maintenance)];
        let after = FakeEngine::default();
        Orders::new(dir.path()).load(&after).unwrap();
        assert_eq!(after.orders(), kept.map(|(a, o)| ("u".to_owned(), a.to_owned(), o)));
        orders.set(&engine, "u", "b:1", "ready").unwrap();
        orders.set(&engine, "u", "a:1", "ready").unwrap();
        assert_eq!(engine.orders().pop(), Some(("u".into(), "a:1".into(), Ready)));
        assert_eq!(orders.read().unwrap(), []);
    }

    #[test]
    fn a_successor_learns_what_was_ordered_after_it_began() {
        let (dir, orders) = place();
        let (old, new) = (FakeEngine::default(), FakeEngine::default());
        let successor = Orders::new(dir.path());
        orders.set(&old, "u", "a:1", "drain").unwrap();
        successor.load(&new).unwrap();
        orders.set(&old, "u", "a:1", "ready").unwrap();
        orders.set(&old, "u", "b:1", "maintenance").unwrap();
        successor.load(&new).unwrap();
        assert_eq!(new.ordered(), [("u".to_owned(), "b:1".to_owned())]);
    }

    #[test]
    fn an_order_that_cannot_be_given_changes_nothing() {
        let (dir, orders) = place();
        let engine = FakeEngine::default();
        let state = orders.set(&engine, "u", "a:1", "off").unwrap_err();
        assert!(state.starts_with("`off` is not a state; write "), "{state}");
        let unknown = orders.set(&engine, "u", "unknown", "drain").unwrap_err();
        assert_eq!(unknown, "the upstream `u` has no endpoint `unknown`");
        fs::write(dir.path().join("orders.json"), "{").unwrap();
        assert!(orders.set(&engine, "u", "a:1", "drain").is_err(), "what is there is not lost");
        assert!(orders.load(&engine).is_err());
        assert_eq!(engine.orders(), []);
    }

    #[test]
    fn an_order_for_an_endpoint_that_left_the_plan_can_be_ended() {
        let (_dir, orders) = place();
        let engine = FakeEngine::default();
        orders.set(&engine, "u", "a:1", "drain").unwrap();
        engine.forget_endpoints();
        assert!(orders.set(&engine, "u", "a:1", "maintenance").is_err());
        orders.set(&engine, "u", "a:1", "ready").unwrap();
        assert_eq!(engine.orders().len(), 2);
        assert_eq!(engine.orders()[0].2, Drain);
    }
}
