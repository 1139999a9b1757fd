//! Load shedding: when a worker has so much to do that it had better answer new requests at once,
//! and which of them.

/// Limits of one worker; 0 switches one off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SheddingPolicy {
    /// Requests that wait for a place at an upstream.
    pub queued: u64,
    /// The time that a turn of the worker's loop takes.
    pub lag_us: u64,
    /// The marks at which the levels beside the limits begin.
    pub marks: Marks,
}

/// The percentages of a limit at which the levels begin; 0 switches a level off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// Below 100.
    pub strained: u64,
    /// Above 100.
    pub critical: u64,
}

/// The level of an overload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Nothing.
    #[default]
    Calm,
    /// A limit is near: what matters little is refused.
    Strained,
    /// A limit is reached: only what matters most is served.
    Overloaded,
    /// Far above a limit: everything new is refused, connections too.
    Critical,
}

impl Level {
    /// Every level, by its number.
    pub const ALL: [Level; 4] = [Level::Calm, Level::Strained, Level::Overloaded, Level::Critical];

    /// Returns its number, from 0.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// Returns the level with this number; above the last one it is the last one.
    pub fn of_number(number: u8) -> Level {
        Self::ALL.get(usize::from(number)).copied().unwrap_or(Level::Critical)
    }

    /// Returns its name: `calm`, `strained`, `overloaded` or `critical`.
    pub fn name(self) -> &'static str {
        match self {
            Level::Calm => "calm",
            Level::Strained => "strained",
            Level::Overloaded => "overloaded",
            Level::Critical => "critical",
        }
    }
}

/// The importance of a request compared with other requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Importance {
    /// It is refused first.
    Low,
    /// As others.
    #[default]
    Normal,
    /// It is refused last.
    High,
}

impl Importance {
    /// Reports whether a request is refused at a level.
    pub fn is_shed_at(self, level: Level) -> bool {
        let from = match self {
            Importance::Low => Level::Strained,
            Importance::Normal => Level::Overloaded,
            Importance::High => Level::Critical,
        };
        level >= from
    }
}

/// The kind of load that is too high.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overload {
    /// Memory of the process.
    Memory,
    /// Requests that wait.
    Queue,
    /// Work in each turn of the loop.
    Lag,
}

/// A level ends below so many percent of the load that began it.
const END_PERCENT: u64 = 80;
/// After so long without a turn the last ones say nothing any more.
const STALE_US: u64 = 1_000_000;
/// The shortest time between two reports of a level, unless it rises.
const TELL_US: u64 = 10_000_000;

/// A worker's knowledge of its load.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shedder {
    /// The time that turns take, smoothed: one long turn is no overload.
    lag_us: u64,
    turned_us: u64,
    queue: Level,
    lag: Level,
    /// The level that was told last, and when; calm once its end was told.
    told: (Level, u64),
}

impl Shedder {
    /// Takes in a turn of the loop: when it ended, how long it took, and how many requests wait.
    pub fn turn(&mut self, ended_us: u64, took_us: u64, queued: u64, policy: &SheddingPolicy) {
        if self.is_stale(ended_us) {
            self.lag_us = 0;
        }
        self.turned_us = ended_us;
        // A quarter of the way to the new value; rounded so that it reaches zero.
        self.lag_us = self.lag_us - self.lag_us.div_ceil(4) + took_us / 4;
        self.queue = policy.marks.level(self.queue, queued, policy.queued);
        self.lag = policy.marks.level(self.lag, self.lag_us, policy.lag_us);
    }

    /// Returns the highest level now and what there is too much of; `memory` is the level of the
    /// process. Nothing while all is calm.
    pub fn overload(&self, now_us: u64, memory: Level) -> Option<(Level, Overload)> {
        let lag = if self.is_stale(now_us) { Level::Calm } else { self.lag };
        let causes =
            [(memory, Overload::Memory), (self.queue, Overload::Queue), (lag, Overload::Lag)];
        let highest = causes.iter().map(|(level, _)| *level).max()?;
        causes.into_iter().find(|(level, _)| *level == highest && highest > Level::Calm)
    }

    /// Returns the levels of waiting requests and of turns, as they were after the last turn.
    pub fn levels(&self) -> (Level, Level) {
        (self.queue, self.lag)
    }

    /// Reports whether it is time to tell of a level, and notes that.
    pub fn tells(&mut self, now_us: u64, level: Level) -> bool {
        let (told, at_us) = self.told;
        let is_due = match level {
            Level::Calm => told > Level::Calm,
            _ => level > told || now_us.saturating_sub(at_us) >= TELL_US,
        };
        if is_due {
            self.told = (level, now_us);
        }
        is_due
    }

    fn is_stale(&self, now_us: u64) -> bool {
        now_us.saturating_sub(self.turned_us) > STALE_US
    }
}

impl Marks {
    /// Returns the level of a load; a limit of 0 is none.
    pub fn level(&self, was: Level, load: u64, limit: u64) -> Level {
        let bars = [
            (Level::Critical, self.critical),
            (Level::Overloaded, 100),
            (Level::Strained, self.strained),
        ];
        let reached = |(level, percent): &(Level, u64)| {
            *percent > 0 && is_over(was >= *level, load, part(limit, *percent))
        };
        bars.iter().find(|bar| reached(bar)).map_or(Level::Calm, |(level, _)| *level)
    }
}

/// Returns so many percent of a limit, rounded up.
fn part(limit: u64, percent: u64) -> u64 {
    let part = (u128::from(limit) * u128::from(percent)).div_ceil(100);
    u64::try_from(part).unwrap_or(u64::MAX)
}

/// Reports whether a load is over its limit, or was and is not far enough below; a limit of 0 is
/// none.
fn is_over(was: bool, load: u64, limit: u64) -> bool {
    let bar = if was { limit.saturating_mul(END_PERCENT) / 100 } else { limit };
    limit > 0 && load >= bar
}

#[cfg(test)]
mod tests;
