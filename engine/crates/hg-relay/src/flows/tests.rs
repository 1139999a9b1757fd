#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use proptest::prelude::*;
use std::net::Ipv6Addr;

fn key(client: u16) -> FlowKey {
    FlowKey {
        socket: 0,
        client: ([127, 0, 0, 1], client).into(),
        told: None,
        local: None,
        endpoint: 0,
    }
}

#[test]
fn a_flow_is_found_by_its_key_until_it_ends() {
    let mut flows = Flows::default();
    let id = flows.insert(0, key(1), 5, "one");
    assert_eq!((flows.find(&key(1)), flows.get(id)), (Some(id), Some(&"one")));
    assert_eq!(flows.remove(id), Some((key(1), "one")));
    assert_eq!((flows.find(&key(1)), flows.get(id), flows.len()), (None, None, 0));
    let next = flows.insert(0, key(1), 6, "two");
    assert_eq!((next.index, flows.get(id)), (id.index, None));
    assert_eq!(flows.remove(id), None);
    assert_ne!(next, id);
}

#[test]
fn every_part_of_the_key_counts() {
    let mut flows = Flows::default();
    let keys = [
        key(1),
        key(2),
        FlowKey { socket: 1, ..key(1) },
        FlowKey { told: Some(([192, 0, 2, 7], 9).into()), ..key(1) },
        FlowKey { local: Some([127, 0, 0, 2].into()), ..key(1) },
        FlowKey { endpoint: 9, ..key(1) },
    ];
    let ids = keys.map(|key| flows.insert(0, key, 0, key));
    for (key, id) in keys.iter().zip(ids) {
        assert_eq!((flows.find(key), flows.get(id)), (Some(id), Some(key)));
    }
}

#[test]
fn the_quietest_flow_of_a_full_group_gives_its_place_unless_it_is_busy() {
    let mut flows = Flows::default();
    let first = flows.insert(3, key(1), 10, ());
    let second = flows.insert(3, key(2), 11, ());
    flows.insert(4, key(3), 1, ());
    assert_eq!(flows.room(3, 3, Some(100)), Room::Free);
    assert_eq!(flows.room(3, 2, Some(100)), Room::After(first));
    flows.touch(first, 12);
    assert_eq!(flows.room(3, 2, Some(100)), Room::After(second));
    assert_eq!(flows.room(3, 2, Some(11)), Room::After(second));
    assert_eq!(flows.room(3, 2, Some(10)), Room::Full);
    assert_eq!(flows.room(3, 2, None), Room::Full);
    assert_eq!(flows.room(7, 1, Some(0)), Room::Free);
    // A bound of nothing is a bound of one: the table never refuses for ever.
    assert_eq!(flows.room(9, 0, Some(0)), Room::Free);
}

#[test]
fn a_flow_is_answered_once_every_datagram_has_its_answers() {
    let mut traffic = Traffic::default();
    traffic.from_client(10);
    traffic.from_client(0);
    assert!(!traffic.is_answered(Some(1)));
    traffic.from_endpoint(100);
    assert!(!traffic.is_answered(Some(1)));
    traffic.from_endpoint(100);
    assert!(traffic.is_answered(Some(1)) && !traffic.is_answered(Some(2)));
    assert!(!traffic.is_answered(None));
    assert_eq!((traffic.bytes_in, traffic.bytes_out), (10, 200));
}

#[test]
fn a_flow_that_was_seen_before_keeps_the_order_of_its_group() {
    let mut flows = Flows::default();
    let first = flows.insert(0, key(1), 5, ());
    let second = flows.insert(0, key(2), 9, ());
    let late = flows.insert(0, key(3), 7, ());
    assert_eq!([first, second, late].map(|id| flows.seen_at(id)), [Some(5), Some(9), Some(9)]);
    assert_eq!(flows.insert(1, key(4), 7, ()).index, 3);
}

