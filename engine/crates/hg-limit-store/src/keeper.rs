//! The thread that has the socket: it charges what workers admitted, and tries a store that is away.

use crate::batch::Batch;
use crate::session::Trouble;
use crate::standing::Standing;
use crate::store::{Meant, News, Now, Shared, Tell};
use crate::wire::Wire;
use hg_dial::{Failure, Lookup, Reason};
use hg_limit::Desk;
use std::sync::atomic::Ordering::{Acquire, Relaxed};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// After so long without a charge the store is asked whether it still counts.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// The state of the thread.
pub(crate) struct Keeper {
    shared: Arc<Shared>,
    desk: Arc<Desk>,
    now: Now,
    tell: Tell,
    lookup: Lookup,
    incoming: Receiver<Option<Arc<Meant>>>,
    meant: Option<Arc<Meant>>,
    standing: Standing,
    wire: Option<Wire>,
    /// The time of the store's last answer.
    heard: Instant,
}

impl Keeper {
    pub(crate) fn new(
        (shared, desk): (Arc<Shared>, Arc<Desk>),
        (now, tell, lookup): (Now, Tell, Lookup),
        incoming: Receiver<Option<Arc<Meant>>>,
    ) -> Self {
        let (meant, standing, wire) = Default::default();
        let heard = Instant::now();
        Self { shared, desk, now, tell, lookup, incoming, meant, standing, wire, heard }
    }

    pub(crate) fn run(&mut self) {
        while !self.shared.stop.load(Acquire) {
            while let Ok(meant) = self.incoming.try_recv() {
                self.meet(meant);
            }
            match self.meant.clone() {
                None => {
                    self.forget_reports();
                    std::thread::park();
                }
                Some(meant) if self.standing.is_ready() => self.serve(&meant),
                Some(meant) => self.seek(&meant),
            }
        }
        self.desk.set_ready(false);
        self.forget_reports();
    }

    /// Takes another store, or none.
    fn meet(&mut self, meant: Option<Arc<Meant>>) {
        self.desk.set_ready(false);
        self.standing.reset();
        (self.meant, self.wire) = (meant, None);
        self.note_away("it was not reached yet");
    }

    /// A turn while the store counts.
    fn serve(&mut self, meant: &Meant) {
        let batch = Batch::gather(&self.desk);
        if batch.len() == 0 {
            let rest = HEARTBEAT.saturating_sub(self.heard.elapsed());
            if rest.is_zero() {
                let said = self.say(meant, |wire, until| wire.trial(until));
                self.settle(said.map(drop), 0);
            } else if self.desk.may_sleep() {
                std::thread::park_timeout(rest);
                self.desk.woke();
            }
            return;
        }
        let count = u64::try_from(batch.len()).unwrap_or(u64::MAX);
        match self.say(meant, |wire, until| wire.charge(&batch.charges, until)) {
            Ok(ahead) => {
                let charged = u64::try_from(ahead.len()).unwrap_or(u64::MAX);
                self.shared.charged.fetch_add(charged, Relaxed);
                batch.told((self.now)(), &ahead);
                self.settle(Ok(()), 0);
            }
            Err(why) => self.settle(Err(why), count),
        }
    }

    /// Says something on the connection; on a new one if the old one turns out to be closed. A charge
    /// that was taken before it closed is then counted twice, which admits less, not more.
    fn say<T>(
        &mut self,
        meant: &Meant,
        what: impl Fn(&mut Wire, Instant) -> Result<T, Trouble>,
    ) -> Result<T, Failure> {
        let until = Instant::now() + meant.timeout();
        let Some(mut wire) = self.wire.take() else {
            return Err(Failure::new(Reason::Closed, "there is no connection"));
        };
        let mut said = what(&mut wire, until);
        if let Err(Trouble::Again(_)) = said {
            wire = Wire::to(meant, wire.address(), until).map_err(failure)?;
            said = what(&mut wire, until);
        }
        let said = said.map_err(failure)?;
        self.wire = Some(wire);
        Ok(said)
    }

    /// A turn while the store is away.
    fn seek(&mut self, meant: &Meant) {
        self.forget_reports();
        if let Some(wait) = self.standing.wait_us((self.now)()) {
            return std::thread::park_timeout(Duration::from_micros(wait));
        }
        let opened = Wire::open(meant, &self.lookup, meant.timeout());
        let opened = opened.map(|wire| self.wire = Some(wire));
        self.settle(opened, 0);
    }

    /// Takes over how something ended; `lost` requests were admitted for nothing.
    fn settle(&mut self, how: Result<(), Failure>, lost: u64) {
        let Err(why) = how else {
            self.heard = Instant::now();
            if self.standing.succeeded() {
                self.desk.set_ready(true);
                (self.tell)(News::Ready);
            }
            return;
        };
        self.desk.set_ready(false);
        self.wire = None;
        self.shared.failures.count(why.reason);
        self.shared.lost.fetch_add(lost, Relaxed);
        let was_ready = self.standing.is_ready();
        let random = u64::from(self.heard.elapsed().subsec_nanos());
        let is_first = self.standing.failed((self.now)(), random);
        if was_ready {
            self.note_away(&why.detail);
        } else {
            self.note_why(&why.detail);
        }
        if is_first {
            (self.tell)(News::Away(why.detail));
        }
    }

    fn note_away(&self, why: &str) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        self.shared.away_since_s.store(now, Relaxed);
        self.note_why(why);
    }

    fn note_why(&self, why: &str) {
        why.clone_into(&mut self.shared.why.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Drops what is left at the desk: nobody charges it.
    fn forget_reports(&self) {
        while let Some(report) = self.desk.take() {
            drop(report);
            self.shared.lost.fetch_add(1, Relaxed);
        }
    }
}

fn failure(trouble: Trouble) -> Failure {
    match trouble {
        Trouble::Again(failure) | Trouble::Away(failure) => failure,
    }
}
