use super::DENIED;
use crate::access_testing::Stage;
use crate::testing::{Got, chain, problem, run, view};
use crate::{Client, RequestView};
use hg_proto::Reject;

fn from(ip: &str, uses: &[&str]) -> Result<Got, Reject> {
    let client = Client { ip: ip.parse().unwrap(), ..view().client };
    run(&chain(uses), &RequestView { client, ..view() })
}

const RULES: &str =
    r#"{"ip_access":{"allow":["192.0.2.0/24","2001:db8::/32"],"deny":["192.0.2.128/25"]}}"#;

#[test]
fn addresses_pass_that_allow_has_and_deny_has_not() {
    for ip in ["192.0.2.1", "::ffff:192.0.2.1", "2001:db8::7"] {
        assert_eq!(from(ip, &[RULES]), Ok(Got::Forward(None, None)), "{ip}");
    }
    for ip in ["192.0.2.200", "::ffff:192.0.2.200", "198.51.100.1", "2001:db9::"] {
        assert_eq!(from(ip, &[RULES]), Err(DENIED), "{ip}");
    }
}

#[test]
fn it_stands_before_what_follows_it_and_after_what_precedes_it() {
    let answer = r#"{"respond":{"body":"hello","status":200}}"#;
    assert_eq!(from("198.51.100.1", &[RULES, answer]), Err(DENIED));
    assert!(matches!(from("198.51.100.1", &[answer, RULES]), Ok(Got::Answer(200, ..))));
}

#[test]
fn wrong_networks_are_named() {
    assert_eq!(
        problem(r#"{"ip_access":{"deny":["192.0.2.0/24","nowhere"]}}"#),
        "middlewares[0].ip_access.deny[1]: `nowhere` is not a network; write 192.0.2.0/24 or \
         2001:db8::/32"
    );
    assert_eq!(
        problem(r#"{"ip_access":{}}"#),
        "middlewares[0].ip_access: there is no network; write `allow`, `deny` or both"
    );
}

#[test]
fn results_are_counted_for_requests_and_not_for_questions() {
    for (rules, result) in [
        (r#""allow":["192.0.2.0/24"]"#, "pass"),
        (r#""deny":["192.0.2.7/32"]"#, "denied"),
        (r#""allow":["198.51.100.0/24"]"#, "not_allowed"),
    ] {
        let stage = Stage::new(&format!(r#"{{"ip_access":{{{rules}}}}}"#));
        drop(run(&stage.chain, &view()));
        assert_eq!(stage.counts(), []);
        stage.ask(&[], 0, || 0);
        assert_eq!(stage.counts(), [(result, 1)]);
    }
}
