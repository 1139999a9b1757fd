use super::*;
use proptest::prelude::*;

const SECOND: u64 = 1_000_000;

/// A fake of the script in the store, for one key.
#[derive(Default)]
struct Store {
    free_us: u64,
}

impl Store {
    fn charge(&mut self, now_us: u64, charge_us: u64, most_us: u64) -> u64 {
        self.free_us = self.free_us.clamp(now_us, now_us + most_us) + charge_us;
        self.free_us - now_us
    }
}

/// A node, with what its thread has taken from the desk and what it was told of that.
struct Node {
    limit: Arc<Common>,
    desk: Desk,
    taken: Vec<Report>,
    answer_us: Option<u64>,
}

impl Node {
    fn new(rate: Rate, nodes: u32, is_ready: bool) -> Self {
        let desk = Desk::default();
        desk.open(Box::new(|| {}));
        desk.set_nodes(nodes);
        desk.set_ready(is_ready);
        let limit = Arc::new(Common::new(rate, 64, "l", Seed([3, 4]), 0));
        Self { limit, desk, taken: Vec::new(), answer_us: None }
    }

    fn ask(&self, terms: &Terms, now_us: u64) -> Decision {
        let key = |seed| {
            let mut hash = KeyHash::new(seed);
            hash.text(b"client");
            hash.finish()
        };
        self.limit.check(&self.desk, key, terms, now_us)
    }

    fn take(&mut self) {
        if self.taken.is_empty() {
            self.taken.extend(std::iter::from_fn(|| self.desk.take()));
        }
    }

    /// The store gets what was taken; twice if it is called twice.
    fn charge(&mut self, store: &mut Store, terms: &Terms, now_us: u64) {
        let cost: u32 = self.taken.iter().map(Report::cost).sum();
        if cost > 0 {
            let most = self.limit.most_ahead_us((terms.cost, terms.burst), self.desk.nodes());
            let ahead = store.charge(now_us, self.limit.rate().earns_us(cost), most);
            assert!(ahead <= most + self.limit.rate().earns_us(cost));
            self.answer_us = Some(ahead);
        }
    }

