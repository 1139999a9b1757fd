"""Cases of public suites for HTTP/2, as data: what each client sends, and what must come of it.

The suites need programs that a test cannot start, so their cases stand here in words and bytes
of our own. `docs/internals/http2-suites.md` shows them as tables.
"""

from http2_suites import (
    envoy,
    h2csmuggler,
    haproxy,
    nginx_calls,
    nginx_fields,
    nginx_host,
    smuggler,
)
from http2_suites.case import Suite

SUITES: tuple[Suite, ...] = (
    *haproxy.SUITES,
    *nginx_host.SUITES,
    *nginx_fields.SUITES,
    *nginx_calls.SUITES,
    *smuggler.SUITES,
    *h2csmuggler.SUITES,
    *envoy.SUITES,
)
