//! Malformed messages (RFC 9113 §8.1.1): one constant per reason. What HTTP/1 refuses too is
//! in [`hg_proto::rejects`].

use hg_proto::Reject;

/// A fault of one message; a stream error, never one of the connection.
pub(crate) type Fault = &'static Reject;

/// Returns the error token of RFC 9209 §2.3.
const fn reason(status: u16) -> &'static str {
    match status {
        400 | 431 => "http_request_error",
        502 => "http_protocol_error",
        _ => "http_request_denied",
    }
}

macro_rules! fault_table {
    ($($name:ident = $status:literal $code:literal $detail:literal;)*) => {
        /// Every fault of a message.
        pub mod faults {
            use hg_proto::Reject;
            $(
                #[doc = $detail]
                pub const $name: &Reject = &Reject {
                    status: $status,
                    reason: super::reason($status),
                    code: $code,
                    detail: $detail,
                };
            )*
            /// Every fault, for counters and tests.
            pub const ALL: &[&Reject] = &[$($name),*];
        }
    };
}

fault_table! {
    FIELD_NAME = 400 "h2-field-name" "invalid field name";
    FIELD_VALUE = 400 "h2-field-value" "invalid field value";
    CONNECTION_FIELD = 400 "h2-connection-field" "field that belongs to HTTP/1 connections";
    TE = 400 "h2-te" "TE with a value other than trailers";
    PSEUDO_ORDER = 400 "h2-pseudo-order" "pseudo field after a field";
    PSEUDO_UNKNOWN = 400 "h2-pseudo-unknown" "pseudo field that is not allowed here";
    PSEUDO_REPEATED = 400 "h2-pseudo-repeated" "pseudo field that is repeated";
    PSEUDO_MISSING = 400 "h2-pseudo-missing" "pseudo field that is missing";
    METHOD = 400 "h2-method" "invalid :method";
    PATH = 400 "h2-path" "invalid :path";
    SCHEME_LISTENER = 400 "h2-scheme-listener" "the :scheme is https on a listener without TLS";
    SCHEME = 400 "h2-scheme" "the :scheme is neither http nor https";
    AUTHORITY = 400 "h2-authority" "the :authority is not a host";
    HOST_DIFFERS = 400 "h2-host-differs" "Host differs from :authority";
    HOST_REPEATED = 400 "h2-host-repeated" "more than one Host";
    HOST_MISSING = 400 "h2-host-missing" "neither :authority nor Host";
    CONTENT_LENGTH = 400 "h2-content-length" "invalid or differing Content-Length";
    CONTENT_LENGTH_BODY = 400 "h2-content-length-body" "the body differs from Content-Length";
    LOOKALIKE = 400 "h2-lookalike" "a field that others read as Content-Length or Transfer-Encoding";
    CONNECT = 405 "h2-connect" "CONNECT is not served";
    PROTOCOL = 501 "h2-protocol" "the :protocol is not websocket";
    HEAD_SIZE = 431 "h2-head-size" "head too large";
    STATUS = 502 "h2-status" "invalid :status";
    INTERIM = 502 "h2-interim" "invalid interim response";
    BODY_FORBIDDEN = 502 "h2-body-forbidden" "a body where the response cannot have one";
    TRAILER_END = 400 "h2-trailer-end" "trailers that do not end the stream";
}
