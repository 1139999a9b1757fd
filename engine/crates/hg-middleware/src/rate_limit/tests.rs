use super::*;
use crate::testing::{used, view};
use crate::{Chain, Context, Keep, Outcome, Rewritten};

const SECOND: u64 = 1_000_000;

fn options(json: &str) -> Options {
    serde_json::from_str(json).unwrap()
}

fn limit(json: &str) -> RateLimit {
    let mut problems = Vec::new();
    let limit = RateLimit::compile(&options(json), &mut problems);
    assert_eq!(problems, []);
    limit.unwrap()
}

fn context(random: &mut dyn FnMut() -> u64, now_us: u64) -> Context<'_> {
    Context { now_us, unix_us: || 0, random, worker: 0, accounts: None }
}

fn state(limit: &RateLimit) -> Counts {
    let room = (!limit.key.is_for_all()).then_some(limit.max_keys);
    Counts::Node(State::new(limit.rate, room, &mut context(&mut || 7, 0)))
}

#[test]
fn each_client_has_its_own_burst_and_rate() {
    let limit = limit(r#"{"requests":2,"period_ms":1000,"burst":3,"key":["client_ip"]}"#);
    let (state, ours, mut other) = (state(&limit), view(), view());
    other.client.ip = [192, 0, 2, 99].into();
    let passes = |view: &RequestView<'_>, now| limit.check(&state, view, now).allowed;
    assert_eq!((0..5).filter(|_| passes(&ours, 0)).count(), 3);
    assert!(passes(&other, 0));
    assert!(!passes(&ours, SECOND / 4));
    assert!(passes(&ours, SECOND / 2));
    assert!(!passes(&ours, SECOND / 2));
}

#[test]
fn without_a_key_all_requests_count_together_and_cost_what_is_written() {
    let limit = limit(r#"{"requests":1,"period_ms":60000,"burst":5,"cost":2}"#);
    let (state, ours, mut other) = (state(&limit), view(), view());
    other.client.ip = [192, 0, 2, 99].into();
    assert!(matches!(state, Counts::Node(State::All(_))));
    assert!(limit.check(&state, &ours, 0).allowed);
    assert!(limit.check(&state, &other, 0).allowed);
    assert!(!limit.check(&state, &ours, 0).allowed);
}

#[test]
fn the_answer_says_when_to_come_again() {
    let limit = limit(r#"{"requests":1,"period_ms":3000,"burst":2,"key":["client_ip"]}"#);
    let (state, view, mut answer) = (state(&limit), view(), Answer::default());
    (0..2).for_each(|_| assert!(limit.check(&state, &view, 0).allowed));
    limit.refuse(&limit.check(&state, &view, SECOND / 2).verdict.unwrap(), &mut answer);
    assert_eq!(answer.status, 429);
    assert_eq!(
        String::from_utf8(answer.headers).unwrap(),
        "content-type: text/plain; charset=utf-8\r\n\
         proxy-status: headgate; error=http_request_denied; details=\"more requests than this route \
         allows\"\r\n\
         retry-after: 3\r\n\
         ratelimit-policy: \"default\";q=2;w=6\r\n\
         ratelimit: \"default\";r=0;t=3\r\n"
    );
    let body = String::from_utf8(answer.body).unwrap();
    assert_eq!(body, "429 Too Many Requests\nmore requests than this route allows\n");
}

#[test]
fn mistakes_are_explained() {
    let problem = |more: &str| {
        let json = format!(r#"{{"requests":1,"period_ms":1000,"burst":5{more}}}"#);
        let json = json.replace(r#","burst":5,"burst""#, r#","burst""#);
        let mut problems = Vec::new();
        assert!(RateLimit::compile(&options(&json), &mut problems).is_none());
        assert_eq!(problems.len(), 1, "{problems:?}");
        format!("{}: {}", problems[0].0, problems[0].1)
    };
    assert_eq!(problem(r#","cost":6"#), "rate_limit.cost: 6 is out of range; write 1 to 5");
    assert!(problem(r#","status":302"#).contains("400 to 599"));
    assert!(problem(r#","max_keys":0"#).contains("rate_limit.max_keys"));
    assert!(problem(r#","ipv6_prefix":129"#).contains("1 to 128"));
    assert!(problem(r#","key":["ip"]"#).starts_with("rate_limit.key[0]: `ip` is nothing"));
}

#[test]
fn what_counts_mean_decides_whether_they_are_kept() {
    let identity = |more: &str| {
        limit(&format!(r#"{{"requests":2,"period_ms":1000,"burst":5,"key":["path"]{more}}}"#))
            .identity
    };
    assert_eq!(identity(""), identity(r#","cost":2,"dry_run":true,"status":503"#));
    assert_ne!(identity(""), identity(r#","max_keys":8"#));
    let nodes = identity(r#","across":"nodes""#);
    assert_ne!(identity(""), nodes);
    assert_eq!(nodes, identity(r#","across":"nodes","when_away":"open""#));
}

/// Runs a chain of one limit at these times; returns the status of each answer, 0 = forwarded.
fn answers(chain: &Chain, times: &[u64]) -> Vec<u16> {
    let mut out = Rewritten::new();
    let mut random = || 7;
    let one = |now: &u64| match chain.begin(&view(), &mut out, &mut context(&mut random, *now)) {
        Ok(Outcome::Forward) => 0,
        Ok(Outcome::Answer) => out.answer.status,
        other => panic!("{other:?}"),
    };
    times.iter().map(one).collect()
}

fn chain(keep: &Keep, owner: &str, json: &str) -> Chain {
    let uses = [used(&format!(r#"{{"rate_limit":{json}}}"#))];
    Chain::compile_in(&[&uses], None, &|_| None, (keep, &[owner], &[])).unwrap()
}

#[test]
fn the_next_snapshot_goes_on_with_the_counts_and_another_place_has_its_own() {
    let keep = Keep::new(1);
    let spec = r#"{"requests":1,"period_ms":1000,"burst":2,"key":["client_ip"]}"#;
    let first = chain(&keep, "route r", spec);
    assert_eq!(answers(&first, &[5, 5, 5]), [0, 0, 429]);
    let next = chain(&keep, "route r", &spec.replace("\"burst\":2", "\"burst\":3,\"status\":503"));
    assert_eq!(answers(&next, &[5, 5]), [0, 503]);
    assert_eq!(answers(&chain(&keep, "route other", spec), &[5]), [0]);
    assert_eq!(
        answers(&chain(&keep, "route r", &spec.replace(":1,", ":2,")), &[5, 5, 5]),
        [0, 0, 429]
    );
    let counts: Vec<_> = keep.results().iter().map(|one| (one.result, one.count)).collect();
    assert_eq!(
        counts,
        [
            ("allowed", 6),
            ("limited", 3),
            ("dry_run", 0),
            ("evicted", 0),
            ("away", 0),
            ("delayed", 0)
        ]
    );
}

#[test]
fn a_dry_run_lets_all_pass_and_counts_what_it_would_refuse() {
    let keep = Keep::new(1);
    let spec = r#"{"requests":1,"period_ms":1000,"burst":1,"dry_run":true}"#;
    let limited = chain(&keep, "route r", spec);
    assert_eq!(answers(&limited, &[5, 5, 5]), [0, 0, 0]);
    let counts: Vec<_> = keep.results().iter().map(|one| one.count).collect();
    assert_eq!(counts, [1, 0, 2, 0, 0, 0]);
}

#[test]
fn what_is_left_is_announced_on_request() {
    let announced = |json: &str| {
        let keep = Keep::new(1);
        let limited = chain(&keep, "route r", json);
        let mut out = Rewritten::new();
        let mut said = Vec::new();
        for now in [0, 0, SECOND / 2, SECOND / 2] {
            out.clear();
            limited.begin(&view(), &mut out, &mut context(&mut || 7, now)).unwrap();
            said.push(String::from_utf8(std::mem::take(&mut out.later().response)).unwrap());
        }
        said
    };
    let line = |rest: &str| {
        format!("ratelimit-policy: \"default\";q=2;w=6\r\nratelimit: \"default\";{rest}\r\n")
    };
    let spec = r#"{"requests":1,"period_ms":3000,"burst":2,"announce":true}"#;
    assert_eq!(announced(spec), [line("r=1;t=3"), line("r=0;t=3"), String::new(), String::new()]);
    let dry = spec.replace("true}", r#"true,"dry_run":true}"#);
    assert_eq!(announced(&dry)[1..], [line("r=0;t=3"), line("r=0;t=3"), line("r=0;t=3")]);
    assert_eq!(announced(&spec.replace("true", "false")), ["", "", "", ""]);
}

#[test]
fn an_explanation_counts_nothing() {
    let keep = Keep::new(1);
    let limited = chain(&keep, "route r", r#"{"requests":1,"period_ms":1000,"burst":1}"#);
    let mut out = Rewritten::new();
    for _ in 0..3 {
        assert_eq!(limited.request(&view(), &mut out).unwrap(), Outcome::Forward);
    }
    assert_eq!(answers(&limited, &[5, 5]), [0, 429]);
}

#[test]
fn a_limit_of_several_nodes_asks_its_policy_while_the_store_is_away() {
    for (policy, statuses, closed) in [
        ("share", [0, 0, 429, 429], false),
        ("open", [0, 0, 0, 0], false),
        ("closed", [503, 503, 503, 503], true),
    ] {
        let keep = Keep::new(1);
        keep.desk().set_nodes(2);
        let spec = format!(
            r#"{{"requests":1,"period_ms":1000,"burst":4,"across":"nodes","when_away":"{policy}"}}"#
        );
        let limited = chain(&keep, "route r", &spec);
        assert_eq!(answers(&limited, &[5, 5, 5, 5]), statuses, "{policy}");
        let away = keep.results().iter().find(|one| one.result == "away").map(|one| one.count);
        assert_eq!(away, Some(4));
        let mut out = Rewritten::new();
        let _ = limited.begin(&view(), &mut out, &mut context(&mut || 7, 5));
        assert_eq!(out.answer.refusal == "limit-store", closed);
    }
}

#[test]
fn a_limit_of_several_nodes_leaves_what_it_admits_at_the_desk() {
    let keep = Keep::new(1);
    keep.desk().open(Box::new(|| {}));
    keep.desk().set_nodes(2);
    keep.desk().set_ready(true);
    let spec = r#"{"requests":1,"period_ms":1000,"burst":4,"key":["client_ip"],"across":"nodes"}"#;
    let limited = chain(&keep, "route r", spec);
    assert_eq!(answers(&limited, &[5, 5, 5]), [0, 0, 429], "its credit is half of the burst");
    let reports: Vec<_> = std::iter::from_fn(|| keep.desk().take()).collect();
    assert_eq!(reports.len(), 2);
    assert_eq!(reports[0].common(), reports[1].common());
    let away = keep.results().iter().find(|one| one.result == "away").map(|one| one.count);
    assert_eq!(away, Some(0));
}

/// Runs a chain of one limit for requests that come at once; returns how long each one waits, and
/// `None` for one that is refused.
fn waits(chain: &Chain, count: usize, outs: &mut Vec<Rewritten>) -> Vec<Option<u64>> {
    let mut random = || 7;
    let mut one = |_| {
        let mut out = Rewritten::new();
        let waited = match chain.begin(&view(), &mut out, &mut context(&mut random, 0)) {
            Ok(Outcome::Forward) => Some(0),
            Ok(Outcome::Wait) => match out.wait.take() {
                Some(Wait::Delay { us }) => Some(us),
                other => panic!("{other:?}"),
            },
            Ok(Outcome::Answer) => None,
            other => panic!("{other:?}"),
        };
        outs.push(out);
        waited
    };
    (0..count).map(&mut one).collect()
}

#[test]
fn what_is_above_the_part_that_passes_at_once_waits_until_it_is_due() {
    let keep = Keep::new(1);
    let chain = chain(&keep, "r", r#"{"requests":10,"period_ms":1000,"burst":[5,2]}"#);
    let mut outs = Vec::new();
    let ms = |n: u64| Some(n * 1_000);
    assert_eq!(waits(&chain, 6, &mut outs), [ms(0), ms(0), ms(100), ms(200), ms(300), None]);
    // Who waited goes on, and is not counted again.
    let (mut random, out) = (|| 7, &mut outs[2]);
    let resumed = chain.resume(&view(), out, &mut context(&mut random, SECOND / 10), Woken::Delay);
    assert_eq!(resumed, Ok(Outcome::Forward));
    assert_eq!(waits(&chain, 1, &mut outs), [None]);
}

#[test]
fn a_dry_run_delays_nobody() {
    let keep = Keep::new(1);
    let json = r#"{"requests":10,"period_ms":1000,"burst":[5,1],"dry_run":true}"#;
    assert_eq!(waits(&chain(&keep, "r", json), 7, &mut Vec::new()), [Some(0); 7]);
}

#[test]
fn no_more_than_so_many_wait_at_a_time_and_the_end_of_one_makes_room() {
    let keep = Keep::new(1);
    let json = r#"{"requests":1000000,"period_ms":1000,"burst":[1000000,1]}"#;
    let chain = chain(&keep, "r", json);
    let (most, mut outs) = (delay::MOST as usize, Vec::new());
    let found = waits(&chain, most + 2, &mut outs);
    assert_eq!(found.iter().filter(|one| one.is_none()).count(), 1);
    assert_eq!((found[0], found[most + 1]), (Some(0), None));
    outs.truncate(most);
    assert!(waits(&chain, 1, &mut outs)[0] > Some(0));
}

#[test]
fn a_burst_that_cannot_wait_is_refused() {
    let told = |burst: &str, more: &str| {
        let json = format!(r#"{{"requests":1,"period_ms":1000,"burst":{burst}{more}}}"#);
        let mut problems = Vec::new();
        assert!(RateLimit::compile(&options(&json), &mut problems).is_none());
        problems.into_iter().map(|(path, text)| format!("{path}: {text}")).collect::<String>()
    };
    assert!(told("[302,1]", "").contains("rate_limit.burst: requests would wait"));
    assert!(told("[5,0]", "").contains("rate_limit.burst: 0 is out of range"));
    assert!(told("[5,6]", "").contains("rate_limit.burst: 6 is out of range"));
    assert!(told("[5,1]", r#","across":"nodes""#).contains("delays no requests"));
}
