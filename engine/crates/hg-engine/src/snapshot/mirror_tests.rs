use super::*;

fn terms(keep: &Keep, in_flight: u32) -> MirrorTerms {
    let plan = hg_plan::Mirror {
        upstream: "shadow".into(),
        share: 10_000,
        body_bytes: 0,
        timeout_ms: 1,
        in_flight,
    };
    MirrorTerms::new(&plan, 0, "r", keep)
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
