"""Compiles listeners, hosts, upstreams, middlewares, certificates and policies into plan nodes."""

from collections.abc import Iterator

from headgate.compile.http2 import http2
from headgate.compile.pem import certificates, ocsp_response, private_key, revocations
from headgate.compile.reads import Reads
from headgate.compile.resolved import Ref, Resolved
from headgate.features.nodes import node_of
from headgate.kernel.diagnostics import ConfigPath
from headgate.model.adaptive import AdaptiveConcurrency
from headgate.model.agent import AgentCheck
from headgate.model.breaker import CircuitBreaker
from headgate.model.choice import Middleware
from headgate.model.cookie import CookieOptions
from headgate.model.health import HealthCheck, OutlierDetection
from headgate.model.host import Host
from headgate.model.listener import Listener, ListenerTls
from headgate.model.proxy_protocol import ProxyProtocol
from headgate.model.sent import Sent
from headgate.model.tls import BUILT_IN_POLICY, Certificate, ClientAuth, TlsPolicy
from headgate.model.upstream import Endpoint, Upstream, UpstreamTls
from headgate.plan import objects as plan
from headgate.plan.middleware import MiddlewareUse, Step


def listener(model: Listener, here: tuple[str, ...] = ()) -> Resolved:
    """Returns a listener; refers to its policy and default certificate. `here`: its addresses on
    this node, if the node has other ones.
    """
    out = Resolved()
    out.value = plan.Listener(
        addresses=here or tuple(dict.fromkeys(model.address)),
        protocol=model.protocol,
        tls=_listener_tls(model.tls, out) if model.tls else None,
        client_ip=plan.ClientIp(
            trusted=tuple(sorted(set(model.client_ip.trusted))),
            header="" if model.client_ip.header == "x-forwarded-for" else model.client_ip.header,
            proxy_protocol=_proxy_protocol(model.proxy_protocol),
        ),
        underscores_in_headers=model.underscores_in_headers,
        h2c=model.h2c,
        http2=http2(model.http2),
        backlog=model.backlog,
        fast_open=model.fast_open,
        max_connections=model.limits.connections,
        flows=model.limits.flows,
        head_bytes=model.limits.head.bytes,
        header_count=model.limits.headers,
        body_bytes=model.limits.body.bytes,
        keepalive_requests=model.limits.requests_per_connection,
        head_timeout_ms=model.timeouts.head.ms,
        idle_timeout_ms=model.timeouts.idle.ms,
        handshake_timeout_ms=model.timeouts.handshake.ms,
        detect_timeout_ms=model.detect.timeout.ms if model.detect is not None else 0,
        tcp_keepalive_ms=model.tcp_keepalive.ms,
    )
    return out


def _proxy_protocol(model: ProxyProtocol | None) -> plan.ProxyProtocol | None:
    if model is None:
        return None
    trusted = tuple(sorted(set(model.trusted)))
    return plan.ProxyProtocol(trusted, model.mode, model.timeout.ms)


def _listener_tls(model: ListenerTls, out: Resolved) -> plan.ListenerTls:
    if model.default_certificate is not None:
        path = ("tls", "default_certificate")
        out.refs.append(Ref("certificate", model.default_certificate, path))
    return plan.ListenerTls(
        policy=_policy(model.policy, ("tls", "policy"), out),
        default_certificate=model.default_certificate,
        unknown_sni=model.unknown_sni,
        strict_sni=model.strict_sni,
    )


def _policy(name: str | None, path: ConfigPath, out: Resolved) -> str | None:
    if name is None or name == BUILT_IN_POLICY:
        return None
    out.refs.append(Ref("tls_policy", name, path))
    return name


def host(model: Host) -> Resolved:
    """Returns a host; refers to its certificates, policy and middlewares."""
    out = Resolved()
    for index, name in enumerate(model.certificate):
        out.refs.append(Ref("certificate", name, ("certificate", index)))
    out.value = plan.Host(
        certificates=tuple(dict.fromkeys(model.certificate)),
        tls_policy=_policy(model.tls_policy, ("tls_policy",), out),
        allow_plain=model.allow_plain or None,
        middlewares=chain(model.middlewares, out),
    )
    return out


