use super::*;
use proptest::prelude::*;
use rustls::crypto::aws_lc_rs::cipher_suite as suites;
use rustls::crypto::cipher::{AeadKey, Iv};
use rustls::{AlertDescription, ConnectionTrafficSecrets};

/// A key schedule whose n-th secret is n; `TICKETS` = it accepts tickets, as a client does.
#[derive(Default)]
struct Schedule<const TICKETS: bool> {
    tx: u8,
    rx: u8,
    tickets: Vec<Vec<u8>>,
}

fn secrets(n: u8) -> ConnectionTrafficSecrets {
    ConnectionTrafficSecrets::Aes256Gcm { key: AeadKey::from([n; 32]), iv: Iv::new([n; 12]) }
}

impl<const TICKETS: bool> Role for Schedule<TICKETS> {
    const MAX_MESSAGE: usize = if TICKETS { 64 * 1024 } else { 5 };
    fn ticket(&mut self, body: &[u8]) -> Result<(), u8> {
        if !TICKETS {
            return Err(alert::UNEXPECTED_MESSAGE);
        }
        self.tickets.push(body.to_vec());
        Ok(())
    }
    fn update_tx(&mut self) -> Option<(u64, ConnectionTrafficSecrets)> {
        self.tx += 1;
        Some((0, secrets(self.tx)))
    }
    fn update_rx(&mut self) -> Option<(u64, ConnectionTrafficSecrets)> {
        self.rx += 1;
        Some((0, secrets(self.rx)))
    }
}

/// Both directions begin with secret 0.
fn channel_at<const T: bool>(suite: SupportedCipherSuite, seq: u64) -> Channel<Schedule<T>> {
    let both = ExtractedSecrets { tx: (seq, secrets(0)), rx: (0, secrets(0)) };
    Channel::new(&both, Schedule::default(), suite, false).unwrap()
}

fn tls13() -> Channel<Schedule<false>> {
    channel_at(suites::TLS13_AES_256_GCM_SHA384, 0)
}

fn tls12() -> Channel<Schedule<false>> {
    channel_at(suites::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, 0)
}

fn peer(suite: SupportedCipherSuite) -> Sealer {
    Sealer::new(suite, (0, &secrets(0))).unwrap()
}

const KEY_UPDATE_ASKED: &[u8] = &[KEY_UPDATE, 0, 0, 1, 1];
const KEY_UPDATE_ONLY: &[u8] = &[KEY_UPDATE, 0, 0, 1, 0];

/// Feeds records with these contents; returns the output and how it ended.
fn feed<K: Role>(
    channel: &mut Channel<K>,
    contents: &[(u8, &[u8])],
) -> (Vec<u8>, Vec<u8>, Result<Received, TlsError>) {
    let mut sealer = peer(channel.suite);
    let (mut input, mut plain, mut out) = (Vec::new(), Vec::new(), Vec::new());
    for (kind, content) in contents {
        sealer.seal(*kind, [content, &[]], &mut input).unwrap();
    }
    let result = channel.receive(&mut input, &mut plain, &mut out);
    (plain, out, result)
}

/// Returns the content of the only record in `out`.
fn opened(suite: SupportedCipherSuite, mut out: Vec<u8>) -> (u8, Vec<u8>) {
    let mut opener = Opener::new(suite.version().version, (0, &secrets(0))).unwrap();
    let (kind, content) = opener.open(&mut out).unwrap();
    (kind, content.to_vec())
}

fn refused(contents: &[(u8, &[u8])]) -> AlertDescription {
    refused_by(&mut tls13(), contents)
}

fn refused_by<K: Role>(channel: &mut Channel<K>, contents: &[(u8, &[u8])]) -> AlertDescription {
    let suite = channel.suite;
    let (_, out, result) = feed(channel, contents);
    assert_eq!(result.unwrap_err().kind(), TlsErrorKind::Protocol);
    let (kind, alert) = opened(suite, out);
    assert_eq!((kind, alert[0], alert.len()), (content::ALERT, alert::FATAL, 2));
    assert!(
        channel.send(b"x", b"", &mut Vec::new()).is_err(),
        "nothing is sent after a fatal alert"
    );
    alert[1].into()
}

