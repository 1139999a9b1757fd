//! Base64 as credentials use it: strict, so that one value has one text.

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{
    GeneralPurpose, GeneralPurposeConfig, STANDARD_NO_PAD, URL_SAFE_NO_PAD,
};

/// The alphabet of `Authorization: Basic` (RFC 7617), its padding optional as clients differ.
const BASIC: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Decodes the text of `Authorization: Basic`.
pub(crate) fn basic(text: &[u8]) -> Option<Vec<u8>> {
    BASIC.decode(text).ok()
}

/// Decodes base64url without padding (RFC 7515 §2); bits that belong to no byte must be 0.
pub(crate) fn url(text: &[u8]) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// Encodes a salt or a hash as the PHC string format does.
pub(crate) fn phc(bytes: &[u8]) -> String {
    STANDARD_NO_PAD.encode(bytes)
}

/// Decodes a salt or a hash of the PHC string format.
pub(crate) fn from_phc(text: &str) -> Option<Vec<u8>> {
    STANDARD_NO_PAD.decode(text).ok()
}
