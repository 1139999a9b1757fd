use super::*;
use proptest::prelude::*;

fn plan() -> LimitStore {
    LimitStore {
        address: "s:6379".into(),
        nodes: 2,
        database: 3,
        username: "edge".into(),
        password: "secret".into(),
        prefix: "hg".into(),
        timeout_ms: 250,
        tls: None,
    }
}

const DIGEST: &str = "$40\r\n0123456789abcdef0123456789abcdef01234567\r\n";
const CHARGE: Charge = Charge { name: 1, key: 2, charge_us: 1_000, most_us: 100_000 };

fn greeted() -> Session {
    let mut session = Session::begin(&plan(), &mut Vec::new());
    let answer = format!("+OK\r\n+OK\r\n{DIGEST}:1\r\n");
    let mut ahead = Vec::new();
    for byte in answer.bytes() {
        assert!(!session.is_answered());
        session.feed(&[byte], &mut ahead).unwrap();
    }
    assert_eq!((ahead, session.is_answered()), (vec![1], true));
    session
}

#[test]
fn the_greeting_names_the_user_the_database_and_the_script() {
    let mut out = Vec::new();
    Session::begin(&plan(), &mut out);
    let text = String::from_utf8(out).unwrap();
    let begin = "*3\r\n$4\r\nAUTH\r\n$4\r\nedge\r\n$6\r\nsecret\r\n*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n*3\r\n$6\r\nSCRIPT\r\n";
    assert!(text.starts_with(begin), "{text}");
    let bare = LimitStore { username: String::new(), database: 0, ..plan() };
    let mut out = Vec::new();
    Session::begin(&bare, &mut out);
    let text = String::from_utf8(out).unwrap();
    assert!(
        text.starts_with("*2\r\n$4\r\nAUTH\r\n$6\r\nsecret\r\n*3\r\n$6\r\nSCRIPT\r\n"),
        "{text}"
    );
}

#[test]
fn charges_are_answered_in_their_order() {
    let (mut session, mut out, mut ahead) = (greeted(), Vec::new(), Vec::new());
    session.charge(&[CHARGE, Charge { key: 3, ..CHARGE }], &mut out);
    let text = String::from_utf8(out).unwrap();
    assert_eq!(text.matches("EVALSHA").count(), 2);
    assert!(text.contains("hg:0000000000000001:0000000000000003"), "{text}");
    session.feed(b":1000\r\n:50", &mut ahead).unwrap();
    assert!(!session.is_answered());
    session.feed(b"00\r\n", &mut ahead).unwrap();
    assert_eq!((ahead, session.is_answered()), (vec![1000, 5000], true));
}

fn trouble(answer: &[u8]) -> Trouble {
    let (mut session, mut out) = (greeted(), Vec::new());
    session.charge(&[CHARGE], &mut out);
    session.feed(answer, &mut Vec::new()).unwrap_err()
}

#[test]
fn what_is_no_answer_to_a_charge_means_that_the_store_is_away() {
    let oom = "OOM command not allowed when used memory > 'maxmemory'.";
    assert_eq!(trouble(format!("-{oom}\r\n").as_bytes()), lie(format!("it says: {oom}")));
    let wrong: [&[u8]; 10] = [
        b"+OK\r\n",
        b"$1\r\n1\r\n",
        b"*1\r\n",
        b":-1\r\n",
        b":0\r\n",
        b":900\r\n",
        b":102000\r\n",
        b":9223372036854775807\r\n",
        b"-WRONGTYPE x\r\n",
        b":1000\r\n:1000\r\n",
    ];
    for one in wrong {
        assert!(matches!(trouble(one), Trouble::Away(_)), "{}", String::from_utf8_lossy(one));
    }
    assert!(matches!(trouble(b"-NOSCRIPT No matching script.\r\n"), Trouble::Again(_)));
}

#[test]
fn a_wrong_password_or_digest_ends_the_greeting() {
    for answer in ["-WRONGPASS invalid\r\n", "+OK\r\n+OK\r\n$2\r\nab\r\n", "+OK\r\n+OK\r\n:1\r\n"] {
        let mut session = Session::begin(&plan(), &mut Vec::new());
        assert!(session.feed(answer.as_bytes(), &mut Vec::new()).is_err(), "{answer}");
    }
}

proptest! {
    #[test]
    fn a_server_that_says_anything_gives_no_more_answers_than_were_asked(
        parts in proptest::collection::vec(prop_oneof![
            Just(b":1000\r\n".to_vec()), Just(b"+OK\r\n".to_vec()),
            proptest::collection::vec(any::<u8>(), 0..40)], 0..20),
    ) {
        let (mut session, mut ahead) = (greeted(), Vec::new());
        session.charge(&[CHARGE; 3], &mut Vec::new());
        for part in parts {
            if session.feed(&part, &mut ahead).is_err() {
                break;
            }
            prop_assert!(session.input.len() <= 2048, "what waits is bounded");
        }
        prop_assert!(ahead.len() <= 3);
        prop_assert!(ahead.iter().all(|us| CHARGE.may_lead_to(*us)));
    }
}
