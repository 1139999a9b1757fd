//! The matches of one host by path: exact paths and prefixes by hash, regexes by a radix tree of
//! their literal prefixes, with one automaton for each literal prefix.

use crate::automaton::{Automaton, Caches};
use crate::bucket::Rule;
use crate::compiled::PathRule;
use crate::paths::{List, Paths, Spot};
use crate::pattern;
use crate::radix::Radix;
use std::collections::HashMap;
use std::sync::Arc;

/// Most bytes that the automata of one host may take together.
const HOST_BYTES: usize = 64 * 1024 * 1024;

/// Matches by path; each is named by its place in the order of precedence.
pub(crate) struct Index {
    /// Exact paths and prefixes.
    pub(crate) paths: Paths,
    /// Literal prefixes of regexes; the values are indices into `groups`.
    literals: Radix,
    /// Groups sorted by literal prefix.
    groups: Box<[Group]>,
    /// Matches without a condition on the path.
    any: List,
    /// All lists of more than one rule, one after the other, each in order of precedence.
    rules: Box<[u32]>,
    /// The first match with a prefix, and the first with a regex; `usize::MAX` without any.
    first_prefix: usize,
    first_regex: usize,
}

/// Regexes with the same literal prefix.
pub(crate) struct Group {
    /// Kept from one index to the next as long as the patterns stay the same.
    patterns: Arc<Patterns>,
    /// The first of its matches.
    first: usize,
    /// Matches by pattern.
    lists: Box<[List]>,
}

struct Patterns {
    literal: Box<[u8]>,
    /// Patterns, sorted and distinct.
    texts: Box<[Box<str>]>,
    /// The automaton for what follows the literal; groups with equal rests share it.
    rest: Arc<Automaton>,
}

/// A match under its key. The order of the fields is the sort order.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Entry<'r> {
    is_regex: bool,
    /// The path, or the literal prefix.
    key: &'r [u8],
    /// The pattern, or the path again.
    text: &'r str,
    is_exact: bool,
    rule: u32,
}

impl Index {
    /// Indexes rules that are in order of precedence; reuses automata of the old index that stay
    /// the same.
    ///
    /// # Errors
    /// If the regexes are together too large.
    pub(crate) fn new(rules: &[Rule], old: Option<&Index>) -> Result<Self, String> {
        let mut draft = Draft::new(rules.len(), old);
        let (entries, any) = sort_out(rules);
        let any = draft.list(any.into_iter());
        let (paths, regexes) = entries.split_at(entries.partition_point(|e| !e.is_regex));
        let paths = paths.chunk_by(|a, b| a.text == b.text);
        let paths =
            Paths::new(paths.filter_map(|same| Some((same.first()?.text, draft.spot(same)))));
        let mut literals = Vec::new();
        let mut groups = Vec::new();
        for same in regexes.chunk_by(|a, b| a.key == b.key) {
            let Some(first) = same.first() else { continue };
            literals.push((first.key, groups.len() as u32));
            groups.push(draft.group(first.key, same)?);
        }
        let first_of = |is_it: fn(&PathRule) -> bool| {
            rules.iter().position(|rule| is_it(&rule.one().path)).unwrap_or(usize::MAX)
        };
        Ok(Self {
            paths,
            literals: Radix::new(&literals),
            groups: groups.into(),
            any,
            rules: draft.rules.into(),
            first_prefix: first_of(|path| matches!(path, PathRule::Prefix(_))),
            first_regex: first_of(|path| matches!(path, PathRule::Regex(_))),
        })
    }

    /// Matches without a condition on the path.
    pub(crate) fn any(&self) -> &[u32] {
        self.list(&self.any)
    }

    /// Returns the matches of a list.
    pub(crate) fn list<'l>(&'l self, list: &'l List) -> &'l [u32] {
        if list.len == 1 {
            return std::slice::from_ref(&list.start);
        }
        let range = list.start as usize..(list.start + list.len) as usize;
        self.rules.get(range).unwrap_or_default()
    }

    /// Returns the first match with a prefix in the order of precedence; `usize::MAX` without one.
    pub(crate) fn first_prefix(&self) -> usize {
        self.first_prefix
    }

    /// Returns the first match with a regex in the order of precedence; `usize::MAX` without one.
    pub(crate) fn first_regex(&self) -> usize {
        self.first_regex
    }

    /// Puts every group of regexes whose literal prefix begins the path into `groups`.
    pub(crate) fn find_groups(&self, path: &str, groups: &mut Vec<u32>) {
        groups.clear();
        self.literals.walk(path.as_bytes(), |_, group| groups.push(group));
    }

    /// Returns a group that [`Index::find_groups`] found.
    pub(crate) fn group(&self, group: u32) -> Option<&Group> {
        self.groups.get(group as usize)
    }

    /// Returns the matches with a pattern that [`Group::matching`] found.
    pub(crate) fn of_pattern<'l>(&'l self, group: &'l Group, pattern: u32) -> &'l [u32] {
        group.lists.get(pattern as usize).map_or(&[], |list| self.list(list))
    }
}

