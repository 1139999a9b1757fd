//! The router finds the same route as a plain implementation of the precedence rules, however it
//! was built.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;
#[path = "common/random.rs"]
mod random;

use common::{Attached, Request, build, naive, put, take};
use hg_route::{Router, Scratch};
use proptest::prelude::*;

fn found(router: &Router, q: &Request, scratch: &mut Scratch) -> Option<(u32, usize, usize)> {
    router.find(&q.as_query(), scratch).map(|f| (f.route.0, f.match_index, f.prefix_len))
}

/// Fills slots one after the other, some twice, and empties some again.
fn build_in_steps(routes: &[Attached], steps: &[(usize, usize)]) -> Router {
    let mut router = Router::new();
    for &(from, other) in steps {
        let (from, other) = (from % routes.len(), other % routes.len());
        let change = [take(from as u32, &routes[from]), put(other as u32, &routes[from])];
        router = router.apply(&change).unwrap();
    }
    let all: Vec<_> = routes.iter().zip(0..).map(|(r, i)| put(i, r)).collect();
    for some in all.chunks(3) {
        router = router.apply(some).unwrap();
    }
    router
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn find_agrees_with_the_reference(
        routes in random::routes(14),
        requests in prop::collection::vec(random::request(), 30),
    ) {
        let router = build(&routes);
        let mut scratch = Scratch::new();
        for q in &requests {
            prop_assert_eq!(found(&router, q, &mut scratch), naive(&routes, q), "{:?}", q);
        }
    }

    #[test]
    fn explain_and_find_name_the_same_route(
        routes in random::routes(14),
        requests in prop::collection::vec(random::request(), 20),
    ) {
        let router = build(&routes);
        let mut scratch = Scratch::new();
        for q in &requests {
            let why = router.explain(&q.as_query(), &mut scratch);
            let found = router.find(&q.as_query(), &mut scratch);
            prop_assert_eq!(why.won.as_ref().map(|w| w.which.found), found);
            for near in &why.near {
                prop_assert_eq!(near.failed.is_empty(), near.outranked.is_some());
            }
        }
    }

    #[test]
    fn what_is_called_shadowed_never_wins(
        routes in random::routes(20),
        requests in prop::collection::vec(random::request(), 60),
    ) {
        let router = build(&routes);
        let shadowed = router.shadowed();
        for q in &requests {
            if let Some((route, place, _)) = naive(&routes, q) {
                let wrong = shadowed.iter().find(|s| s.route.0 == route && s.matches.contains(&place));
                prop_assert_eq!(wrong, None, "{:?}", q);
            }
        }
    }

    #[test]
    fn a_router_changed_in_steps_is_the_one_built_at_once(
        routes in random::routes(10).prop_filter("some", |r| !r.is_empty()),
        steps in prop::collection::vec((0usize..10, 0usize..10), 0..12),
        requests in prop::collection::vec(random::request(), 30),
    ) {
        let router = build_in_steps(&routes, &steps);
        let mut scratch = Scratch::new();
        prop_assert_eq!(router.len(), routes.len());
        for q in &requests {
            prop_assert_eq!(found(&router, q, &mut scratch), naive(&routes, q), "{:?}", q);
        }
        let gone: Vec<_> = routes.iter().zip(0..).map(|(r, i)| take(i, r)).collect();
        let empty = router.apply(&gone).unwrap();
        prop_assert!(empty.is_empty());
        for q in &requests {
            prop_assert_eq!(found(&empty, q, &mut scratch), None);
        }
    }
}
