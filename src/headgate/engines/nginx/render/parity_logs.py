"""Says how nginx differs for the keys of access logs: one line each."""

from typing import Final

from headgate.features.nginx import Parity

OUTLET: Final = (
    "tls.verify_name",
    "tls.ca_file",
    "tls.cert_file",
    "tls.key_file",
    "tls.min_version",
)
"""The keys of TLS towards a server that a node itself sends to."""
OTLP: Final = ("endpoint", *OUTLET, "service_name", "headers", "timeout")
"""The keys of a collector."""

LOGS: Final = (
    Parity(
        "node.access_log.format",
        "differs",
        "unknown values are empty or `null` instead of left out; times have three digits; "
        "`bytes_in` is the Content-Length, `bytes_out` counts the framing of chunks (HTTP/1.1); "
        "of TCP connections `time` is that of the end, and `reason` does not say who ended them; "
        "before nginx 1.17.6 it is `rate-limit` over a limit of requests in progress, too; "
        "in JSON a host, target, user agent or referer ends with U+FFFD at the first byte that is "
        "not UTF-8",
    ),
    Parity(
        "node.access_log.fields",
        "differs",
        "as with `format`; `reused`, `tries`, `client_san`, `client_spiffe`, `client_fingerprint`, "
        "`trace_id`, `span_id` and each `jwt:CLAIM` are refused, and so is a `header:NAME` with "
        "other characters than letters, digits and hyphens; before nginx 1.23 it is the first of "
        "several lines",
    ),
    Parity(
        "node.access_log.template",
        "differs",
        "times that are not known are `null`; the same variables are refused as with `fields`",
    ),
    Parity("node.access_log.sink.path", "same"),
    *(Parity(f"node.access_log.otlp.{key}", "no", "refused") for key in OTLP),
    Parity("node.access_log.sink.syslog", "differs", "RFC 3164 datagrams"),
    Parity(
        "node.redact_query",
        "differs",
        "with more than 6 such parameters, or one whose name has escapes, the whole query is "
        "hidden; nginx's error log has request lines as they came",
    ),
)
