//! A request and its way through a chain, for tests.

use crate::template::Template;
use crate::view::{Client, ClientTls, Outcome, RequestView, Rewritten};
use crate::{Chain, Claims, Context, Problem, Wait, Woken};
use hg_plan::{Action, MiddlewareUse};
use hg_proto::Reject;
use hg_route::{ClientCertificate, Headers};
use std::sync::LazyLock;

static FINGERPRINT: hg_plan::Digest = hg_plan::Digest([0x0a; 32]);
static NAMES: LazyLock<Box<[Box<str>]>> = LazyLock::new(|| {
    ["dns:alice.example", "uri:spiffe://prod.example/ns/shop/sa/web", "email:alice@example.com"]
        .map(Box::from)
        .into()
});

static CLAIMS: LazyLock<Claims> =
    LazyLock::new(|| Claims::new(&["CLAIM".into()].into(), &[Some("joe".into())].into()));

/// A client's certificate.
pub(crate) fn alice() -> ClientCertificate<'static> {
    ClientCertificate {
        subject: "CN=alice",
        fingerprint: &FINGERPRINT,
        names: Some(&NAMES),
        spiffe: "spiffe://prod.example/ns/shop/sa/web",
    }
}

struct Lines;

impl Headers for Lines {
    fn each(&self, name: &str, line: &mut dyn FnMut(&[u8])) {
        let lines: [(&str, &[u8]); 4] = [
            ("x-tenant", b"acme"),
            ("x-tenant", b"other"),
            ("x-evil", b"a\r\nset-cookie: x=1\0\x7f"),
            ("x-bytes", b"../\xff ?#%%41\\"),
        ];
        lines.iter().filter(|(n, _)| *n == name).for_each(|(_, value)| line(value));
    }
}

pub(crate) fn view() -> RequestView<'static> {
    RequestView {
        method: "GET",
        scheme: "http",
        protocol: "HTTP/1.1",
        host: "api.example",
        port: Some(8000),
        path: "/v1/users",
        query: Some("a=b"),
        client: Client {
            ip: [192, 0, 2, 7].into(),
            certificate: Some(alice()),
            claims: Some(&CLAIMS),
            tls: Some(ClientTls { version: "TLSv1.3", sni: "api.example" }),
        },
        request_id: "0123456789abcdef",
        listener: "web",
        route: "users",
        upstream: "pool",
        endpoint: "192.0.2.9:80",
        prefix_len: 3,
        headers: &Lines,
    }
}

pub(crate) fn text_of(template: &Template, view: &RequestView<'_>) -> String {
    let mut out = Vec::new();
    template.render(view, &mut out);
    String::from_utf8(out).unwrap()
}

/// A middleware from its canonical JSON.
pub(crate) fn used(json: &str) -> MiddlewareUse {
    serde_json::from_str(json).unwrap()
}

pub(crate) fn compile(uses: &[&str], action: Option<&Action>) -> Result<Chain, Vec<Problem>> {
    let uses: Vec<_> = uses.iter().map(|json| used(json)).collect();
    Chain::compile(&[&uses], action, &|_| None)
}

pub(crate) fn chain(uses: &[&str]) -> Chain {
    compile(uses, None).unwrap()
}

/// Returns the one problem of one middleware, as `path: message`.
pub(crate) fn problem(json: &str) -> String {
    let problems = compile(&[json], None).unwrap_err();
    assert_eq!(problems.len(), 1, "{problems:?}");
    format!("{}: {}", problems[0].path, problems[0].message)
}

/// The result of a chain.
#[derive(Debug, PartialEq)]
pub(crate) enum Got {
    /// Target and host, if they changed.
    Forward(Option<String>, Option<String>),
    /// Status, header lines, body.
    Answer(u16, String, String),
}

pub(crate) fn run(chain: &Chain, view: &RequestView<'_>) -> Result<Got, Reject> {
    let mut out = Rewritten::new();
    // The leftovers of an earlier request must not show.
    out.path.push_str("/left");
    out.answer.headers.extend_from_slice(b"left");
    Ok(match chain.request(view, &mut out)? {
        Outcome::Forward => {
            Got::Forward(out.target().map(str::to_owned), out.host().map(str::to_owned))
        }
        Outcome::Wait => panic!("it waits"),
        Outcome::Answer => Got::Answer(
            out.answer.status,
            String::from_utf8(out.answer.headers).unwrap(),
            String::from_utf8(out.answer.body).unwrap(),
        ),
    })
}

/// Returns the path and query that a chain forwards.
pub(crate) fn target(uses: &[&str], view: &RequestView<'_>) -> String {
    match run(&chain(uses), view).unwrap() {
        Got::Forward(target, _) => target.unwrap_or_else(|| "(unchanged)".into()),
        answer => panic!("{answer:?}"),
    }
}

/// The outcome of a request in a chain with steps that wait.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Lived {
    /// Microseconds.
    Waited(u64),
    Forwarded,
    Answered(u16),
    Refused(u16),
}

/// Takes a request through a chain; `drawn` are the random numbers, waits are over at once.
pub(crate) fn live(chain: &Chain, view: &RequestView<'_>, drawn: &[u64]) -> Vec<Lived> {
    let mut drawn = drawn.iter();
    let mut random = || *drawn.next().unwrap();
    let mut cx =
        Context { now_us: 1, unix_us: || 2, random: &mut random, worker: 0, accounts: None };
    let mut out = Rewritten::new();
    let mut lived = Vec::new();
    let mut outcome = chain.begin(view, &mut out, &mut cx);
    loop {
        lived.push(match outcome {
            Err(reject) => Lived::Refused(reject.status),
            Ok(Outcome::Forward) => Lived::Forwarded,
            Ok(Outcome::Answer) => Lived::Answered(out.answer.status),
            Ok(Outcome::Wait) => {
                let (us, woken) = match out.wait.take().unwrap() {
                    Wait::Delay { us } => (us, Woken::Delay),
                    Wait::Job { job, timeout_us } => (timeout_us, Woken::Brought(job())),
                    Wait::Subrequest(asked) => {
                        (asked.timeout_us, Woken::Answered(Err(crate::Failure::Unavailable)))
                    }
                };
                lived.push(Lived::Waited(us));
                outcome = chain.resume(view, &mut out, &mut cx, woken);
                continue;
            }
        });
        return lived;
    }
}
