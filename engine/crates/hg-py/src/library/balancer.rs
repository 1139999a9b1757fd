//! A balancer over the endpoints of an upstream, with the counts that a worker keeps beside one.

use hg_plan::{Kind, Object};
use hg_policy::{KeySource, Load, Sample, Tried, WyRand, hash_client, hash_key};
use pyo3::exceptions::{PyIndexError, PyValueError};
use pyo3::prelude::*;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Picks endpoints of one upstream; its methods may be called from any thread.
#[pyclass(frozen, module = "headgate._core._core")]
pub struct Balancer {
    state: Mutex<State>,
}

struct State {
    policy: hg_policy::Balancer,
    active: Vec<u32>,
    usable: Vec<bool>,
    random: WyRand,
}

#[pymethods]
impl Balancer {
    /// Makes one of an upstream's canonical bytes. Raises `ValueError` for what is no upstream.
    #[new]
    fn new(upstream: &[u8], seed: u64) -> PyResult<Self> {
        let wrong = PyValueError::new_err::<String>;
        let Object::Upstream(upstream) = Object::decode(Kind::Upstream, upstream).map_err(wrong)?
        else {
            return Err(wrong("the object is no upstream".into()));
        };
        let policy = hg_policy::Balancer::new(&upstream.balance, &upstream.endpoints)
            .map_err(|problems| wrong(format!("{problems:?}")))?;
        let count = upstream.endpoints.len();
        let (active, usable) = (vec![0; count], vec![true; count]);
        let random = WyRand::new(seed);
        Ok(Self { state: Mutex::new(State { policy, active, usable, random }) })
    }

    /// Returns the place of the endpoint that takes the next request, and counts it as active; None
    /// if none may. `tried` are places that it must not be.
    fn pick(&self, key: Option<&str>, now_us: u64, tried: Vec<usize>) -> Option<usize> {
        let mut seen = Tried::new();
        if !tried.into_iter().all(|place| seen.insert(place)) {
            return None;
        }
        let state = &mut *self.state();
        let key = key.map(|key| state.hash(key));
        let load = Load { active: &state.active, usable: &state.usable };
        let picked = state.policy.pick(&load, &seen, key, now_us, &mut state.random)?;
        if let Some(active) = state.active.get_mut(picked) {
            *active = active.saturating_add(1);
        }
        Some(picked)
    }

    /// Notes that a request ended after so many microseconds: with an answer, with a failure, or
    /// (None) because nobody waited any longer. Raises `IndexError` for a place that is none.
    fn finished(
        &self,
        place: usize,
        now_us: u64,
        took_us: u64,
        good: Option<bool>,
    ) -> PyResult<()> {
        let state = &mut *self.state();
        let active = state.active.get_mut(place).ok_or_else(|| nowhere(place))?;
        *active = active.saturating_sub(1);
        let sample = match good {
            Some(true) => Sample::Took(took_us),
            Some(false) => Sample::Failed(took_us),
            None => Sample::AtLeast(took_us),
        };
        state.policy.finished(place, now_us, sample);
        Ok(())
    }

    /// Lets an endpoint take requests, or not. Raises `IndexError` for a place that is none.
    fn set_usable(&self, place: usize, usable: bool) -> PyResult<()> {
        *self.state().usable.get_mut(place).ok_or_else(|| nowhere(place))? = usable;
        Ok(())
    }

    /// Returns how many requests each endpoint has now.
    fn active(&self) -> Vec<u32> {
        self.state().active.clone()
    }

    /// Reports whether a pick needs a key.
    #[getter]
    fn needs_key(&self) -> bool {
        self.state().policy.needs_key().is_some()
    }
}

impl Balancer {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Returns the hash that the data plane makes of a key.
    fn hash(&self, key: &str) -> u64 {
        match (self.policy.needs_key(), key.parse::<IpAddr>()) {
            (Some(KeySource::ClientIp), Ok(client)) => hash_client(client),
            _ => hash_key(key.as_bytes()),
        }
    }
}

fn nowhere(place: usize) -> PyErr {
    PyIndexError::new_err(format!("there is no endpoint {place}"))
}