def chain(uses: list[str | Middleware], out: Resolved) -> tuple[MiddlewareUse, ...]:
    """Returns a chain of named and inline middlewares; the names are references."""
    if not uses:
        return ()
    nodes: list[MiddlewareUse] = []
    for index, use in enumerate(uses):
        if isinstance(use, str):
            out.refs.append(Ref("middleware", use, ("middlewares", index)))
            nodes.append(MiddlewareUse(use=use))
        else:
            node = use.to_use()
            out.refs += _asked(node, ("middlewares", index))
            nodes.append(node)
    return tuple(nodes)


def middleware(model: Middleware) -> Resolved:
    """Returns a named middleware; refers to the upstreams that it asks itself."""
    node = model.to_plan()
    return Resolved(value=node, refs=list(_asked(node, ())))


def _asked(step: Step, at: ConfigPath) -> Iterator[Ref]:
    node = node_of(step)
    for key, name in node.upstreams if node is not None else ():
        yield Ref("upstream", name, (*at, step.kind, key))


def upstream(model: Upstream, reads: Reads) -> Resolved:
    """Returns an upstream; refers to its client certificate, its roots are a blob."""
    out = Resolved()
    out.value = plan.Upstream(
        endpoints=tuple(_endpoint(endpoint) for endpoint in model.endpoints),
        balance=model.balance.to_plan(),
        affinity=cookie(model.affinity.cookie, model.affinity) if model.affinity else None,
        host_header=_host_header(model.host_header),
        tls=_upstream_tls(model.tls, reads, out) if model.tls else None,
        protocol=model.protocol,
        connect_timeout_ms=model.timeouts.connect.ms,
        pool=plan.Pool(
            max_idle=model.pool.max_idle,
            idle_timeout_ms=model.pool.idle_timeout.ms,
            max_age_ms=model.pool.max_age.ms,
            proxy_protocol=model.proxy_protocol,
        ),
        max_connections=model.limits.connections,
        queue=model.limits.queue,
        queue_timeout_ms=model.timeouts.queue.ms,
        head_bytes=model.limits.head.bytes,
        health=plan.Health(
            concurrency=_adaptive(model.adaptive_concurrency),
            check=_health_check(model.health_check) if model.health_check else None,
            agent=_agent(model.agent_check),
            outliers=_outliers(model.outlier_detection) if model.outlier_detection else None,
            breaker=_breaker(model.circuit_breaker) if model.circuit_breaker else None,
            panic_threshold=model.panic_threshold,
            slow_start_ms=model.slow_start.ms,
            slow_start_floor=model.slow_start_floor,
        ),
    )
    return out


def cookie(name: str, model: CookieOptions) -> plan.Affinity:
    """Returns a cookie of this name."""
    return plan.Affinity(
        cookie=name,
        max_age_s=model.ttl.ms // 1000,
        path=model.path,
        same_site=model.same_site,
        secure={"auto": None, "always": True, "never": False}[model.secure],
        http_only=model.http_only,
        keys=tuple(model.keys),
    )


def _adaptive(model: AdaptiveConcurrency | None) -> plan.AdaptiveConcurrency | None:
    if model is None:
        return None
    return plan.AdaptiveConcurrency(initial=model.initial, min=model.min, max=model.max)


def _agent(model: AgentCheck | None) -> plan.AgentCheck | None:
    if model is None:
        return None
    return plan.AgentCheck(
        port=model.port,
        send=model.send,
        interval_ms=model.interval.ms,
        timeout_ms=model.timeout.ms,
    )


