use crate::testing::{chain, view};
use crate::view::Stage;

#[test]
fn only_responses_are_edited() {
    let chain = chain(&[
        r#"{"response_headers":{"set":{"strict-transport-security":"max-age=1"},"remove":["server"]}}"#,
    ]);
    let program = chain.response_headers(Stage::FORWARDED, 200);
    let mut out = Vec::new();
    program.append(&view(), || 0, &mut out);
    assert_eq!(out, b"strict-transport-security: max-age=1\r\n");
    assert!(program.drops(b"Server") && program.drops(b"Strict-Transport-Security"));
    assert!(chain.request_headers().is_empty());
}