#[test]
fn messages_that_may_not_come_are_refused_with_their_alert() {
    use AlertDescription as A;
    use content::*;
    assert_eq!(refused(&[(HANDSHAKE, &[1, 0, 0, 0])]), A::UnexpectedMessage);
    assert_eq!(refused(&[(HANDSHAKE, &[NEW_SESSION_TICKET, 0, 0, 0])]), A::UnexpectedMessage);
    assert_eq!(refused(&[(HANDSHAKE, &[])]), A::UnexpectedMessage);
    assert_eq!(refused(&[(HANDSHAKE, &[KEY_UPDATE, 0, 0, 1, 2])]), A::IllegalParameter);
    assert_eq!(refused(&[(HANDSHAKE, &[KEY_UPDATE, 0, 0, 0])]), A::DecodeError);
    assert_eq!(refused(&[(HANDSHAKE, &[KEY_UPDATE, 0, 0, 2])]), A::UnexpectedMessage);
    let two = [KEY_UPDATE_ONLY, KEY_UPDATE_ONLY].concat();
    assert_eq!(refused(&[(HANDSHAKE, &two)]), A::UnexpectedMessage);
    assert_eq!(refused(&[(ALERT, &[1])]), A::DecodeError);
    assert_eq!(refused(&[(20, &[1])]), A::UnexpectedMessage);
    assert_eq!(refused(&[(0, &[0, 0])]), A::UnexpectedMessage);
    assert_eq!(refused(&[(HANDSHAKE, &[KEY_UPDATE]), (DATA, b"x")]), A::UnexpectedMessage);
    let user_canceled: Vec<(u8, &[u8])> = vec![(ALERT, &[1, alert::USER_CANCELED]); 5];
    assert_eq!(refused(&user_canceled), A::UnexpectedMessage);
}

#[test]
fn records_that_may_not_come_are_refused_with_their_alert() {
    let cases: [(&[u8], u8); 5] = [
        (&[21, 3, 3, 0, 2, 1, 0], alert::UNEXPECTED_MESSAGE),
        (&[20, 3, 3, 0, 1, 1], alert::UNEXPECTED_MESSAGE),
        (&[23, 2, 3, 0, 1, 1], alert::UNEXPECTED_MESSAGE),
        (&[23, 3, 3, 0xff, 0xff], alert::RECORD_OVERFLOW),
        (&[23, 3, 3, 0, 0], alert::BAD_RECORD_MAC),
    ];
    for (bytes, description) in cases {
        let mut channel = tls13();
        let mut out = Vec::new();
        channel.receive(&mut bytes.to_vec(), &mut Vec::new(), &mut out).unwrap_err();
        let (_, alert) = opened(channel.suite, out);
        assert_eq!(alert, [alert::FATAL, description], "{bytes:?}");
    }
}

#[test]
fn a_key_update_that_asks_is_answered_once_before_the_next_data() {
    let mut channel = tls13();
    let (_, out, result) = feed(&mut channel, &[(content::HANDSHAKE, KEY_UPDATE_ASKED)]);
    assert!(result.is_ok() && out.is_empty(), "a peer that does not read makes nothing pile up");
    let mut second = Vec::new();
    Sealer::new(channel.suite, (0, &secrets(1)))
        .unwrap()
        .seal(content::HANDSHAKE, [KEY_UPDATE_ASKED, &[]], &mut second)
        .unwrap();
    channel.receive(&mut second, &mut Vec::new(), &mut Vec::new()).unwrap();
    let mut out = Vec::new();
    channel.send(b"data", b"", &mut out).unwrap();
    let update = HEADER + KEY_UPDATE_ONLY.len() + 1 + 16;
    let data = out.split_off(update);
    assert_eq!(opened(channel.suite, out), (content::HANDSHAKE, KEY_UPDATE_ONLY.to_vec()));
    let mut opener = Opener::new(ProtocolVersion::TLSv1_3, (0, &secrets(1))).unwrap();
    assert_eq!(opener.open(&mut data.clone()).unwrap(), (content::DATA, &b"data"[..]));
    let kernel = channel.kernel.as_ref().unwrap();
    assert_eq!((kernel.tx, kernel.rx), (1, 2));
}

#[test]
fn key_updates_without_data_are_bounded() {
    let mut channel = tls13();
    let mut out = Vec::new();
    let mut ended = None;
    for n in 0..100u8 {
        let mut sealer = Sealer::new(channel.suite, (0, &secrets(n))).unwrap();
        let mut input = Vec::new();
        sealer.seal(content::HANDSHAKE, [KEY_UPDATE_ONLY, &[]], &mut input).unwrap();
        if channel.receive(&mut input, &mut Vec::new(), &mut out).is_err() {
            ended = Some(n);
            break;
        }
    }
    assert_eq!(ended, Some(MAX_KEY_UPDATES));
}

#[test]
fn keys_are_changed_before_they_are_used_up() {
    let suite = suites::TLS13_AES_256_GCM_SHA384;
    let mut channel = channel_at::<false>(suite, (1 << 24) - 6);
    let mut out = Vec::new();
    for _ in 0..4 {
        channel.send(b"x", b"", &mut out).unwrap();
    }
    assert_eq!(channel.kernel.as_ref().unwrap().tx, 1);
    assert_eq!(channel.sealer.left(), (1 << 24) - 2);
    let suite = suites::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384;
    let mut channel = channel_at::<false>(suite, (1 << 24) - 6);
    let sent = (0..10).take_while(|_| channel.send(b"x", b"", &mut out).is_ok()).count();
    assert_eq!(sent, 2, "TLS 1.2 has no key update");
    out.clear();
    channel.close(&mut out);
    assert!(!out.is_empty(), "close_notify still goes out");
}

