"""Says how nginx differs for the config keys that belong to no feature: one line each.

`docs/reference/parity.md` comes from these lines, each feature's `nginx.py` and the scenarios that
nginx cannot meet.
"""

from typing import Final

from headgate.engines.nginx.common.retries import UNLIMITED
from headgate.engines.nginx.render import parity_streams
from headgate.engines.nginx.render.parity_logs import LOGS, OTLP, OUTLET
from headgate.features import nginx_registry
from headgate.features.nginx import Parity

_NO_QUEUE: Final = "nginx has no queue"
_CHECKS: Final = "the node's own; refused for names that nginx resolves itself"
_OUTLIERS: Final = (
    "the node's own, from the access log: requests count when they have ended, a break within the "
    "body of an answer is not seen, and after an ejection an endpoint gets its share of requests "
    "until the first has ended; refused for names that nginx resolves itself"
)
_BREAKER: Final = (
    "the node's own, from the access log: requests count when they have ended, an endpoint whose "
    "breaker is open is left out, and without any other the answer has no `Retry-After`; refused "
    "for names that nginx resolves itself"
)
_ONE_TIME: Final = (
    "nginx has one time for the first byte and between two: the shorter one is both, except that "
    "the default of `first_byte` is not held where `stream_idle` is longer"
)
_BUDGET: Final = (
    f"anything but the default is refused, except `per_second` from {UNLIMITED} on, which no node "
    "gets to; nginx has no budget"
)

_SHEDDING: Final = ("memory", "queued", "lag", "strained", "critical")
_TRACING: Final = (*OTLP, "sample", "parents")
_LIMIT_STORE: Final = (
    "url",
    *OUTLET,
    "nodes",
    "username",
    "password.file",
    "prefix",
    "timeout",
)

