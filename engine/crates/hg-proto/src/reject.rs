//! Refusals of messages: one constant per reason.

/// A refusal: the status for the client, the `Proxy-Status` error token (RFC 9209 §2.3), a stable
/// slug for the counter and one sentence for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reject {
    /// Status of the answer.
    pub status: u16,
    /// Error token of RFC 9209 §2.3.
    pub reason: &'static str,
    /// Short stable slug, unique per reason; label of the counter.
    pub code: &'static str,
    /// The fault, for people; never holds client bytes.
    pub detail: &'static str,
}

macro_rules! reject_table {
    ($($name:ident = $status:literal $reason:literal $code:literal $detail:literal;)*) => {
        /// Every refusal this crate makes.
        pub mod rejects {
            use super::Reject;
            $(
                #[doc = $detail]
                pub const $name: Reject =
                    Reject { status: $status, reason: $reason, code: $code, detail: $detail };
            )*
            /// Every refusal, for counters and tests.
            pub const ALL: &[Reject] = &[$($name),*];
        }
    };
}

reject_table! {
    // Request line.
    REQUEST_LINE = 400 "http_request_error" "request-line" "malformed request line";
    METHOD = 400 "http_request_error" "method" "invalid method";
    METHOD_LENGTH = 501 "http_request_denied" "method-length" "method name too long";
    METHOD_REFUSED = 405 "http_request_denied" "method-refused" "method not allowed here";
    TARGET = 400 "http_request_error" "target" "invalid request target";
    TARGET_FRAGMENT = 400 "http_request_error" "target-fragment" "request target with a fragment";
    TARGET_FORM = 400 "http_request_error" "target-form" "request target form not allowed";
    TARGET_AUTHORITY = 400 "http_request_error" "target-authority" "target authority differs from Host";
    TARGET_LENGTH = 414 "http_request_error" "target-length" "request target too long";
    VERSION = 505 "http_protocol_error" "version" "HTTP version not supported";
    TLS_ON_PLAIN = 400 "http_request_error" "tls-on-plain" "TLS handshake on a plain HTTP port";
    // Lines and fields of a request.
    BARE_LF = 400 "http_request_error" "line-end" "line does not end with CRLF";
    EMPTY_LINES = 400 "http_request_error" "empty-lines" "more than one empty line before the request";
    OBS_FOLD = 400 "http_request_error" "obs-fold" "folded header line";
    FIELD_NAME = 400 "http_request_error" "field-name" "invalid header name";
    FIELD_VALUE = 400 "http_request_error" "field-value" "invalid byte in a header value";
    HEAD_BYTES = 431 "http_request_error" "head-bytes" "request head too large";
    HEADER_COUNT = 431 "http_request_error" "header-count" "too many header lines";
    HOST_MISSING = 400 "http_request_error" "host-missing" "no Host header";
    HOST_REPEATED = 400 "http_request_error" "host-repeated" "more than one Host header";
    HOST_INVALID = 400 "http_request_error" "host-invalid" "invalid Host header";
    CONNECTION_OPTIONS = 400 "http_request_error" "connection-options" "invalid Connection header";
    EXPECTATION = 417 "http_request_error" "expectation" "unknown expectation";
    UPGRADE = 400 "http_request_error" "websocket" "malformed WebSocket handshake";
    // Framing of a request.
    LENGTH_AND_CODING = 400 "http_request_error" "length-and-coding" "Content-Length with Transfer-Encoding";
    LENGTH_REPEATED = 400 "http_request_error" "length-repeated" "more than one Content-Length";
    LENGTH_INVALID = 400 "http_request_error" "length-invalid" "malformed Content-Length";
    CODING_INVALID = 400 "http_request_error" "coding-invalid" "Transfer-Encoding is not exactly one chunked";
    CODING_UNKNOWN = 501 "http_request_error" "coding-unknown" "transfer coding not supported";
    CODING_HTTP10 = 400 "http_request_error" "coding-http10" "Transfer-Encoding in HTTP/1.0";
    CHUNK_SIZE = 400 "http_request_error" "chunk-size" "malformed chunk size";
    CHUNK_EXTENSION = 400 "http_request_error" "chunk-extension" "chunk extension malformed or too long";
    CHUNK_END = 400 "http_request_error" "chunk-end" "chunk data does not end with CRLF";
    TRAILER = 400 "http_request_error" "trailer" "malformed trailer";
    TRAILER_BYTES = 431 "http_request_error" "trailer-bytes" "trailers too large";
    BODY_INCOMPLETE = 400 "http_request_error" "body-incomplete" "request body ended early";
    // Responses.
    R_STATUS_LINE = 502 "http_protocol_error" "response-status-line" "malformed status line";
    R_FIELD_NAME = 502 "http_protocol_error" "response-field-name" "invalid header name in the response";
    R_FIELD_VALUE = 502 "http_protocol_error" "response-field-value" "invalid byte in a response header value";
    R_OBS_FOLD = 502 "http_protocol_error" "response-obs-fold" "folded header line in the response";
    R_BARE_LF = 502 "http_protocol_error" "response-line-end" "response line does not end with CRLF";
    R_HEAD_BYTES = 502 "http_response_header_section_size" "response-head-bytes" "response head too large";
    R_HEADER_COUNT = 502 "http_response_header_section_size" "response-header-count" "too many response header lines";
    R_LENGTH_AND_CODING = 502 "http_protocol_error" "response-length-and-coding" "response with Content-Length and Transfer-Encoding";
    R_LENGTH_REPEATED = 502 "http_protocol_error" "response-length-repeated" "response with more than one Content-Length";
    R_LENGTH_INVALID = 502 "http_protocol_error" "response-length-invalid" "response with malformed Content-Length";
    R_CODING = 502 "http_response_transfer_coding" "response-coding" "response with an unusable Transfer-Encoding";
    R_CODING_HTTP10 = 502 "http_response_transfer_coding" "response-coding-http10" "HTTP/1.0 response with Transfer-Encoding";
    R_CHUNK = 502 "http_response_transfer_coding" "response-chunk" "malformed chunked response body";
    R_TRAILER = 502 "http_response_transfer_coding" "response-trailer" "malformed response trailer";
    R_TRAILER_BYTES = 502 "http_response_trailer_section_size" "response-trailer-bytes" "response trailers too large";
    R_INTERIM = 502 "http_protocol_error" "response-interim" "too many interim answers before the answer";
    R_INCOMPLETE = 502 "http_response_incomplete" "response-incomplete" "response ended early";
    R_UPGRADE = 502 "http_upgrade_failed" "response-upgrade" "invalid answer to an upgrade";
}

impl Reject {
    /// Returns the same fault as seen in a response: what is a request's becomes 502.
    pub fn in_response(self) -> Reject {
        match self {
            rejects::CHUNK_SIZE | rejects::CHUNK_EXTENSION | rejects::CHUNK_END => rejects::R_CHUNK,
            rejects::TRAILER => rejects::R_TRAILER,
            rejects::TRAILER_BYTES => rejects::R_TRAILER_BYTES,
            rejects::BODY_INCOMPLETE => rejects::R_INCOMPLETE,
            other if other.status < 500 => {
                Reject { status: 502, reason: "http_protocol_error", ..other }
            }
            other => other,
        }
    }
}
