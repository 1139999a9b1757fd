//! Rules by the server names that they have.

use foldhash::HashMap;
use foldhash::HashMapExt as _;

/// The place of a rule.
pub(super) type Index = u32;

/// The rules of each name.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    exact: HashMap<Box<str>, Vec<Index>>,
    /// Wildcards by what follows the star: `.example` for `*.example`.
    wildcard: HashMap<Box<str>, Vec<Index>>,
    /// Those with `*`.
    any: Vec<Index>,
    /// Those without a name.
    none: Vec<Index>,
}

impl Names {
    /// Takes the names of each rule.
    pub(super) fn new<'a>(rules: impl Iterator<Item = &'a [Box<str>]>) -> Self {
        let mut all = Self { exact: HashMap::new(), wildcard: HashMap::new(), ..Self::default() };
        for (at, names) in (0..).zip(rules) {
            if names.is_empty() {
                all.none.push(at);
            }
            for name in names {
                let place = match name.strip_prefix('*') {
                    None => all.exact.entry(name.clone()).or_default(),
                    Some("") => &mut all.any,
                    Some(suffix) => all.wildcard.entry(suffix.into()).or_default(),
                };
                place.push(at);
            }
        }
        all
    }

    /// Returns the rules of the most specific name that covers this one: itself, the longest
    /// wildcard, `*`, no name.
    pub(super) fn of(&self, sni: Option<&str>) -> &[Index] {
        let Some(name) = sni else {
            return &self.none;
        };
        if let Some(found) = self.exact.get(name).or_else(|| self.by_wildcard(name)) {
            return found;
        }
        if self.any.is_empty() { &self.none } else { &self.any }
    }

    fn by_wildcard(&self, name: &str) -> Option<&Vec<Index>> {
        if self.wildcard.is_empty() {
            return None;
        }
        // `*` stands for at least one label.
        let dots = memchr::memchr_iter(b'.', name.as_bytes()).filter(|at| *at > 0);
        dots.filter_map(|at| name.get(at..)).find_map(|suffix| self.wildcard.get(suffix))
    }
}
