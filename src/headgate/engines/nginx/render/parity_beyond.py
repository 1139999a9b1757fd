"""The differences of nginx that belong to no key of a config."""

from typing import Final

BEYOND_KEYS: Final = (
    "Header lines whose name has other characters than letters, digits and hyphens are dropped "
    "without being counted; the native engine drops and counts those with `_`. In mode `guest` the "
    "default server of a shared address decides: there `underscores_in_headers` must be off.",
    "`OPTIONS *` gets 400.",
    "An HTTP/1.0 or 1.1 request that is malformed gets nginx's own page, without `Proxy-Status`.",
    "Of an HTTP/1.0 request without Host, the upstream's name is forwarded as Host; the native "
    "engine forwards the endpoint's address.",
    "A Host with an encoded letter, digit, `-`, `.`, `_` or `~` gets 400; the native engine reads "
    "the octet. A comma in a Host is forwarded as it is in `X-Forwarded-Host`.",
    "Chunk extensions are dropped without being checked, and an upstream's interim answers are not "
    "limited in number.",
    "Header fields that `Connection` names are forwarded, save those that always belong to a hop.",
    "Of the headers that tell who a client is, from peers that are not trusted, those in use are "
    "removed, and matches and templates see none that the config names; other names that begin so "
    "(`X-Forwarded-…`) are forwarded.",
    "In `${header:NAME}` nginx before 1.23 has the first line of a repeated header alone, save of "
    "`Cookie` and `X-Forwarded-For`.",
    "A path that is not in normal form may have 40 escapes that are not, and 8 dot segments or "
    "double slashes beside such escapes; otherwise it gets 400.",
    "Characters of a query that RFC 3986 forbids are sent back as they came in redirects.",
    "An own answer has `Server: nginx`, a redirect nginx's page as its body, and a connection that "
    "lives on is said to (`Connection: keep-alive`).",
    "Without a usable endpoint the answer is 502 where an upstream has endpoints, else 503.",
    "Endpoints that checks or orders take out are left out by a reload of nginx, or without one "
    'where `node.nginx.endpoints = "lua"` has them; checks use half of `reloads_per_minute` at '
    "most. Equal checks of several upstreams are not shared.",
    "Retries: an idempotent request whose connection fails before an answer goes to the next "
    "endpoint.",
    "Own errors have the response headers of their route save `content-type`; 413 has them without "
    "what a service that was asked said, and a route without any is not in the log of a 413.",
    "A word of a config (a path, an expression, a name, a text) has at most 4,000 bytes; a longer "
    "one is refused.",
    "In the access log `first_byte_us` begins when nginx turns to the endpoint, `connect_us` is 0 "
    "where a connection of the pool was taken, and neither `reused` nor `tries` is known.",
    "`X-Accel-…` headers of upstreams have no meaning and are passed on.",
    "HTTP/2: fields of an HTTP/1.1 connection (`Connection`, `Upgrade`) are dropped, where the "
    "native engine refuses the request; a head that is too large ends its connection; floods end "
    "by nginx's own rules, and there are no `headgate_http2_…` metrics; priorities of RFC 9218 "
    "have no effect, trailers are not passed on, and WebSockets take a connection of HTTP/1.1.",
)
"""Each is an entry of its own on the parity page."""
