use crate::testing::{chain, view};
use crate::view::Stage;

#[test]
fn only_requests_are_edited() {
    let chain = chain(&[r#"{"request_headers":{"set":{"x-client":"${client_ip}"}}}"#]);
    let mut out = Vec::new();
    chain.request_headers().append(&view(), || 0, &mut out);
    assert_eq!(out, b"x-client: 192.0.2.7\r\n");
    assert!(chain.response_headers(Stage::FORWARDED, 200).is_empty());
    assert!(!chain.is_empty());
}
