//! Records and waiting, for tests.

use crate::{AccessRecord, ConnectionRecord, ReachedRecord, SecuredRecord, SentRecord};
use crate::{CertificateRecord, Kept, Noted, Notes, TlsRecord, TraceRecord};
use hg_otlp::{Exporter, Signal};
use hg_plan::{AccessLog, Digest, LogFormat, Redaction};
use hg_proto::{Known, Lines, Tag};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

/// A record in which every value is known.
pub(crate) fn record() -> AccessRecord<'static> {
    AccessRecord {
        time_us: 1_795_165_142_123_456,
        request_id: "4f2c9a61d0b3e875",
        client_ip: [192, 0, 2, 7].into(),
        listener: "secure",
        route: "api",
        upstream: "api",
        endpoint: "127.0.0.1:9001",
        method: "GET",
        scheme: "https",
        host: b"api.example.com",
        target: b"/v1/users?page=2",
        protocol: "HTTP/1.1",
        status: 200,
        bytes_in: 0,
        bytes_out: 1234,
        connect_us: Some(150),
        first_byte_us: Some(2_100),
        total_us: 2_345,
        sent: SentRecord {
            reused: false,
            tries: 1,
            trace: Some(TraceRecord {
                trace_id: 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736,
                span_id: 0x00f0_67aa_0ba9_02b7,
                flags: 1,
            }),
        },
        reason: "-",
        user_agent: b"curl/8.5.0",
        referer: b"https://example.com/",
        noted: Noted::default(),
        tls: TlsRecord {
            version: Some("TLSv1.3"),
            sni: Some("api.example.com"),
            client: Some(certificate()),
        },
    }
}

/// Returns what a log with these fields keeps, and notes of a request with these values of them.
pub(crate) fn noted(fields: &[(&str, &[u8])]) -> (Kept, Notes) {
    let log = AccessLog {
        format: LogFormat::Json,
        sink: None,
        otlp: None,
        fields: fields.iter().map(|(name, _)| (*name).to_owned()).collect(),
        template: None,
    };
    let kept = Kept::new(Some(&log), &Redaction::default());
    let (mut lines, mut notes) = (Lines::new(), Notes::default());
    for (name, value) in fields.iter().filter_map(|(n, v)| Some((n.strip_prefix("header:")?, v))) {
        lines.push(name, value, Tag::of(Known::Other));
    }
    notes.note_headers(&kept, lines.fields());
    let claim = |name: &str| {
        let known = fields.iter().find(|(field, _)| field.strip_prefix("jwt:") == Some(name));
        std::str::from_utf8(known.unwrap().1).unwrap()
    };
    notes.note_claims(&kept, claim);
    (kept, notes)
}

/// A client's certificate of which every value is known.
pub(crate) fn certificate() -> CertificateRecord<'static> {
    static NAMES: LazyLock<[Box<str>; 2]> =
        LazyLock::new(|| ["dns:alice.example".into(), "uri:spiffe://example/alice".into()]);
    CertificateRecord {
        subject: "CN=alice",
        names: &*NAMES,
        spiffe: "spiffe://example/alice",
        fingerprint: &Digest([1; 32]),
    }
}

/// A TCP connection of which every value is known.
pub(crate) fn connection() -> ConnectionRecord<'static> {
    ConnectionRecord {
        time_us: 1_795_165_142_123_456,
        client: ([192, 0, 2, 7], 50_000).into(),
        listener: "pg",
        route: "postgres",
        tls: SecuredRecord::default(),
        to: ReachedRecord {
            upstream: "pg",
            endpoint: "127.0.0.1:5432",
            connect_us: Some(150),
            id: "",
        },
        bytes_in: 17,
        bytes_out: 1234,
        total_us: 2_345,
        reason: "client-end",
    }
}

/// A record of a request that could not be read.
pub(crate) fn bare() -> AccessRecord<'static> {
    AccessRecord {
        time_us: 0,
        request_id: "",
        client_ip: std::net::Ipv6Addr::LOCALHOST.into(),
        listener: "web",
        route: "",
        upstream: "",
        endpoint: "",
        method: "",
        scheme: "http",
        host: b"",
        target: b"",
        protocol: "",
        status: 400,
        connect_us: None,
        first_byte_us: None,
        total_us: 7,
        reason: "http_request_error",
        user_agent: b"",
        referer: b"",
        tls: TlsRecord::default(),
        sent: SentRecord::default(),
        bytes_out: 0,
        ..record()
    }
}

/// An exporter without a collector.
pub(crate) fn exporter() -> Exporter {
    Exporter::start(Signal::Logs, 1, Arc::new(|_| None), Box::new(drop)).unwrap()
}

/// Waits until a condition holds; fails after 45 seconds: a busy machine may stand still for long.
pub(crate) fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(45);
    while !condition() {
        assert!(Instant::now() < deadline, "{what} did not happen");
        std::thread::yield_now();
    }
}

/// A directory that is deleted with the test.
pub(crate) struct Scratch(std::path::PathBuf);

impl Scratch {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("hg-log-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    /// Makes a named pipe, without a child: until it executes its program, that would keep open what
    /// another test closes.
    pub(crate) fn pipe(&self, name: &str) -> String {
        use rustix::fs::{CWD, FileType, Mode, mknodat};
        let path = self.path(name);
        mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
