use crate::testing::{Got, Lived, chain, live, problem, run, used, view};
use crate::{Chain, Context, Ended, Keep, Outcome, Rewritten};

#[test]
fn a_delay_comes_first_then_the_refusal() {
    let chain = chain(&[r#"{"fault":{"delay_ms":20,"abort":503}}"#]);
    assert_eq!(live(&chain, &view(), &[0, 0]), [Lived::Waited(20_000), Lived::Refused(503)]);
}

#[test]
fn chance_decides_both() {
    let spec = r#"{"fault":{"delay_ms":20,"delay_percent":30,"abort":418,"abort_percent":10}}"#;
    let chain = chain(&[spec]);
    assert_eq!(live(&chain, &view(), &[30, 10]), [Lived::Forwarded]);
    assert_eq!(live(&chain, &view(), &[129, 10]), [Lived::Waited(20_000), Lived::Forwarded]);
    assert_eq!(live(&chain, &view(), &[99, 109]), [Lived::Refused(418)]);
    assert_eq!(live(&chain, &view(), &[0, 0]), [Lived::Waited(20_000), Lived::Refused(418)]);
}

#[test]
fn nought_percent_is_never() {
    let spec = r#"{"fault":{"delay_ms":20,"delay_percent":0,"abort":503,"abort_percent":0}}"#;
    assert_eq!(live(&chain(&[spec]), &view(), &[]), [Lived::Forwarded]);
}

#[test]
fn the_rest_of_the_chain_goes_on_after_the_delay() {
    let chain = chain(&[
        r#"{"rewrite":{"path":{"strip_prefix":"/v1"}}}"#,
        r#"{"fault":{"delay_ms":1}}"#,
        r#"{"rewrite":{"path":{"prefix":"/new"}}}"#,
        r#"{"fault":{"delay_ms":2}}"#,
        r#"{"respond":{"status":200}}"#,
    ]);
    assert_eq!(
        live(&chain, &view(), &[0, 0]),
        [Lived::Waited(1_000), Lived::Waited(2_000), Lived::Answered(200)]
    );
}

#[test]
fn no_more_than_so_many_are_delayed_at_a_time_and_the_end_of_one_makes_room() {
    let keep = Keep::new(1);
    let uses = [used(r#"{"fault":{"delay_ms":1,"most":2}}"#)];
    let chain =
        || Chain::compile_in(&[&uses], None, &|_| None, (&keep, &["route r"], &[])).unwrap();
    // Snapshots that follow each other have one count.
    let (one, next) = (chain(), chain());
    let mut random = || 0;
    let mut cx =
        Context { now_us: 1, unix_us: || 2, random: &mut random, worker: 0, accounts: None };
    let mut outs: Vec<Rewritten> = (0..4).map(|_| Rewritten::new()).collect();
    let mut begin =
        |chain: &Chain, out: &mut Rewritten| chain.begin(&view(), out, &mut cx).unwrap();
    assert_eq!(begin(&one, &mut outs[0]), Outcome::Wait);
    assert_eq!(begin(&next, &mut outs[1]), Outcome::Wait);
    assert_eq!(begin(&one, &mut outs[2]), Outcome::Forward);
    // However it ends: told, or forgotten.
    outs[0].take_later().unwrap().end(&Ended { status: 200, took_us: 5 });
    assert_eq!(begin(&one, &mut outs[2]), Outcome::Wait);
    assert_eq!(begin(&one, &mut outs[3]), Outcome::Forward);
    outs.remove(1);
    assert_eq!(begin(&next, &mut outs[2]), Outcome::Wait);
    let counts: Vec<_> = keep.results().iter().map(|one| (one.result, one.count)).collect();
    assert_eq!(counts, [("pass", 2), ("delay", 4), ("abort", 0)]);
}

#[test]
fn an_explanation_knows_no_faults() {
    let chain = chain(&[r#"{"fault":{"abort":503}}"#]);
    assert_eq!(run(&chain, &view()), Ok(Got::Forward(None, None)));
}

#[test]
fn mistakes_are_explained() {
    let message = |spec: &str| problem(&format!(r#"{{"fault":{spec}}}"#));
    assert_eq!(
        message("{}"),
        "middlewares[0].fault.delay_ms: the fault does nothing; write a delay or a status"
    );
    assert!(message(r#"{"delay_ms":300001}"#).ends_with("write at most 300000"));
    assert!(message(r#"{"abort":200}"#).ends_with("write 400 to 599"));
    assert!(message(r#"{"abort":500,"abort_percent":101}"#).ends_with("write 0 to 100"));
}
