//! Middleware chains compiled from a plan; pure.
//!
//! Owns what each middleware does (one folder each, listed below), the templates in their values, and the order in which they apply: a host's before
//! its route's, requests in order, responses in reverse. A route's own `respond` or `redirect` is
//! the last step of its chain. Never reads a socket, a clock or a file.
//!
//! All that can be decided beforehand is: header edits of a whole chain are composed into two
//! [`HeaderProgram`]s, texts without variables are kept as the bytes that are sent. A request whose
//! chain has nothing to render costs a comparison; one that has reuses the buffers of its worker's
//! [`Rewritten`].
//!
//! Variables always describe the request as the client sent it, its path normalised, whatever an
//! earlier step of the chain rewrote.

#[cfg(test)]
mod access_testing;
mod accounts;
mod by_status;
mod chain;
mod claims;
mod context;
mod credential;
mod decoding;
mod encoding;
mod headers;
mod keep;
mod limit_answer;
mod limit_key;
mod limit_state;
mod notices;
mod pace;
mod pages;
mod patterns;
mod presumed;
mod refusals;
#[macro_use]
mod step;
mod subrequest;
mod target;
mod template;
#[cfg(test)]
mod testing;
mod variables;
mod view;

pub use accounts::ConnectionAccounts;
pub use bandwidth::ConnectionBandwidth;
pub use chain::{Chain, Problem, check};
pub use claims::Claims;
pub use context::{Brought, Context, Ended, Later, Place, Wait, Watch, Woken};
pub use decoding::{Codings, Decoding};
pub use encoding::{AnswerHead, Encoding, Verdict, is_outdated, says_no_transform, weak};
pub use headers::HeaderProgram;
pub use keep::{Keep, ResultCount, Results};
pub use notices::{Notice, Notices};
pub use pace::{BANDWIDTH_BYTES, BANDWIDTH_HELD, Pace, Paces};
pub use pages::{ChainPages, Page, Source};
pub use presumed::{REQUEST_ID, SNI, TLS_VERSION, UPSTREAM, presumed_in};
pub use step::Run;
pub use subrequest::{Answered, Failure, Seat, Subrequest, Target};
pub use template::Template;
pub use variables::VARIABLES;
pub use view::{Answer, Client, ClientTls, Outcome, RequestView, Rewritten, Stage};

middlewares! {
    rewrite => Rewrite,
    redirect => Redirect,
    request_headers => RequestHeaders,
    response_headers => ResponseHeaders,
    expires => Expires,
    respond => Respond,
    ip_access => IpAccess,
    client_certificate => ClientCertificate,
    cors => Cors,
    api_key => ApiKey,
    basic_auth => BasicAuth,
    jwt => Jwt,
    forward_auth => ForwardAuth,
    fault => Fault,
    compress => Compress,
    decompress => Decompress,
    error_pages => ErrorPages,
    rate_limit => RateLimit,
    concurrency_limit => ConcurrencyLimit,
    bandwidth => Bandwidth,
}
