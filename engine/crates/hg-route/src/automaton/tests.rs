use super::*;
use proptest::prelude::*;

fn automaton(patterns: &[&str]) -> Automaton {
    let hirs: Vec<Hir> = patterns.iter().map(|p| pattern::parse(p).unwrap()).collect();
    Automaton::new(&hirs).unwrap()
}

fn hits(automaton: &Automaton, text: &str, caches: &mut Caches) -> Vec<usize> {
    let mut found = Vec::new();
    automaton.run(text.as_bytes(), 0, caches, |p| found.push(p));
    found.sort_unstable();
    found
}

#[test]
fn every_pattern_that_matches_the_whole_text_is_reported() {
    let a = automaton(&["/x/.*", "/x/[0-9]+", "/x", "/x/1|/x/12", "", r"/x/\d\b", "^/x/1$"]);
    let mut caches = Caches::default();
    assert!(matches!(a, Automaton::Dense(_)));
    assert_eq!(hits(&a, "/x/1", &mut caches), [0, 1, 3, 5, 6]);
    assert_eq!(hits(&a, "/x/12", &mut caches), [0, 1, 3]);
    assert_eq!(hits(&a, "/x", &mut caches), [2]);
    assert_eq!(hits(&a, "", &mut caches), [4]);
    assert_eq!(hits(&a, "/y", &mut caches), [0usize; 0]);
    assert_eq!(caches.memory_bytes(), 0);
}

#[test]
fn many_patterns_are_built_lazily_within_bounds() {
    let texts: Vec<String> = (0..1000).map(|i| format!("/[a-z]+/item{i}/[0-9]+")).collect();
    let a = automaton(&texts.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(matches!(a, Automaton::Lazy(_)));
    let mut caches = Caches::default();
    for i in 0..1000 {
        assert_eq!(hits(&a, &format!("/abc/item{i}/{i}7"), &mut caches), [i]);
        assert_eq!(hits(&a, &format!("/abc/item{i}/{i}x"), &mut caches), [0usize; 0]);
    }
    assert!(caches.memory_bytes() <= LAZY_BYTES + LAZY_BYTES / 4, "{}", caches.memory_bytes());
}

#[test]
fn a_worker_forgets_automata_that_are_gone_and_the_least_recently_used() {
    let big: Vec<String> = (0..300).map(|i| format!("/[a-z]+/a{i}")).collect();
    let big: Vec<&str> = big.iter().map(String::as_str).collect();
    let all: Vec<Automaton> = (0..WORKER_AUTOMATA + 5).map(|_| automaton(&big)).collect();
    let mut caches = Caches::default();
    for a in &all {
        assert_eq!(hits(a, "/x/a7", &mut caches), [7]);
    }
    assert_eq!(caches.slots.len(), WORKER_AUTOMATA);
    assert!(caches.memory_bytes() <= WORKER_BYTES);
    drop(all);
    caches.trim();
    assert_eq!(caches.memory_bytes(), 0);
}

proptest! {
    #[test]
    fn dense_and_lazy_agree_with_each_pattern_alone(
        texts in prop::collection::vec("(/[ab]?|/\\[ab\\]\\+|\\.\\*|a\\*|b\\{1,2\\}|\\(a\\|b/\\)){1,3}", 1..8),
        path in "(/|a|b|ab){0,8}",
    ) {
        let hirs: Vec<Hir> = texts.iter().map(|t| pattern::parse(t).unwrap()).collect();
        let nfa = pattern::compile_all(&hirs).unwrap();
        let config = lazy::Config::new().match_kind(MatchKind::All);
        let lazy = lazy::Builder::new().configure(config).build_from_nfa(nfa).unwrap();
        let mut caches = Caches::default();
        let both = [Automaton::new(&hirs).unwrap(), Automaton::Lazy(Arc::new(lazy))];
        let alone: Vec<usize> = (0..texts.len())
            .filter(|&i| {
                let whole = format!("^(?:{})$", texts[i]);
                regex_automata::meta::Regex::new(&whole).unwrap().is_match(&path)
            })
            .collect();
        for automaton in &both {
            prop_assert_eq!(&hits(automaton, &path, &mut caches), &alone);
        }
    }
}