#[test]
fn what_is_told_of_a_flow_is_read_again_also_by_processes_that_know_less() {
    let told = ToldFlow {
        address: ([0, 0, 0, 0], 53).into(),
        socket: 3,
        client: (Ipv6Addr::LOCALHOST, 4_000).into(),
        local: Some([10, 0, 0, 1].into()),
        route: "names".into(),
        upstream: "names".into(),
        said: Said {
            sni: Some("a.example".into()),
            told: Some((([192, 0, 2, 7], 9).into(), (Ipv6Addr::LOCALHOST, 53).into())),
            told_id: "4f2c".into(),
        },
        endpoint: "one.internal:53".into(),
        traffic: Traffic { datagrams_in: 1, datagrams_out: 2, bytes_in: 3, bytes_out: u64::MAX },
        age_us: 17,
        quiet_us: 5,
        is_answered: true,
    };
    let mut text = serde_json::to_string(&told).unwrap();
    assert_eq!(serde_json::from_str::<ToldFlow>(&text).unwrap(), told);
    text.insert_str(1, r#""news":[1],"#);
    assert_eq!(serde_json::from_str::<ToldFlow>(&text).unwrap(), told);
    assert!(serde_json::from_str::<ToldFlow>(r#"{"socket":-1}"#).is_err());
}

#[derive(Clone, Debug)]
enum Step {
    Datagram { client: u16, group: usize },
    End { nth: usize },
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0u16..24, 0usize..2).prop_map(|(client, group)| Step::Datagram { client, group }),
        2 => (0usize..32).prop_map(|nth| Step::End { nth }),
        1 => (0u64..4).prop_map(Step::Wait),
    ]
}

/// The same in the plainest way: every flow in the order in which it was seen.
#[derive(Default)]
struct Plain(Vec<(usize, u16, u64, FlowId)>);

impl Plain {
    fn of(&self, group: usize) -> impl Iterator<Item = &(usize, u16, u64, FlowId)> {
        self.0.iter().filter(move |flow| flow.0 == group)
    }
}

const MOST: usize = 5;
const QUIET: u64 = 2;

fn datagram(
    (flows, plain): (&mut Flows<u16>, &mut Plain),
    (client, group): (u16, usize),
    now: u64,
) -> Result<(), TestCaseError> {
    let key = FlowKey { socket: group as u32, ..key(client) };
    let known = plain.0.iter().position(|flow| (flow.0, flow.1) == (group, client));
    prop_assert_eq!(flows.find(&key), known.map(|i| plain.0[i].3));
    if let Some(i) = known {
        let (_, _, seen_at, id) = plain.0[i];
        flows.touch(id, now);
        // Within one moment the order stays.
        if seen_at < now {
            plain.0.remove(i);
            plain.0.push((group, client, now, id));
        }
        return Ok(());
    }
    let oldest = plain.of(group).next().copied();
    let expected = match oldest {
        _ if plain.of(group).count() < MOST => Room::Free,
        Some((_, _, seen_at, id)) if seen_at + QUIET <= now => Room::After(id),
        _ => Room::Full,
    };
    let room = flows.room(group, MOST, now.checked_sub(QUIET));
    prop_assert_eq!(room, expected);
    if let Room::After(id) = room {
        flows.remove(id);
        plain.0.retain(|flow| flow.3 != id);
    }
    if room != Room::Full {
        let id = flows.insert(group, key, now, client);
        plain.0.push((group, client, now, id));
    }
    Ok(())
}

proptest! {
    #[test]
    fn the_table_does_what_a_plain_list_does(steps in prop::collection::vec(step(), 0..200)) {
        let (mut flows, mut plain) = (Flows::default(), Plain::default());
        let mut now = 0;
        for step in steps {
            match step {
                Step::Datagram { client, group } => {
                    datagram((&mut flows, &mut plain), (client, group), now)?;
                }
                Step::End { nth } if !plain.0.is_empty() => {
                    let (_, client, _, id) = plain.0.remove(nth % plain.0.len());
                    prop_assert_eq!(flows.remove(id).map(|(_, value)| value), Some(client));
                    prop_assert_eq!(flows.remove(id), None);
                }
                Step::End { .. } => {}
                Step::Wait(ticks) => now += ticks,
            }
            prop_assert_eq!(flows.len(), plain.0.len());
            prop_assert!(plain.of(0).count() <= MOST && plain.of(1).count() <= MOST);
            prop_assert_eq!(flows.ids().count(), plain.0.len());
        }
        // Places are used again: there are never more than were in use at once.
        prop_assert!(flows.ids().all(|id| id.index < 2 * MOST));
        for group in 0..flows.groups() {
            let order = std::iter::successors(flows.oldest(group), |id| flows.newer(*id));
            prop_assert!(order.eq(plain.of(group).map(|flow| flow.3)));
        }
        for (_, client, seen_at, id) in &plain.0 {
            prop_assert_eq!((flows.get(*id), flows.seen_at(*id)), (Some(client), Some(*seen_at)));
        }
    }
}
