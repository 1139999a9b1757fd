use super::*;
use proptest::prelude::*;
use std::collections::HashMap;

fn key(number: u64) -> Key {
    Key(number.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

proptest! {
    #[test]
    fn it_counts_as_a_map_does(
        steps in prop::collection::vec((0..12_u64, any::<bool>()), 0..400), most in 0..5_u32,
    ) {
        let flights = Flights::new(1024);
        let mut model: HashMap<u64, Vec<Permit>> = HashMap::new();
        for (number, begins) in steps {
            let held = model.entry(number).or_default();
            if begins {
                match flights.begin(key(number), most) {
                    Ok(permit) => held.push(permit),
                    Err(refusal) => {
                        prop_assert_eq!((refusal, held.len()), (Refusal::Full, most as usize));
                    }
                }
                prop_assert!(held.len() <= most as usize);
            } else if let Some(permit) = held.pop() {
                flights.end(permit);
            }
            prop_assert_eq!(flights.in_flight(key(number)) as usize, held.len());
        }
        let keys = model.values().filter(|held| !held.is_empty()).count();
        let sum: usize = model.values().map(Vec::len).sum();
        prop_assert_eq!(flights.total(), (sum as u64, keys));
        model.into_values().flatten().for_each(|permit| flights.end(permit));
        prop_assert_eq!(flights.total(), (0, 0));
    }
}

#[test]
fn a_bucket_whose_keys_all_count_something_refuses_a_further_key() {
    let flights = Flights::new(8);
    let key = |tag: u64| Key(tag << COUNT_BITS);
    let mut held: Vec<_> = (1..=8).map(|tag| flights.begin(key(tag), 5).unwrap()).collect();
    assert_eq!(flights.begin(key(9), 5), Err(Refusal::Crowded));
    assert_eq!(flights.crowded(), 1);
    held.push(flights.begin(key(3), 5).unwrap());
    flights.end(held.remove(0));
    assert!(flights.begin(key(9), 5).is_ok());
}

#[test]
fn workers_never_exceed_the_limit_and_end_with_nothing() {
    let flights = Flights::new(64);
    let (most, peak) = (5, AtomicU64::new(0));
    let run = || {
        for number in 0..20_000 {
            if let Ok(permit) = flights.begin(key(number % 3), most) {
                peak.fetch_max(flights.in_flight(key(number % 3)).into(), Ordering::Relaxed);
                flights.end(permit);
            }
        }
    };
    std::thread::scope(|scope| (0..4).for_each(|_| drop(scope.spawn(run))));
    assert!(peak.into_inner() <= most.into());
    assert_eq!((flights.total(), flights.crowded()), ((0, 0), 0));
}
