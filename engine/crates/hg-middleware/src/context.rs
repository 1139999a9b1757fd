//! The context that a step gets while a request runs, and what it leaves for later.

use crate::accounts::ConnectionAccounts;
use crate::claims::Claims;
use crate::decoding::Decoding;
use crate::headers::push_line;
use crate::keep::{Keep, Results};
use crate::pace::Paces;
use crate::subrequest::{Answered, Failure, Subrequest};
use std::any::Any;
use std::fmt;
use std::sync::Arc;

/// The world as a step may know it; who runs the chain passes it in.
pub struct Context<'a> {
    /// A clock that never goes back, microseconds.
    pub now_us: u64,
    /// Returns the microseconds since the Unix epoch.
    pub unix_us: fn() -> u64,
    /// Returns 64 random bits.
    pub random: &'a mut dyn FnMut() -> u64,
    /// Number of the worker; [`NOBODY`](crate::keep::NOBODY) where nothing is counted.
    pub worker: usize,
    /// The accounts that the requests of the client's connection share; `None` where no connection
    /// is known.
    pub accounts: Option<&'a mut ConnectionAccounts>,
}

/// The result of a job.
pub type Brought = Box<dyn Any + Send>;

/// The event that a step waits for. Meanwhile nothing of the body is read.
pub enum Wait {
    /// A time.
    Delay {
        /// Microseconds from now.
        us: u64,
    },
    /// A function that takes too long for a worker. Helper threads call it.
    Job {
        /// The function; its result comes back as [`Woken::Brought`].
        job: Box<dyn FnOnce() -> Brought + Send>,
        /// After so many microseconds the request is refused with 503.
        timeout_us: u64,
    },
    /// The answer to a request of our own, which comes back as [`Woken::Answered`].
    Subrequest(Box<Subrequest>),
}

impl fmt::Debug for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wait::Delay { us } => f.debug_struct("Delay").field("us", us).finish(),
            Wait::Job { timeout_us, .. } => {
                f.debug_struct("Job").field("timeout_us", timeout_us).finish_non_exhaustive()
            }
            Wait::Subrequest(subrequest) => f.debug_tuple("Subrequest").field(subrequest).finish(),
        }
    }
}

/// The reason why a step is called again.
#[derive(Debug, Default)]
pub enum Woken {
    /// It is not: this is the first call for the request.
    #[default]
    No,
    /// The time is over.
    Delay,
    /// The job is done.
    Brought(Brought),
    /// The subrequest has ended.
    Answered(Result<Box<Answered>, Failure>),
}

/// The end of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// The status of the answer; 499 if the client left before it, 0 if there was none.
    pub status: u16,
    /// The time that it took, microseconds.
    pub took_us: u64,
}

/// Is told once how an exchange ended, however that came.
pub trait Watch: Send {
    /// Called exactly once.
    fn ended(self: Box<Self>, how: &Ended);
}

/// The data that steps leave for later parts of an exchange.
#[derive(Default)]
pub struct Later {
    pub(crate) watches: Vec<Box<dyn Watch>>,
    /// Lines for the endpoint and for the client, each `name: value\r\n`.
    pub(crate) request: Vec<u8>,
    pub(crate) response: Vec<u8>,
    /// Lines for the client that pass edits which may drop them: those of a stage.
    pub(crate) edited: Vec<(u16, Vec<u8>)>,
    /// Of the token that let the request in.
    pub(crate) claims: Option<Claims>,
    /// The speed at which bodies pass.
    pub(crate) paces: Paces,
    /// The decoding of the request's body; absent = it is not decoded.
    pub(crate) decoding: Option<Decoding>,
}

impl Later {
    /// Returns how quickly bodies pass; then it is known no more here.
    pub fn take_paces(&mut self) -> Paces {
        std::mem::take(&mut self.paces)
    }

    /// Returns how the request's body is decoded; then it is known no more here.
    pub fn take_decoding(&mut self) -> Option<Decoding> {
        self.decoding.take()
    }