impl Group {
    /// Returns the first of its matches in the order of precedence.
    pub(crate) fn first(&self) -> usize {
        self.first
    }

    /// Puts the number of each pattern that matches the whole path into `found`. The path begins
    /// with the literal prefix.
    pub(crate) fn matching(&self, path: &str, caches: &mut Caches, found: &mut Vec<u32>) {
        found.clear();
        let from = self.patterns.literal.len();
        self.patterns.rest.run(path.as_bytes(), from, caches, |p| found.push(p as u32));
    }
}

/// Separates matches with a path, sorted, from those without.
fn sort_out(rules: &[Rule]) -> (Vec<Entry<'_>>, Vec<u32>) {
    let mut entries = Vec::with_capacity(rules.len());
    let mut any = Vec::new();
    for (rule, at) in rules.iter().zip(0u32..) {
        let plain = |text, is_exact| Entry { is_regex: false, key: &[], text, is_exact, rule: at };
        entries.push(match &rule.one().path {
            PathRule::Any => {
                any.push(at);
                continue;
            }
            PathRule::Exact(path) => plain(&**path, true),
            PathRule::Prefix(path) => plain(&**path, false),
            PathRule::Regex(regex) => {
                let (text, key) = (&*regex.0, &*regex.1);
                Entry { is_regex: true, key, text, is_exact: false, rule: at }
            }
        });
    }
    entries.sort_unstable();
    (entries, any)
}

/// An index under construction.
struct Draft<'o> {
    rules: Vec<u32>,
    /// The old index's patterns, by literal prefix.
    old: HashMap<&'o [u8], &'o Arc<Patterns>>,
    /// Automata by their patterns, without the literal prefixes.
    automata: HashMap<Vec<String>, Arc<Automaton>>,
    /// Bytes that the automata take so far.
    bytes: usize,
}

impl<'o> Draft<'o> {
    fn new(rules: usize, old: Option<&'o Index>) -> Self {
        let old = old.map_or(&[][..], |o| &o.groups);
        Self {
            rules: Vec::with_capacity(rules),
            old: old.iter().map(|g| (&*g.patterns.literal, &g.patterns)).collect(),
            automata: HashMap::new(),
            bytes: 0,
        }
    }

    fn list(&mut self, rules: impl Iterator<Item = u32>) -> List {
        let start = self.rules.len();
        self.rules.extend(rules);
        match self.rules.get(start..) {
            // A rule alone stands in its list, which saves a look at memory.
            Some(&[rule]) => {
                self.rules.truncate(start);
                List { start: rule, len: 1 }
            }
            _ => List { start: start as u32, len: (self.rules.len() - start) as u32 },
        }
    }

    /// Makes the entry of one path.
    fn spot(&mut self, entries: &[Entry<'_>]) -> Spot {
        let (prefix, exact) = entries.split_at(entries.partition_point(|e| !e.is_exact));
        let prefix = self.list(prefix.iter().map(|e| e.rule));
        let exact = self.list(exact.iter().map(|e| e.rule));
        Spot::new(exact, prefix)
    }

    /// Makes the group of one literal prefix.
    fn group(&mut self, literal: &[u8], entries: &[Entry<'_>]) -> Result<Group, String> {
        let mut texts = Vec::new();
        let mut lists = Vec::new();
        for entries in entries.chunk_by(|a, b| a.text == b.text) {
            texts.extend(entries.first().map(|e| e.text));
            lists.push(self.list(entries.iter().map(|e| e.rule)));
        }
        let first = entries.iter().map(|e| e.rule as usize).min().unwrap_or(usize::MAX);
        Ok(Group { patterns: self.patterns(literal, &texts)?, first, lists: lists.into() })
    }

    fn spend(&mut self, bytes: usize) -> Result<(), String> {
        self.bytes += bytes;
        match self.bytes <= HOST_BYTES {
            true => Ok(()),
            false => {
                Err("the regexes of this host are too large together; write fewer or shorter ones"
                    .to_owned())
            }
        }
    }

    /// Returns the old index's patterns if they are the same, else compiles them.
    fn patterns(&mut self, literal: &[u8], texts: &[&str]) -> Result<Arc<Patterns>, String> {
        if let Some(old) = self.old.get(literal)
            && old.texts.iter().map(|t| &**t).eq(texts.iter().copied())
        {
            let old = Arc::clone(old);
            self.spend(old.rest.memory_bytes())?;
            return Ok(old);
        }
        let mut rests = Vec::with_capacity(texts.len());
        for text in texts {
            rests.push(pattern::split_literal(&pattern::read(text)?).1);
        }
        let key: Vec<String> = rests.iter().map(ToString::to_string).collect();
        let rest = match self.automata.get(&key) {
            Some(same) => same.clone(),
            None => {
                let made = Arc::new(Automaton::new(&rests)?);
                self.spend(made.memory_bytes())?;
                self.automata.insert(key, made.clone());
                made
            }
        };
        let texts = texts.iter().map(|t| Box::from(*t)).collect();
        Ok(Arc::new(Patterns { literal: literal.into(), texts, rest }))
    }
}

#[cfg(test)]
mod tests;
