"""Lists what a line of nginx's JSON access log holds, and nginx's variable for each.

The keys are those of our own engine's lines (docs/reference/access-log.md) where the meaning is
the same. nginx counts time in seconds with three digits and writes a list where an upstream was
tried more than once, so times are `…_s` here, as text.
"""

from typing import Final

ROUTE_VARIABLE: Final = "hg_route"
"""Set by the renderer to the route's name; empty where none matched."""

UPSTREAM_VARIABLE: Final = "hg_upstream"
"""Set by the renderer to the upstream's name; empty where none was chosen."""

LISTENER_VARIABLE: Final = "hg_listener"
"""Set by the renderer to the listener's name."""

VARIABLES: Final[tuple[tuple[str, str], ...]] = (
    ("time", "time_iso8601"),
    ("request_id", "request_id"),
    ("client_ip", "remote_addr"),
    ("listener", LISTENER_VARIABLE),
    ("route", ROUTE_VARIABLE),
    ("upstream", UPSTREAM_VARIABLE),
    ("endpoint", "upstream_addr"),
    ("method", "request_method"),
    ("scheme", "scheme"),
    ("host", "http_host"),
    ("target", "request_uri"),
    ("protocol", "server_protocol"),
    ("status", "status"),
    ("bytes_in", "request_length"),
    ("bytes_out", "bytes_sent"),
    ("connect_s", "upstream_connect_time"),
    ("first_byte_s", "upstream_header_time"),
    ("upstream_s", "upstream_response_time"),
    ("upstream_status", "upstream_status"),
    ("total_s", "request_time"),
    ("user_agent", "http_user_agent"),
    ("referer", "http_referer"),
    ("tls_version", "ssl_protocol"),
    ("sni", "ssl_server_name"),
)
"""(key, variable); every value is written as a JSON string, since nginx may have none for it."""


def log_format() -> str:
    """Returns the format as `log_format … escape=json` takes it: one JSON object a line."""
    return "{" + ",".join(f'"{key}":"${variable}"' for key, variable in VARIABLES) + "}"
