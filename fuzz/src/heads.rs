//! Request and response heads.

use super::cuts;
use hg_proto::{
    Admission, BodyReader, Framing, HeaderSlots, Limits, Method, Parse, Reject, RequestHead,
    RespFraming, Version, host_key, parse_request, parse_response, websocket, write,
};

const SMALL: Limits = Limits { head_bytes: 256, header_count: 4 };

/// How a request head was understood.
#[derive(Debug, PartialEq)]
struct Request {
    method: String,
    path: String,
    query: Option<String>,
    host: String,
    framing: Framing,
    fields: Vec<(String, Vec<u8>)>,
    head_len: usize,
}

/// A request head: cutting the input never changes the outcome, and a rebuilt head is strict and
/// means the same.
pub fn request_head(data: &[u8]) {
    for limits in [SMALL, Limits::default()] {
        let whole = request(data, &limits);
        for at in cuts(data.len()) {
            match request(&data[..at], &limits) {
                Ok(None) => {}
                part => assert_eq!(part, whole, "cut at {at}"),
            }
        }
    }
    if let Ok(Some(first)) = request(data, &Limits::default()) {
        let bytes = rebuilt(data);
        assert_strict(&bytes);
        let again = request(&bytes, &Limits { head_bytes: usize::MAX, header_count: 256 });
        let Ok(Some(again)) = again else { panic!("what we write is refused: {again:?}") };
        assert_eq!(again.head_len, bytes.len());
        assert_eq!(again.path, encoded(&first.path));
        assert_eq!(again.query, first.query.as_deref().map(encoded));
        assert_eq!(
            (again.method, again.host, again.framing, again.fields),
            (first.method, named(&first.host).to_owned(), first.framing, first.fields),
        );
    }
}

fn request(data: &[u8], limits: &Limits) -> Result<Option<Request>, Reject> {
    let mut slots = HeaderSlots::new();
    let Parse::Complete(head) = parse_request(data, &mut slots, limits, Admission::MOST)? else {
        return Ok(None);
    };
    assert!(head.head_len <= data.len() && head.head_len <= limits.head_bytes);
    assert!(head.path.starts_with('/') || head.path == "*");
    let _ = websocket::check_request(&head);
    let mut buf = [0; hg_proto::host::MAX_NAME_BYTES];
    let host = host_key(head.host, &mut buf).to_owned();
    // Only an HTTP/1.0 request need not name a host.
    assert!(!host.is_empty() || (head.host.is_empty() && head.version == Version::H10));
    Ok(Some(Request {
        method: head.method.as_str().into(),
        path: head.path.into(),
        query: head.query.map(Into::into),
        host,
        framing: head.framing,
        fields: kept(&head),
        head_len: head.head_len,
    }))
}

fn kept(head: &RequestHead<'_, '_>) -> Vec<(String, Vec<u8>)> {
    let end_to_end = head.fields.iter().filter(|f| !f.hop && !f.known.is_ours());
    end_to_end.map(|f| (f.name.to_owned(), f.value.to_vec())).collect()
}

/// Returns the Host for the upstream: the endpoint's if the request names none.
fn named(host: &str) -> &str {
    if host.is_empty() { "endpoint.test" } else { host }
}

fn encoded(part: &str) -> String {
    let mut out = Vec::new();
    write::target_part(&mut out, part);
    String::from_utf8_lossy(&out).into_owned()
}

fn rebuilt(data: &[u8]) -> Vec<u8> {
    let mut slots = HeaderSlots::new();
    let mut out = Vec::new();
    if let Ok(Parse::Complete(head)) =
        parse_request(data, &mut slots, &Limits::default(), Admission::MOST)
    {
        write::request_line(&mut out, head.method.as_str(), head.path, head.query);
        write::line(&mut out, "host", named(head.host).as_bytes());
        write::fields(&mut out, &head.fields, |_| false);
        write::request_framing(&mut out, head.framing);
        write::end(&mut out);
    }
    out
}

/// Checks that lines end in CRLF, without any other CR, LF or NUL, and that the only empty line is
/// at the end.
fn assert_strict(head: &[u8]) {
    let text = String::from_utf8_lossy(head);
    let lines = text.strip_suffix("\r\n\r\n").expect("ends with an empty line");
    for line in lines.split("\r\n") {
        assert!(!line.is_empty() && !line.contains(['\r', '\n', '\0']), "{line:?}");
    }
}

/// A response head, answering GET and HEAD: cutting the input never changes the outcome, and a
/// body is only read where one can be.
pub fn response_head(data: &[u8]) {
    for method in [Method::Get, Method::Head] {
        for limits in [SMALL, Limits::default()] {
            let whole = response(data, &limits, method);
            for at in cuts(data.len()) {
                match response(&data[..at], &limits, method) {
                    Ok(None) => {}
                    part => assert_eq!(part, whole, "cut at {at}"),
                }
            }
        }
    }
}

fn response(
    data: &[u8],
    limits: &Limits,
    method: Method<'_>,
) -> Result<Option<(u16, RespFraming, bool, usize)>, Reject> {
    let mut slots = HeaderSlots::new();
    let Parse::Complete(head) = parse_response(data, &mut slots, limits, method)? else {
        return Ok(None);
    };
    assert!(head.head_len <= data.len() && head.head_len <= limits.head_bytes);
    assert!((100..=599).contains(&head.status));
    let bodiless = method == Method::Head || matches!(head.status, 100..=199 | 204 | 304);
    assert_eq!(bodiless, head.framing == RespFraming::NoBody);
    assert!(!head.keep_alive || head.framing != RespFraming::UntilClose);
    let mut out = Vec::new();
    write::status_line(&mut out, head.status, head.reason);
    write::fields(&mut out, &head.fields, |_| false);
    write::response_framing(&mut out, head.framing, head.content_length.filter(|_| !bodiless));
    write::end(&mut out);
    assert_strict(&out);
    let mut rest = data[head.head_len..].to_vec();
    let mut reader = BodyReader::from(head.framing);
    if let Ok(fed) = reader.feed(&mut rest) {
        assert!(fed.data_len <= fed.consumed && fed.consumed <= rest.len());
    }
    Ok(Some((head.status, head.framing, head.keep_alive, head.head_len)))
}