def _outliers(model: OutlierDetection) -> plan.OutlierDetection:
    return plan.OutlierDetection(
        consecutive_5xx=model.consecutive_5xx,
        consecutive_gateway=model.consecutive_gateway,
        consecutive_local=model.consecutive_local,
        shares=plan.OutlierShares(
            failure_percent=model.failure_percent,
            failure_requests=model.failure_requests,
            success_rate_deviation=round(model.success_rate_deviation * 1000),
            success_rate_endpoints=model.success_rate_endpoints,
            success_rate_requests=model.success_rate_requests,
            window_s=-(-model.window.ms // 1000),
        ),
        ejection_ms=model.ejection.ms,
        max_ejection_ms=model.max_ejection.ms,
        max_ejected=model.max_ejected,
        enforce_percent=model.enforce,
    )


def _breaker(model: CircuitBreaker) -> plan.CircuitBreaker:
    return plan.CircuitBreaker(
        per=model.per,
        failures=model.failures,
        open_ms=model.open_for.ms,
        successes=model.successes,
        probes=model.probes,
        error_percent=model.error_percent,
        slow_percent=model.slow_percent,
        slow_ms=model.slow_after.ms,
        requests=model.requests,
        window_s=-(-model.window.ms // 1000),
    )


def _health_check(model: HealthCheck) -> plan.HealthCheck:
    http = None
    if model.protocol == "http":
        http = plan.HttpCheck(
            path=model.path,
            method=model.method,
            host=model.host,
            headers=model.headers,
            statuses=model.ranges(),
            body=model.body,
        )
    grpc = None
    if model.protocol == "grpc":
        grpc = plan.GrpcCheck(service=model.service, host=model.host)
    return plan.HealthCheck(
        http=http,
        grpc=grpc,
        bytes=_bytes_check(model),
        interval_ms=model.interval.ms,
        timeout_ms=model.timeout.ms,
        fast_interval_ms=model.fast_interval.ms,
        max_interval_ms=model.max_interval.ms,
        healthy=model.healthy,
        unhealthy=model.unhealthy,
    )


def _bytes_check(model: HealthCheck) -> plan.BytesCheck | None:
    if model.send is None and model.expect is None:
        return None
    sent = model.send or Sent("")
    return plan.BytesCheck(
        is_datagram=model.protocol == "udp",
        send=sent.digits,
        is_secret=sent.is_secret,
        expect=model.expect.to_plan() if model.expect else None,
    )


def _endpoint(model: Endpoint) -> plan.Endpoint:
    return plan.Endpoint(
        address=model.address,
        weight=model.weight,
        backup=model.backup,
        max_connections=model.max_connections,
        zone=model.zone,
        labels=model.labels,
    )


def _host_header(text: str) -> plan.HostHeader:
    if text == "pass":
        return "pass"
    return "endpoint" if text == "endpoint" else plan.HostLiteral(literal=text)


def _upstream_tls(model: UpstreamTls, reads: Reads, out: Resolved) -> plan.UpstreamTls:
    ca_file = model.ca_file
    ca = None
    if ca_file is not None:
        ca = out.attempt(("tls", "ca_file"), lambda: reads.blob(ca_file, certificates))
    if model.client_certificate is not None:
        path = ("tls", "client_certificate")
        out.refs.append(Ref("certificate", model.client_certificate, path))
    out.blobs += [ca] if ca else []
    return plan.UpstreamTls(
        verify=model.verify,
        verify_name=model.verify_name,
        sni=model.sni,
        ca=ca,
        client_certificate=model.client_certificate,
        min_version=model.min_version,
    )


def certificate(model: Certificate, reads: Reads) -> Resolved:
    """Returns a key pair; every part is a blob."""
    out = Resolved()
    cert = out.attempt(("cert_file",), lambda: reads.blob(model.cert_file, certificates))
    key = out.attempt(("key_file",), lambda: reads.blob(model.key_file, private_key))
    ocsp_file, ocsp = model.ocsp_file, None
    if ocsp_file is not None:
        ocsp = out.attempt(("ocsp_file",), lambda: reads.blob(ocsp_file, ocsp_response))
    if cert is not None and key is not None:
        out.blobs = [cert, key] + ([ocsp] if ocsp else [])
        out.value = plan.Certificate(cert=cert, key=key, ocsp=ocsp)
    return out


def tls_policy(model: TlsPolicy, reads: Reads) -> Resolved:
    """Returns a policy; the roots of clients are a blob."""
    out = Resolved()
    auth = None
    if model.client_auth is not None:
        auth = _client_auth(model.client_auth, reads, out)
        if auth is None:
            return out
    out.value = plan.TlsPolicy(
        min_version=model.min_version,
        max_version=model.max_version,
        cipher_suites=tuple(model.cipher_suites or ()),
        groups=tuple(model.groups or ()),
        alpn=tuple(model.alpn or ()),
        client_auth=auth,
        tickets=model.tickets,
    )
    return out


def _client_auth(model: ClientAuth, reads: Reads, out: Resolved) -> plan.ClientAuth | None:
    ca_file, crl_file = model.ca_file, model.crl_file
    ca = out.attempt(("client_auth", "ca_file"), lambda: reads.blob(ca_file, certificates))
    crl = None
    if crl_file is not None:
        path = ("client_auth", "crl_file")
        crl = out.attempt(path, lambda: reads.blob(crl_file, revocations))
        if crl is None:
            return None
    if ca is None:
        return None
    out.blobs = [ca, crl] if crl else [ca]
    return plan.ClientAuth(ca=ca, crl=crl, required=model.required)
