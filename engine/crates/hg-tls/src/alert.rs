//! Alert descriptions that we send ourselves (RFC 8446 §6) and their plain form.

pub(crate) const CLOSE_NOTIFY: u8 = 0;
pub(crate) const UNEXPECTED_MESSAGE: u8 = 10;
pub(crate) const BAD_RECORD_MAC: u8 = 20;
pub(crate) const RECORD_OVERFLOW: u8 = 22;
pub(crate) const BAD_CERTIFICATE: u8 = 42;
pub(crate) const CERTIFICATE_EXPIRED: u8 = 45;
pub(crate) const ILLEGAL_PARAMETER: u8 = 47;
pub(crate) const DECODE_ERROR: u8 = 50;
pub(crate) const INTERNAL_ERROR: u8 = 80;
pub(crate) const USER_CANCELED: u8 = 90;
pub(crate) const NO_RENEGOTIATION: u8 = 100;
pub(crate) const MISSING_EXTENSION: u8 = 109;
pub(crate) const UNRECOGNIZED_NAME: u8 = 112;

pub(crate) const WARNING: u8 = 1;
pub(crate) const FATAL: u8 = 2;

/// Appends a fatal alert in a record of its own, unprotected.
pub(crate) fn write_plain(out: &mut Vec<u8>, description: u8) {
    out.extend_from_slice(&[crate::record::content::ALERT, 3, 3, 0, 2, FATAL, description]);
}

/// Returns what an alert of ours means, for logs.
pub(crate) fn meaning(description: u8) -> &'static str {
    match description {
        UNEXPECTED_MESSAGE => "the peer sent a message that may not come now",
        BAD_RECORD_MAC => "a record could not be decrypted",
        RECORD_OVERFLOW => "a record is too long",
        BAD_CERTIFICATE => "the client certificate of the resumed session is not accepted any more",
        CERTIFICATE_EXPIRED => "the client certificate of the resumed session has expired",
        ILLEGAL_PARAMETER => "a message holds a value that is not allowed",
        DECODE_ERROR => "a message could not be parsed",
        _ => "internal error",
    }
}