    fn hear(&mut self, now_us: u64) {
        if let Some(ahead) = self.answer_us.take() {
            self.limit.told(std::mem::take(&mut self.taken), now_us, ahead);
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Ask(usize, u8),
    Take(usize),
    Charge(usize),
    Hear(usize),
    Advance(u32),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let node = 0..4usize;
    let step = prop_oneof![
        4 => (node.clone(), 1..20u8).prop_map(|(node, times)| Step::Ask(node, times)),
        2 => node.clone().prop_map(Step::Take),
        2 => node.clone().prop_map(Step::Charge),
        2 => node.prop_map(Step::Hear),
        2 => (0..2_000_000u32).prop_map(Step::Advance),
    ];
    proptest::collection::vec(step, 1..300)
}

/// Checks every time between two requests that passed: (microseconds, cost) in their order.
fn exceeds(passed: &[(u64, u32)], rate: (u32, u64), most: f64) -> Option<String> {
    for (index, (begin, _)) in passed.iter().enumerate() {
        let mut sum = 0.0;
        for (end, cost) in &passed[index..] {
            sum += f64::from(*cost);
            let earned = (end - begin) as f64 * f64::from(rate.0) / rate.1 as f64;
            if sum > earned + most + 0.05 {
                return Some(format!("{sum} in {} us, {earned} + {most} allowed", end - begin));
            }
        }
    }
    None
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn nodes_admit_together_what_the_bound_allows_whatever_is_late_or_said_twice(
        nodes in 1..=4u32, requests in 1..50u32, seconds in 1..20u64, burst in 1..40u32,
        cost in 1..4u32, steps in steps(),
    ) {
        let (burst, period) = (burst.max(cost), seconds * SECOND);
        let terms = Terms { cost, burst, when_away: WhenAway::Closed };
        let rate = Rate::new(requests, period);
        let mut all: Vec<Node> = (0..nodes).map(|_| Node::new(rate, nodes, true)).collect();
        let (mut store, mut now, mut passed) = (Store::default(), 7, Vec::new());
        let pick = |node: usize| node % nodes as usize;
        for step in steps {
            match step {
                Step::Ask(node, times) => for _ in 0..times {
                    if all[pick(node)].ask(&terms, now).allowed {
                        passed.push((now, cost));
                    }
                },
                Step::Take(node) => all[pick(node)].take(),
                Step::Charge(node) => all[pick(node)].charge(&mut store, &terms, now),
                Step::Hear(node) => all[pick(node)].hear(now),
                Step::Advance(us) => now += u64::from(us),
            }
        }
        let credits = nodes * credit(cost, burst, nodes) * cost;
        let most = f64::from(burst + credits);
        prop_assert_eq!(exceeds(&passed, (requests, period), most), None);
    }

    #[test]
    fn shares_are_together_one_limit(
        nodes in 1..=4u32, requests in 1..50u32, burst in 1..40u32, cost in 1..4u32,
        steps in proptest::collection::vec((0..4usize, 1..20u8, 0..2_000_000u64), 1..200),
    ) {
        let burst = burst.max(cost);
        let terms = Terms { cost, burst, when_away: WhenAway::Share };
        let rate = Rate::new(requests, SECOND);
        let all: Vec<Node> = (0..nodes).map(|_| Node::new(rate, nodes, false)).collect();
        let (mut now, mut passed) = (7, Vec::new());
        for (node, times, us) in steps {
            for _ in 0..times {
                let decision = all[node % nodes as usize].ask(&terms, now);
                prop_assert!(decision.is_away);
                if decision.allowed {
                    passed.push((now, cost));
                }
            }
            now += us;
        }
        let most = f64::from(burst.max(cost * nodes));
        prop_assert_eq!(exceeds(&passed, (requests, SECOND), most), None);
    }
}

fn terms(cost: u32, burst: u32, when_away: WhenAway) -> Terms {
    Terms { cost, burst, when_away }
}

fn passes(node: &Node, terms: &Terms, times: usize, now_us: u64) -> usize {
    (0..times).filter(|_| node.ask(terms, now_us).allowed).count()
}

#[test]
fn a_node_alone_admits_what_it_does_without_a_store() {
    let (mut node, mut store) = (Node::new(Rate::new(1, 10 * SECOND), 1, true), Store::default());
    let terms = terms(1, 5, WhenAway::Closed);
    for at in 0..5 {
        let now = at * 1000;
        assert_eq!(passes(&node, &terms, 1, now), 1, "{at}");
        node.take();
        node.charge(&mut store, &terms, now + 300);
        node.hear(now + 700);
    }
    assert_eq!(passes(&node, &terms, 3, 5000), 0);
}

#[test]
fn what_others_admitted_counts_here_once_the_store_has_said_so() {
    let rate = Rate::new(1, 60 * SECOND);
    let (mut one, mut other) = (Node::new(rate, 2, true), Node::new(rate, 2, true));
    let (mut store, terms) = (Store::default(), terms(1, 6, WhenAway::Closed));
    // A credit is 3 requests; the next ones pass when those are said.
    for expected in [3, 3, 0] {
        assert_eq!(passes(&one, &terms, 9, 10), expected);
        one.take();
        one.charge(&mut store, &terms, 20);
        one.hear(30);
    }
    assert_eq!(passes(&other, &terms, 9, 40), 3, "on credit: nobody asked for its key before");
    other.take();
    other.charge(&mut store, &terms, 50);
    other.hear(60);
    assert_eq!(passes(&other, &terms, 9, 3 * 60 * SECOND), 0, "nine were admitted, six may be");
    assert_eq!(passes(&other, &terms, 9, 4 * 60 * SECOND + 100), 1);
}

#[test]
fn a_report_that_is_dropped_gives_its_credit_back() {
    let node = Node::new(Rate::new(1, 60 * SECOND), 2, true);
    let terms = terms(1, 4, WhenAway::Closed);
    assert_eq!(passes(&node, &terms, 9, 10), 2);
    while node.desk.take().is_some() {}
    assert_eq!(passes(&node, &terms, 9, 10), 2);
    assert_eq!(passes(&node, &terms, 9, 10), 0, "its own table has a burst, too");
}

#[test]
fn the_policy_decides_while_the_store_is_away() {
    let of = |policy, nodes| {
        let node = Node::new(Rate::new(1, 60 * SECOND), nodes, false);
        passes(&node, &terms(1, 6, policy), 20, 10)
    };
    assert_eq!(of(WhenAway::Open, 3), 20);
    assert_eq!(of(WhenAway::Closed, 3), 0);
    assert_eq!(of(WhenAway::Share, 3), 2);
    assert_eq!(of(WhenAway::Share, 1), 6);
    assert_eq!(of(WhenAway::Share, 100), 1, "one request is the least share");
    let huge = Node::new(Rate::new(1, 60 * SECOND), 2_000_000, false);
    assert_eq!(passes(&huge, &terms(1, 6, WhenAway::Share), 3, 10), 0);
}

#[test]
fn more_reports_than_there_is_room_for_are_refused() {
    let desk = Desk::default();
    desk.set_ready(true);
    let node = Node { desk, ..Node::new(Rate::new(1, SECOND), 1, true) };
    assert_eq!(passes(&node, &terms(1, 6, WhenAway::Open), 3, 10), 0);
}

#[test]
fn a_thread_that_sleeps_is_woken_once() {
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
    let woken = Arc::new(AtomicU32::new(0));
    let (told, mut node) = (woken.clone(), Node::new(Rate::new(1, SECOND), 1, true));
    node.desk = Desk::default();
    node.desk.open(Box::new(move || _ = told.fetch_add(1, Relaxed)));
    node.desk.set_ready(true);
    let terms = terms(1, 6, WhenAway::Open);
    assert!(node.desk.may_sleep());
    assert_eq!(passes(&node, &terms, 2, 10), 2);
    assert_eq!(woken.load(Relaxed), 1);
    assert!(!node.desk.may_sleep());
    node.take();
    assert!(node.desk.may_sleep());
}
