use super::*;

fn plan(in_flight: u32) -> hg_plan::Mirror {
    let upstream = "shadow".into();
    hg_plan::Mirror { upstream, share: 10_000, body_bytes: 0, timeout_ms: 1, in_flight }
}

fn terms(keep: &Keep, in_flight: u32) -> MirrorTerms {
    MirrorTerms::new(&plan(in_flight), 0, "r", keep)
}

fn count(keep: &Keep, result: &str) -> u64 {
    keep.results().iter().find(|one| one.result == result).map_or(0, |one| one.count)
}

#[test]
fn every_request_counts_once_and_gives_its_place_back() {
    let keep = Keep::new(1);
    let terms = terms(&keep, 1);
    let first = terms.begin(0);
    assert!(first.is_some() && terms.begin(0).is_none());
    drop(first);
    assert_eq!(count(&keep, "incomplete"), 1);
    if let Some(mut second) = terms.begin(0) {
        second.came = Mirrored::Unsupported;
    }
    terms.count(0, Mirrored::Answered);
    let all: Vec<_> = keep.results().iter().map(|one| (one.result, one.count)).collect();
    let mut wanted: Vec<_> = Mirrored::NAMES.iter().map(|name| (*name, 0)).collect();
    for at in [Mirrored::Answered, Mirrored::Incomplete, Mirrored::Unsupported] {
        wanted[at as usize].1 = 1;
    }
    assert_eq!(all, wanted);
}

#[test]
fn mirrors_of_one_route_have_places_and_counts_of_their_own() {
    let keep = Keep::new(1);
    let shadow = terms(&keep, 1);
    let plan = hg_plan::Mirror { upstream: "canary".into(), ..plan(1) };
    let canary = MirrorTerms::new(&plan, 1, "r", &keep);
    let (first, second) = (shadow.begin(0), canary.begin(0));
    assert!(first.is_some() && second.is_some() && canary.begin(0).is_none());
    drop(second);
    let counts = keep.results();
    let incomplete: Vec<_> = counts.iter().filter(|one| one.result == "incomplete").collect();
    let named: Vec<_> = incomplete.iter().map(|one| (&*one.middleware, one.count)).collect();
    assert_eq!(named, [("r canary", 1), ("r shadow", 0)]);
}

#[test]
fn places_that_are_taken_stay_taken_after_a_reload() {
    let keep = Keep::new(1);
    let before = terms(&keep, 1);
    let flight = before.begin(0);
    let after = terms(&keep, 1);
    drop(before);
    assert!(after.begin(0).is_none());
    drop(flight);
    assert!(after.begin(0).is_some());
}