#[test]
fn tickets_may_come_in_pieces_and_several_to_a_record() {
    let mut channel = channel_at::<true>(suites::TLS13_AES_256_GCM_SHA384, 0);
    let (one, two) = ([NEW_SESSION_TICKET, 0, 0, 2, 7, 7], [NEW_SESSION_TICKET, 0, 0, 3, 8, 8, 8]);
    let all = [&one[..], &two[..]].concat();
    let pieces: Vec<(u8, &[u8])> = all.chunks(4).map(|c| (content::HANDSHAKE, c)).collect();
    feed(&mut channel, &pieces).2.unwrap();
    assert_eq!(channel.kernel.as_ref().unwrap().tickets, [vec![7; 2], vec![8; 3]]);
    assert!(channel.partial.is_empty());
}

#[test]
fn tls12_renegotiation_is_declined_once_and_then_refused() {
    let mut channel = tls12();
    let (_, out, result) = feed(&mut channel, &[(content::HANDSHAKE, &[1, 0, 0, 0])]);
    assert!(result.is_ok());
    let (kind, warning) = opened(channel.suite, out);
    assert_eq!((kind, warning), (content::ALERT, vec![alert::WARNING, alert::NO_RENEGOTIATION]));
    let twice: [(u8, &[u8]); 2] = [(content::HANDSHAKE, &[1, 0, 0, 0]); 2];
    assert!(feed(&mut tls12(), &twice).2.is_err());
}

#[test]
fn alerts_of_the_peer_end_the_channel_unless_harmless() {
    let fatal: (u8, &[u8]) = (content::ALERT, &[alert::FATAL, 80]);
    let (_, out, result) = feed(&mut tls13(), &[fatal]);
    let error = result.unwrap_err();
    assert_eq!((error.kind(), out.len()), (TlsErrorKind::Alert, 0));
    assert!(error.detail().contains("InternalError"));
    let warning: (u8, &[u8]) = (content::ALERT, &[alert::WARNING, 80]);
    assert!(feed(&mut tls13(), &[warning]).2.is_err(), "TLS 1.3 knows no such warning");
    assert!(feed(&mut tls12(), &[warning]).2.is_ok());
}

#[test]
fn nothing_is_read_after_close_notify() {
    let close: (u8, &[u8]) = (content::ALERT, &[alert::WARNING, alert::CLOSE_NOTIFY]);
    for mut channel in [tls13(), tls12()] {
        let data: (u8, &[u8]) = (content::DATA, b"a");
        let (plain, _, result) = feed(&mut channel, &[data, close, (content::DATA, b"b")]);
        let received = result.unwrap();
        assert!(received.peer_closed);
        assert_eq!(plain, b"a");
        let mut garbage = vec![0xff; 100];
        let again = channel.receive(&mut garbage, &mut Vec::new(), &mut Vec::new()).unwrap();
        assert_eq!((again.consumed, again.peer_closed), (100, true));
    }
}

proptest! {
    #[test]
    fn any_bytes_are_taken_without_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        for mut channel in [tls13(), tls12()] {
            let _ = channel.receive(&mut bytes, &mut Vec::new(), &mut Vec::new());
            let mut record = vec![23, 3, 3, 0, bytes.len() as u8];
            record.extend(&bytes);
            let _ = channel.receive(&mut record, &mut Vec::new(), &mut Vec::new());
        }
    }

    #[test]
    fn any_protected_content_is_taken_without_panic(
        contents in proptest::collection::vec((19u8..25, proptest::collection::vec(any::<u8>(), 0..40)), 1..6),
    ) {
        let contents: Vec<(u8, &[u8])> = contents.iter().map(|(k, c)| (*k, &c[..])).collect();
        feed(&mut tls13(), &contents).2.ok();
        feed(&mut tls12(), &contents).2.ok();
        feed(&mut channel_at::<true>(suites::TLS13_AES_256_GCM_SHA384, 0), &contents).2.ok();
    }

    #[test]
    fn what_is_sent_arrives_whatever_its_size(
        size in 0usize..70_000,
        head in 0usize..40_000,
        cut in 1usize..9000,
    ) {
        for mut channel in [tls13(), tls12()] {
            let body: Vec<u8> = (0..size).map(|i| i as u8).collect();
            let mut out = Vec::new();
            let (head, rest) = body.split_at(head.min(size));
            channel.send(head, rest, &mut out).unwrap();
            prop_assert!(out.len() <= size + size.div_ceil(MAX_PLAIN) * OVERHEAD);
            let mut other = channel_at::<false>(channel.suite, 0);
            let (mut pending, mut plain) = (Vec::new(), Vec::new());
            for piece in out.chunks(cut) {
                pending.extend_from_slice(piece);
                let received = other.receive(&mut pending, &mut plain, &mut Vec::new()).unwrap();
                pending.drain(..received.consumed);
            }
            prop_assert_eq!(&plain, &body);
        }
    }
}