    /// Returns the claims of the token that let the request in, as far as its chain names them.
    pub fn claims(&self) -> Option<&Claims> {
        self.claims.as_ref()
    }

    /// Returns the lines that steps add to the request for the endpoint.
    pub fn request_lines(&self) -> &[u8] {
        &self.request
    }

    /// Reports whether steps add lines to the answer for the client.
    pub fn has_response_lines(&self) -> bool {
        !(self.response.is_empty() && self.edited.is_empty())
    }

    /// Adds lines for the client, which pass the edits of a stage; nothing = those drop none.
    pub(crate) fn add_response(&mut self, stage: Option<u16>, write: impl FnOnce(&mut Vec<u8>)) {
        let Some(stage) = stage else {
            return write(&mut self.response);
        };
        let mut lines = Vec::new();
        write(&mut lines);
        self.edited.push((stage, lines));
    }

    /// Makes one that has a line for the client already.
    pub fn with_response_line(name: &str, value: &[u8]) -> Self {
        let mut made = Self::default();
        push_line(&mut made.response, name, value);
        made
    }

    /// Adds what another one has.
    pub fn absorb(&mut self, mut other: Self) {
        self.watches.append(&mut other.watches);
        self.request.extend_from_slice(&other.request);
        self.response.extend_from_slice(&other.response);
        self.edited.append(&mut other.edited);
        if let Some(claims) = other.claims.take() {
            self.claims = Some(claims);
        }
        self.paces = other.take_paces();
        self.decoding = other.take_decoding();
    }

    /// Tells all who watch, once.
    pub fn end(&mut self, how: &Ended) {
        for watch in self.watches.drain(..) {
            watch.ended(how);
        }
    }
}

impl Drop for Later {
    fn drop(&mut self) {
        self.end(&Ended { status: 0, took_us: 0 });
    }
}

impl fmt::Debug for Later {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Later").field("watches", &self.watches.len()).finish_non_exhaustive()
    }
}

/// The place of a step in the plan: what its state and its counts belong to.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The state of all steps.
    pub keep: &'a Keep,
    /// The kind of the step.
    pub kind: &'static str,
    /// Names the middleware, or where it is written: `middleware slow`, `route r.middlewares[0]`.
    pub owner: &'a str,
    /// The middleware's name; empty for one that is written where it is used.
    pub name: &'a str,
}

impl Place<'_> {
    /// Returns the state of this step. It outlives reloads and is the same in all workers; a
    /// middleware that several routes use by its name has one state for all of them.
    pub fn keep<T: Any + Send + Sync>(&self, make: impl FnOnce() -> T) -> Arc<T> {
        self.keep.get(self.kind, self.owner, make)
    }

    /// Returns the counts of this step's results.
    pub fn results(&self, names: &'static [&'static str]) -> Arc<Results> {
        self.keep.results_of(self.name, self.kind, names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    struct Told(Arc<Mutex<Vec<u16>>>);

    impl Watch for Told {
        fn ended(self: Box<Self>, how: &Ended) {
            self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(how.status);
        }
    }

    #[test]
    fn what_is_absorbed_is_kept_and_told_once() {
        let told = Arc::new(Mutex::new(Vec::new()));
        let mut own = Later::with_response_line("set-cookie", b"a=1");
        let mut other = Later::with_response_line("x", b"y");
        other.watches.push(Box::new(Told(told.clone())));
        other.add_response(Some(1), |lines| push_line(lines, "z", b"1"));
        own.absorb(other);
        assert_eq!(own.response, b"set-cookie: a=1\r\nx: y\r\n");
        assert_eq!(own.edited, [(1, b"z: 1\r\n".to_vec())]);
        assert!(told.lock().is_ok_and(|told| told.is_empty()));
        own.end(&Ended { status: 200, took_us: 1 });
        drop(own);
        assert!(told.lock().is_ok_and(|told| *told == [200]));
    }
}
