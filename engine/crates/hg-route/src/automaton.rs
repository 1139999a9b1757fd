//! One automaton for several patterns, run over a whole text; and the memory that it needs.
//!
//! We walk the states ourselves to anchor both ends: the match states after the end of the text
//! name every pattern that matches all of it, in one pass, whatever their number.

use crate::pattern;
use regex_automata::dfa::{Automaton as _, StartKind, dense};
use regex_automata::hybrid::dfa as lazy;
use regex_automata::nfa::thompson::NFA;
use regex_automata::{Anchored, Input, MatchKind};
use regex_syntax::hir::Hir;
use std::sync::{Arc, Weak};

/// An automaton of at most so many bytes is built whole and needs no memory of the worker.
const DENSE_BYTES: usize = 64 * 1024;

/// With more states before determinisation than this, the full automaton is not attempted.
const DENSE_STATES: usize = 1024;

/// Bytes of states that one worker keeps of one lazily built automaton before it starts over.
const LAZY_BYTES: usize = 4 * 1024 * 1024;

/// Bytes that one worker keeps for all lazily built automata; it drops the least recently used
/// first.
const WORKER_BYTES: usize = 64 * 1024 * 1024;

/// Number of automata for which a worker keeps states.
const WORKER_AUTOMATA: usize = 64;

/// Patterns compiled together.
pub(crate) enum Automaton {
    /// All states are built; workers share it unchanged.
    Dense(Box<dense::DFA<Vec<u32>>>),
    /// Texts build the states they need, in a cache of the worker.
    Lazy(Arc<lazy::DFA>),
}

impl Automaton {
    /// Compiles patterns; they are numbered in the order given.
    ///
    /// # Errors
    /// If they are together too large.
    pub(crate) fn new(patterns: &[Hir]) -> Result<Self, String> {
        let nfa = pattern::compile_all(patterns)?;
        if let Some(dfa) = build_dense(&nfa) {
            return Ok(Self::Dense(Box::new(dfa)));
        }
        let config = lazy::Config::new()
            .match_kind(MatchKind::All)
            .cache_capacity(LAZY_BYTES)
            .skip_cache_capacity_check(true);
        let dfa = lazy::Builder::new().configure(config).build_from_nfa(nfa);
        dfa.map(|d| Self::Lazy(Arc::new(d))).map_err(|e| e.to_string())
    }

    /// Returns its bytes, without the workers' caches.
    pub(crate) fn memory_bytes(&self) -> usize {
        match self {
            Self::Dense(dfa) => dfa.memory_usage(),
            Self::Lazy(dfa) => dfa.get_nfa().memory_usage(),
        }
    }

    /// Calls `hit` with the number of each pattern that matches the text from there to its end.
    /// Only `^` and `\b` see the text before that place.
    pub(crate) fn run(
        &self,
        text: &[u8],
        from: usize,
        caches: &mut Caches,
        hit: impl FnMut(usize),
    ) {
        let input = Input::new(text).range(from..).anchored(Anchored::Yes);
        // Neither walk can fail: no byte is configured to quit on, every automaton is built for
        // anchored searches, and a full cache is cleared, never given up.
        let _complete = match self {
            Self::Dense(dfa) => run_dense(dfa, &input, hit),
            Self::Lazy(dfa) => caches.of(dfa).and_then(|c| run_lazy(dfa, c, &input, hit)),
        };
    }

    /// Reports whether any pattern matches the whole text.
    pub(crate) fn is_match(&self, text: &[u8], caches: &mut Caches) -> bool {
        let mut found = false;
        self.run(text, 0, caches, |_| found = true);
        found
    }
}

fn build_dense(nfa: &NFA) -> Option<dense::DFA<Vec<u32>>> {
    if nfa.states().len() > DENSE_STATES {
        return None;
    }
    let config = dense::Config::new()
        .match_kind(MatchKind::All)
        .start_kind(StartKind::Anchored)
        .accelerate(false)
        .dfa_size_limit(Some(DENSE_BYTES))
        .determinize_size_limit(Some(4 * DENSE_BYTES));
    dense::Builder::new().configure(config).build_from_nfa(nfa).ok()
}

fn run_dense(
    dfa: &dense::DFA<Vec<u32>>,
    input: &Input<'_>,
    mut hit: impl FnMut(usize),
) -> Option<()> {
    // Where no pattern looks back, the start does not depend on what stands before it.
    let start = dfa.universal_start_state(Anchored::Yes);
    let mut state = start.or_else(|| dfa.start_state_forward(input).ok())?;
    for &byte in input.haystack().get(input.get_range())? {
        state = dfa.next_state(state, byte);
        if dfa.is_dead_state(state) {
            return Some(());
        }
    }
    state = dfa.next_eoi_state(state);
    if dfa.is_match_state(state) {
        (0..dfa.match_len(state)).for_each(|i| hit(dfa.match_pattern(state, i).as_usize()));
    }
    Some(())
}

fn run_lazy(
    dfa: &lazy::DFA,
    cache: &mut lazy::Cache,
    input: &Input<'_>,
    mut hit: impl FnMut(usize),
) -> Option<()> {
    let mut state = dfa.start_state_forward(cache, input).ok()?;
    for &byte in input.haystack().get(input.get_range())? {
        state = dfa.next_state(cache, state, byte).ok()?;
        if state.is_dead() {
            return Some(());
        }
    }
    state = dfa.next_eoi_state(cache, state).ok()?;
    if state.is_match() {
        let count = dfa.match_len(cache, state);
        (0..count).for_each(|i| hit(dfa.match_pattern(cache, state, i).as_usize()));
    }
    Some(())
}

/// The lazily built states of one worker, limited in number and bytes.
#[derive(Default)]
pub(crate) struct Caches {
    /// Slots, most recently used first.
    slots: Vec<Slot>,
}

struct Slot {
    /// Prevents reuse of the address without keeping the automaton alive.
    of: Weak<lazy::DFA>,
    cache: lazy::Cache,
}

impl Caches {
    /// Returns the cache of an automaton; makes it at the first call. Never `None`.
    fn of(&mut self, dfa: &Arc<lazy::DFA>) -> Option<&mut lazy::Cache> {
        let at = self.slots.iter().position(|s| std::ptr::eq(s.of.as_ptr(), Arc::as_ptr(dfa)));
        let slot = match at {
            Some(at) => self.slots.remove(at),
            None => {
                self.make_room();
                Slot { of: Arc::downgrade(dfa), cache: dfa.create_cache() }
            }
        };
        self.slots.insert(0, slot);
        self.slots.first_mut().map(|slot| &mut slot.cache)
    }

    /// Drops the caches of automata that are gone, then the least recently used.
    fn make_room(&mut self) {
        self.trim();
        self.slots.truncate(WORKER_AUTOMATA - 1);
        let mut bytes = 0;
        self.slots.retain(|s| {
            bytes += s.cache.memory_usage();
            bytes <= WORKER_BYTES - LAZY_BYTES
        });
    }

    /// Drops the caches of automata that are gone.
    pub(crate) fn trim(&mut self) {
        self.slots.retain(|s| s.of.strong_count() > 0);
    }

    /// Bytes held.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.slots.iter().map(|s| s.cache.memory_usage()).sum()
    }
}

#[cfg(test)]
mod tests;
