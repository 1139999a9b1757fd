//! A balancer is a file and a line: these are in a list of their own, and nothing else knows them.

use crate::load::Choice;
use crate::members::Members;
use crate::policy::{Asked, Tier};
use crate::testing::{Fixed, endpoints, policy};
use crate::{Load, Sample, Tried};

crate::policy::balancers! {
    calmest => Calmest,
    first => First,
}

/// Makes a balancer of three endpoints with these weights.
fn made(json: &str, weights: [u32; 3]) -> AnyPolicy {
    let endpoints = endpoints(&weights);
    let members = Members::of(&endpoints, false);
    AnyOptions::read(&policy(json)).ok().unwrap().make(Tier {
        members,
        endpoints: &endpoints,
        unit: 1,
    })
}

fn picked(policy: &mut AnyPolicy) -> Option<u32> {
    let load = Load { active: &[0; 3], usable: &[true; 3] };
    let tried = Tried::new();
    let mut asked = Asked { key: None, now_us: 7, rng: &mut Fixed(0) };
    policy.pick(&Choice::new(&load, &tried), &mut asked)
}

#[test]
fn the_name_of_the_file_is_the_word() {
    assert_eq!(NAMES, ["calmest", "first"]);
    let Err((path, message)) = AnyOptions::read(&policy(r#""p2c""#)) else { panic!("it is known") };
    assert_eq!(path, "balance");
    assert_eq!(message, "there is no balance policy `p2c`; write calmest, first");
}

#[test]
fn hooks_that_are_left_out_do_nothing() {
    let options = AnyOptions::read(&policy(r#""first""#)).ok().unwrap();
    assert_eq!((options.problems(), options.key(), options.places()), (vec![], None, None));
    let mut first = made(r#""first""#, [0, 1, 1]);
    first.finished(0, 7, Sample::Failed(9));
    first.inherit(0, &made(r#""first""#, [1, 1, 1]), 0);
    assert_eq!(picked(&mut first), Some(1));
}

#[test]
fn one_that_learns_is_told_of_ends_and_keeps_what_it_learned() {
    let mut calmest = made(r#"{"calmest":{"start_us":5}}"#, [1, 1, 1]);
    for (slot, us) in [(0, 30), (1, 20)] {
        calmest.finished(slot, 7, Sample::Took(us));
    }
    assert_eq!(picked(&mut calmest), Some(2), "of which nothing is known");
    calmest.finished(2, 7, Sample::Took(40));
    assert_eq!(picked(&mut calmest), Some(1));
    let mut later = made(r#"{"calmest":{"start_us":25}}"#, [0, 1, 1]);
    later.inherit(0, &calmest, 1);
    assert_eq!(picked(&mut later), Some(1));
    later.inherit(0, &calmest, 0);
    assert_eq!(picked(&mut later), Some(2));
}

#[test]
fn what_is_wrong_with_options_has_its_path() {
    let wrong = policy(r#"{"calmest":{"start_us":0,"key":"nothing"}}"#);
    let options = AnyOptions::read(&wrong).ok().unwrap();
    let paths: Vec<_> = options.problems().into_iter().map(|(path, _)| path).collect();
    assert_eq!(paths, ["balance.calmest.key", "balance.calmest.start_us"]);
    assert_eq!(options.key(), Some("nothing"));
    assert_eq!(options.places(), Some(("balance.calmest.most".into(), 3)));
}