_NODE: Final = (
    Parity("node.log_level", "same", "of the error log; `info` is nginx's `notice`"),
    *LOGS,
    Parity("node.limits.connections", "differs", "per worker; listeners and endpoints count, too"),
    Parity(
        "node.limits.connections_per_client",
        "differs",
        "connections with a request in flight are counted, and each request of HTTP/2; above the "
        "limit requests get 503; those of TCP are counted apart",
    ),
    *(Parity(f"node.shedding.{key}", "no", "refused") for key in _SHEDDING),
    *(Parity(f"node.tracing.{key}", "no", "refused") for key in _TRACING),
    *(Parity(f"node.limit_store.{key}", "no", "refused") for key in _LIMIT_STORE),
    Parity(
        "node.drain.delay", "no", "nginx closes its listeners as soon as it gets the signal to stop"
    ),
    Parity("node.drain.idle_grace", "no", "idle connections are closed at once"),
    Parity("node.drain.deadline", "differs", "60 s after a reload (`worker_shutdown_timeout`)"),
    Parity(
        "node.resolver.servers",
        "differs",
        "the system resolves names when a config is applied and every 30 s, and other addresses "
        "are a reload; with servers given and an nginx that has `resolve`, nginx does, whenever "
        "their time is over",
    ),
    Parity("node.resolver.min_ttl", "no", "the answer's own time counts"),
    Parity("node.resolver.max_ttl", "no", "the answer's own time counts"),
    Parity("node.resolver.timeout", "differs", "with `resolve` only"),
    Parity("node.workers", "same", "worker processes"),
    Parity("node.user", "no", "`node.nginx.user` is that of nginx's workers"),
    Parity("node.admin", "same", "the node's own"),
    Parity("node.admin_token.file", "same", "the node's own"),
    Parity("node.listener_addresses", "same"),
    Parity("node.allow_empty", "same", "the node's own"),
    Parity("node.metrics", "same", "the node's own"),
    Parity("node.latency_buckets", "differs", "nginx counts whole milliseconds"),
    Parity("node.state_dir", "same", "the node's own"),
)
_LISTENERS: Final = (
    Parity("listeners.NAME.address", "same"),
    Parity(
        "listeners.NAME.protocol",
        "differs",
        "`tcp` takes nginx's `stream` with `proxy_half_close`, and mode `full`; a reset, and a cut "
        "by nginx, reach the other side as an end of stream; connections older than a reload are "
        "cut after `node.nginx.shutdown_timeout`; `udp` takes `stream`, too, and a reload ends its "
        "flows: an answer that is under way then is lost, and a client's next datagram begins "
        "another flow",
    ),
    Parity("listeners.NAME.default", "same"),
    Parity("listeners.NAME.detect.timeout", "no", "`detect` is refused: a port has one protocol"),
    Parity(
        "listeners.NAME.tls.mode",
        "differs",
        "a TCP listener with TLS ends a connection as soon as one side has ended its half; without "
        "a certificate for the name its alert is `internal_error`; certificates are read anew for "
        "each handshake",
    ),
    Parity(
        "listeners.NAME.tls.policy",
        "differs",
        "policies that names of one listener get must agree in versions, suites, groups and ALPN, "
        "which nginx negotiates before it knows the name; where they differ otherwise tickets are "
        "off, and those of a TCP listener must agree in everything",
    ),
    Parity("listeners.NAME.tls.default_certificate", "same"),
    Parity(
        "listeners.NAME.tls.unknown_sni",
        "differs",
        "no name gets `unrecognized_name`, too; an SNI that is no name gets no alert, at most 421",
    ),
    Parity(
        "listeners.NAME.tls.strict_sni", "no", "refused: nginx compares no host with a certificate"
    ),
    Parity("listeners.NAME.client_ip.trusted", "same"),
    Parity(
        "listeners.NAME.client_ip.header",
        "differs",
        "`forwarded` is refused; of several lines of `X-Real-IP` the first counts, not the last",
    ),
    Parity(
        "listeners.NAME.proxy_protocol.mode",
        "differs",
        "`optional` is refused; so are mode `guest` and headers in front of datagrams",
    ),
    Parity(
        "listeners.NAME.proxy_protocol.trusted",
        "differs",
        "the requests of other peers get no answer, after a handshake if there is TLS, and their "
        "connections over TCP no route, once they have sent a header; checksums are not verified; "
        "refused beside `client_ip.trusted`",
    ),
    Parity(
        "listeners.NAME.proxy_protocol.timeout",
        "differs",
        "for TCP its own; else the time of `timeouts.head`, and anything but that and the default "
        "is refused",
    ),
    Parity("listeners.NAME.limits.connections", "differs", "of TCP only; refused for HTTP"),
    Parity(
        "listeners.NAME.limits.flows",
        "differs",
        "at most 65535; no quiet flow makes room: the datagrams of newcomers are dropped; each "
        "flow takes two of `node.limits.connections`, of its worker",
    ),
    Parity("listeners.NAME.limits.head", "differs", "up to 1 KiB more"),
    Parity("listeners.NAME.limits.headers", "differs", "refused by an nginx without `max_headers`"),
    Parity("listeners.NAME.limits.body", "same"),
    Parity("listeners.NAME.limits.requests_per_connection", "same"),
    Parity("listeners.NAME.timeouts.head", "differs", "the connection is closed without an answer"),
    Parity("listeners.NAME.timeouts.idle", "same"),
    Parity(
        "listeners.NAME.timeouts.handshake",
        "differs",
        "must be that of `head`, or its default; for TCP the time for the ClientHello",
    ),
    Parity(
        "listeners.NAME.underscores_in_headers",
        "no",
        "refused: nginx cannot remove what strangers tell of the client in every spelling then",
    ),
    Parity(
        "listeners.NAME.h2c",
        "differs",
        "refused before nginx 1.25.1, which would serve nothing but HTTP/2 there",
    ),
    Parity(
        "listeners.NAME.http2.streams",
        "differs",
        "`http2_max_concurrent_streams`; an nginx without HTTP/2 needs none",
    ),
    *(
        Parity(f"listeners.NAME.http2.{key}", "no", "anything but the default is refused")
        for key in (
            *("dispatched", "bodies", "header_list", "continuations"),
            *("windows.initial", "windows.max", "windows.connection"),
            *("output.frames", "output.control_frames", "output.answers"),
            *("budgets.resets", "budgets.reset_wait", "budgets.settings", "budgets.pings"),
            *("budgets.priorities", "budgets.other_frames", "budgets.small_data"),
            *("budgets.small_messages", "budgets.empty_data", "budgets.window_updates"),
            *("budgets.work", "timeouts.settings", "timeouts.idle", "timeouts.write"),
            *("timeouts.drain", "timeouts.ping_after", "timeouts.ping"),
        )
    ),
    Parity("listeners.NAME.backlog", "same"),
    Parity(
        "listeners.NAME.fast_open",
        "differs",
        "an nginx built without it is refused; one that has it on keeps it on until its next start",
    ),
    Parity("listeners.NAME.tcp_keepalive", "same", "in whole seconds"),
)
_ROUTES: Final = (
    Parity("hosts.NAME.certificate", "same"),
    Parity("hosts.NAME.tls_policy", "differs", "see `listeners.NAME.tls.policy`"),
    Parity("hosts.NAME.allow_plain", "same"),
    Parity("hosts.NAME.middlewares", "same"),
    Parity(
        "routes.NAME.hosts", "differs", "an IPv6 host that is not in its shortest form is not found"
    ),
    Parity("routes.NAME.listeners", "same"),
    Parity("routes.NAME.priority", "same"),
    Parity("routes.NAME.middlewares", "same"),
    Parity("routes.NAME.upstream", "same"),
    Parity("routes.NAME.not_imported", "same"),
    Parity("routes.NAME.split[].upstream", "same"),
    Parity("routes.NAME.split[].weight", "differs", "in steps of 0.01 %"),
    Parity(
        "routes.NAME.sticky.by",
        "differs",
        "by `split_clients`: of weights that change, more clients move than need to, and routes "
        "with equal keys and shares send a client to the same branch",
    ),
    *(
        Parity(f"routes.NAME.sticky.{key}", "no", "refused: nginx signs no cookies")
        for key in ("cookie", "ttl", "path", "same_site", "secure", "http_only", "keys[].file")
    ),
    Parity(
        "routes.NAME.mirror[].upstream",
        "differs",
        "the next request on the client's connection over HTTP/1 waits until the copies have "
        "ended; of the answer only the head is read; no counts",
    ),
    Parity(
        "routes.NAME.mirror[].percent", "differs", "by chance (`split_clients`), not of each block"
    ),
    Parity(
        "routes.NAME.mirror[].max_body",
        "differs",
        "nginx reads the body of every request of the route, whatever its size, before it asks the "
        "upstream",
    ),
    Parity(
        "routes.NAME.mirror[].timeout", "differs", "for each step of a copy: connect, send, head"
    ),
    Parity(
        "routes.NAME.mirror[].max_in_flight", "no", "no limit; anything but the default is refused"
    ),
    Parity(
        "routes.NAME.timeouts.request",
        "no",
        "refused; a config from the environment has none unless `PROXY_REQUEST_TIMEOUT_MS` is set",
    ),
    Parity("routes.NAME.timeouts.per_try", "differs", "counted anew with every read"),
    Parity(
        "routes.NAME.timeouts.body",
        "differs",
        "the time between two reads (`client_body_timeout`), whatever the rate; the connection is "
        "closed without an answer",
    ),
    Parity("routes.NAME.timeouts.first_byte", "differs", _ONE_TIME),
    Parity("routes.NAME.timeouts.stream_idle", "differs", _ONE_TIME),
    Parity(
        "routes.NAME.retry.retries",
        "differs",
        "endpoints that cannot be connected to count; without a budget, and never at the endpoint "
        "just tried; a body without a `Content-Length` is kept only if it came with its head, and "
        "one that is collected for `limits.body_buffer` or a mirror whatever its size",
    ),
    Parity(
        "routes.NAME.retry.on",
        "differs",
        "`reset` always counts; `5xx`, codes of gRPC, and statuses other than 403, 404, 429, 500, "
        "502, 503 and 504 are refused",
    ),
    Parity("routes.NAME.retry.methods", "differs", "a list is refused"),
    *(
        Parity(f"routes.NAME.retry.{key}", "no", "anything but the default is refused")
        for key in ("backoff.base", "backoff.factor", "backoff.max", "backoff.jitter")
    ),
    *(
        Parity(f"routes.NAME.retry.budget.{key}", "differs", _BUDGET)
        for key in ("percent", "per_second")
    ),
    Parity("routes.NAME.retry.hedge.after", "no", "refused"),
    Parity("routes.NAME.limits.body", "same"),
    Parity("routes.NAME.limits.body_rate", "no", "nginx knows no rate of request bodies"),
    Parity(
        "routes.NAME.limits.body_buffer",
        "differs",
        "larger bodies are collected too, in a file (`proxy_request_buffering`)",
    ),
    Parity(
        "routes.NAME.limits.response_buffer",
        "differs",
        "`proxy_buffers`: nginx fills a buffer before it sends, so that events come late",
    ),
    Parity("routes.NAME.forward_path", "same"),
    *(
        Parity(f"routes.NAME.access_log.{key}", "same")
        for key in ("share", "statuses", "slower_than")
    ),
    Parity("routes.NAME.tracing", "no", "nginx makes no traces; their headers pass untouched"),
    Parity("routes.NAME.importance", "no", "nginx refuses no requests for what it has to do"),
    Parity(
        "routes.NAME.websocket",
        "differs",
        "a malformed handshake is forwarded as an ordinary request; the upstream's accept key is "
        "not compared",
    ),
)
_UPSTREAMS: Final = (
    Parity(
        "upstreams.NAME.endpoints[].address",
        "differs",
        "each address of a name is an endpoint with the endpoint's weight, also where it has one "
        "of each family; when names are resolved: see `node.resolver.servers`; one that does not "
        "resolve keeps nginx from starting",
    ),
    Parity("upstreams.NAME.endpoints[].weight", "same"),
    Parity("upstreams.NAME.endpoints[].backup", "differs", "beside some balancers refused"),
    Parity(
        "upstreams.NAME.endpoints[].max_connections",
        "differs",
        f"{_NO_QUEUE}; each address of a name has the limit for itself",
    ),
    Parity("upstreams.NAME.endpoints[].zone", "same", "means nothing yet"),
    Parity("upstreams.NAME.endpoints[].labels", "same", "means nothing yet"),
    Parity("upstreams.NAME.host_header", "differs", "`endpoint` is refused for several endpoints"),
    Parity("upstreams.NAME.protocol", "no", "HTTP/1.1; anything else is refused"),
    Parity(
        "upstreams.NAME.proxy_protocol",
        "differs",
        "`v1` for TCP routes, which must agree in it where they share a listener, and tell of the "
        "address that nginx was reached at; else refused, as for UDP routes",
    ),
    Parity("upstreams.NAME.tls.verify", "same"),
    Parity(
        "upstreams.NAME.tls.verify_name",
        "differs",
        "must be given where endpoints are addresses or have different names",
    ),
    Parity("upstreams.NAME.tls.sni", "differs", "without a `verify_name` only for one host"),
    Parity("upstreams.NAME.tls.ca_file", "same"),
    Parity("upstreams.NAME.tls.client_certificate", "same"),
    Parity("upstreams.NAME.tls.min_version", "same"),
    Parity(
        "upstreams.NAME.pool.max_idle",
        "differs",
        "of all endpoints of an upstream together; the default is 32 for each endpoint, for 16 of "
        "them where endpoints change without a reload",
    ),
    Parity("upstreams.NAME.pool.idle_timeout", "same"),
    Parity("upstreams.NAME.pool.max_age", "same"),
    Parity("upstreams.NAME.limits.connections", "differs", "refused for several endpoints"),
    Parity(
        "upstreams.NAME.limits.queue",
        "no",
        _NO_QUEUE + "; anything but 0 and the default is refused",
    ),
    Parity("upstreams.NAME.limits.head", "same"),
    Parity("upstreams.NAME.timeouts.connect", "differs", "for each endpoint that is tried"),
    Parity(
        "upstreams.NAME.health_check.protocol",
        "differs",
        f"{_CHECKS}; `grpc` is refused with the HTTP/2 of the upstream that it needs, `udp` with "
        "`proxy_protocol`",
    ),
    Parity("upstreams.NAME.health_check.service", "no", "only for a check by `grpc`"),
    *(
        Parity(f"upstreams.NAME.health_check.{key}", "same", _CHECKS)
        for key in (
            *("path", "method", "host", "headers", "statuses", "body", "send"),
            *("expect.exact", "expect.prefix", "expect.contains", "expect.regex"),
            *("interval", "timeout", "fast_interval", "max_interval", "healthy", "unhealthy"),
        )
    ),
    *(
        Parity(f"upstreams.NAME.outlier_detection.{key}", "differs", _OUTLIERS)
        for key in (
            *("consecutive_5xx", "consecutive_gateway", "consecutive_local", "failure_percent"),
            *("failure_requests", "success_rate_deviation", "success_rate_endpoints"),
            *("success_rate_requests", "window", "ejection", "max_ejection", "max_ejected"),
            "enforce",
        )
    ),
    *(
        Parity(f"upstreams.NAME.circuit_breaker.{key}", "differs", _BREAKER)
        for key in (
            *("failures", "open_for", "successes", "error_percent"),
            *("slow_percent", "slow_after", "requests", "window"),
        )
    ),
    Parity(
        "upstreams.NAME.circuit_breaker.probes",
        "no",
        "a half-open endpoint gets its share of requests",
    ),
    Parity(
        "upstreams.NAME.circuit_breaker.per",
        "differs",
        "`upstream` is refused: nginx has no breaker of all endpoints together",
    ),
    *(
        Parity(f"upstreams.NAME.adaptive_concurrency.{key}", "no", "refused")
        for key in ("initial", "min", "max")
    ),
    *(
        Parity(f"upstreams.NAME.affinity.{key}", "no", "refused; `balance` can hash a cookie")
        for key in ("cookie", "ttl", "path", "same_site", "secure", "http_only", "keys[].file")
    ),
    *(
        Parity(f"upstreams.NAME.agent_check.{key}", "no", "refused")
        for key in ("port", "send", "interval", "timeout")
    ),
    Parity("upstreams.NAME.slow_start", "no", "refused"),
    Parity("upstreams.NAME.slow_start_floor", "no", "`slow_start` is refused"),
    Parity("upstreams.NAME.panic_threshold", "same", "the node's own"),
    Parity(
        "upstreams.NAME.timeouts.queue", "no", _NO_QUEUE + "; anything but the default is refused"
    ),
)
_TLS: Final = (
    Parity("certificates.NAME.cert_file", "same"),
    Parity("certificates.NAME.key_file", "same"),
    Parity(
        "certificates.NAME.ocsp_file",
        "differs",
        "only where a name has one certificate, and not on TCP listeners",
    ),
    Parity("tls_policies.NAME.min_version", "same"),
    Parity("tls_policies.NAME.max_version", "same"),
    Parity("tls_policies.NAME.cipher_suites", "same"),
    Parity(
        "tls_policies.NAME.groups",
        "differs",
        "`x25519mlkem768` is left out where nginx's OpenSSL does not have it",
    ),
    Parity(
        "tls_policies.NAME.alpn",
        "differs",
        "for HTTP refused if it has `h2` but not `http/1.1`, or `http/1.1` first: nginx offers "
        "both, `h2` first; an nginx without HTTP/2 gives clients HTTP/1.1, and one before 1.25.1 "
        "does in mode `guest`, since it has HTTP/2 for whole addresses",
    ),
    Parity("tls_policies.NAME.client_auth.ca_file", "same"),
    Parity("tls_policies.NAME.client_auth.crl_file", "differs", "lists of version 1, too"),
    Parity(
        "tls_policies.NAME.client_auth.required",
        "differs",
        "a client without a good certificate gets 400, not an alert or (for an unknown SNI) 421; "
        "on a TCP listener its connection ends after the handshake",
    ),
    Parity("tls_policies.NAME.tickets", "differs", "off where policies of one listener differ"),
)

PARITY: Final[tuple[Parity, ...]] = (
    *_NODE,
    *_LISTENERS,
    *_ROUTES,
    *parity_streams.PARITY,
    *_UPSTREAMS,
    *_TLS,
    *nginx_registry.PARITY,
)
"""Every key that has a value of its own."""
