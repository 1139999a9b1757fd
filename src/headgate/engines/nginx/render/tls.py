"""Renders the TLS directives of a server:
certificates in the release, the policy in OpenSSL's words.
"""

from typing import Final

from headgate.engines.nginx.render import names
from headgate.engines.nginx.render.context import Context
from headgate.engines.nginx.render.tlsnames import BUILT_IN, Offer
from headgate.nginxtext.tree import Node
from headgate.nginxtext.writer import FilePath, Literal, Word, comment, directive
from headgate.plan.objects import TlsPolicy

_VERSIONS: Final = {"1.2": "TLSv1.2", "1.3": "TLSv1.3"}

_SUITES_13: Final = {
    "TLS13_AES_256_GCM_SHA384": "TLS_AES_256_GCM_SHA384",
    "TLS13_AES_128_GCM_SHA256": "TLS_AES_128_GCM_SHA256",
    "TLS13_CHACHA20_POLY1305_SHA256": "TLS_CHACHA20_POLY1305_SHA256",
}
_SUITES_12: Final = {
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
}
_ORDER: Final = (
    "TLS13_AES_128_GCM_SHA256",
    "TLS13_AES_256_GCM_SHA384",
    "TLS13_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
)
"""The core's own order, which an empty list of a policy stands for."""

_CURVES: Final = {
    "x25519mlkem768": "X25519MLKEM768",
    "x25519": "X25519",
    "secp256r1": "prime256v1",
    "secp384r1": "secp384r1",
}
_HYBRID: Final = "x25519mlkem768"
_DEPTH: Final = 10


def policy_of(ctx: Context, offer: Offer) -> TlsPolicy:
    """Returns the policy of an offer; the built-in one has the defaults."""
    return TlsPolicy() if offer.policy == BUILT_IN else ctx.policies[offer.policy]


def server(ctx: Context, offer: Offer, *, is_alone: bool) -> list[Node]:
    """Returns the directives of a server on a TLS listener.

    `is_alone`: every server of its listeners has this policy, so that clients may resume sessions;
    otherwise they could resume one under another policy (CVE-2025-23419).
    """
    nodes: list[Node] = []
    for name in offer.certificates:
        nodes += _pair(ctx, name)
    nodes += _stapling(ctx, offer)
    return nodes + terms(ctx, offer, is_alone=is_alone)


def refusing(ctx: Context, offer: Offer, *, is_default: bool, is_alone: bool) -> list[Node]:
    """Returns the directives of a server that refuses handshakes.

    nginx negotiates by the default server before it knows the name, so that one has the policy of
    the names that it does not take.
    """
    refuse = directive("ssl_reject_handshake", Word("on"))
    return [refuse, *(_negotiated(ctx, offer, is_alone=is_alone) if is_default else ())]


def _pair(ctx: Context, name: str) -> list[Node]:
    pair = ctx.certificates[name]
    stem = f"certs/{names.slug(name)}"
    cert = ctx.file(f"{stem}-{pair.cert[:12]}.pem", pair.cert)
    key = ctx.file(f"{stem}-{pair.key[:12]}.key", pair.key, secret=True)
    return [
        comment(f"certificate {name}"),
        directive("ssl_certificate", FilePath(cert)),
        directive("ssl_certificate_key", FilePath(key)),
    ]


def _stapling(ctx: Context, offer: Offer) -> list[Node]:
    responses = [n for n in offer.certificates if ctx.certificates[n].ocsp is not None]
    if not responses:
        return []
    name = responses[0]
    if len(offer.certificates) > 1 or not ctx.has("ssl_stapling"):
        about = ctx.findings.of("certificate", name)
        about.note(
            "ocsp_file", "nginx staples one response for all certificates of a server: none is"
        )
        return []
    ocsp = ctx.certificates[name].ocsp
    if ocsp is None:
        return []
    path = ctx.file(f"certs/{names.slug(name)}-{ocsp[:12]}.ocsp", ocsp)
    return [
        directive("ssl_stapling", Word("on")),
        directive("ssl_stapling_file", FilePath(path)),
    ]


def terms(ctx: Context, offer: Offer, *, is_alone: bool) -> list[Node]:
    """Returns what clients of an offer must agree to: versions, suites, their own certificates."""
    policy = policy_of(ctx, offer)
    if policy.tickets and not is_alone:
        about = ctx.findings.of("tls_policy", offer.policy)
        about.note("tickets", "off in nginx: beside another policy sessions are not resumed")
    nodes = _negotiated(ctx, offer, is_alone=is_alone)
    is_guest = ctx.target.mode == "guest"
    auth = policy.client_auth
    if auth is None and is_guest:
        # nginx would ask clients for what others ask them for in `http`, and believe it here.
        nodes.append(directive("ssl_verify_client", Word("off")))
    if auth is not None:
        stem = names.slug(offer.policy)
        roots = ctx.file(f"certs/clients/{stem}-{auth.ca[:12]}.pem", auth.ca)
        nodes += [
            directive("ssl_client_certificate", FilePath(roots)),
            directive("ssl_verify_client", Word("on" if auth.required else "optional")),
            directive("ssl_verify_depth", Word(str(_DEPTH))),
        ]
        if is_guest:
            # nginx would also take clients of the CAs that others have here in `http`.
            nodes.append(directive("ssl_trusted_certificate", FilePath(roots)))
        if auth.crl is not None:
            lists = ctx.file(f"certs/revoked/{stem}-{auth.crl[:12]}.pem", auth.crl)
            nodes.append(directive("ssl_crl", FilePath(lists)))
        elif is_guest:
            # Beside a list of others nginx refuses every client of a CA that it has none of.
            nodes.append(directive("ssl_crl", Literal("")))
    return nodes


def _negotiated(ctx: Context, offer: Offer, *, is_alone: bool) -> list[Node]:
    """Returns what nginx negotiates before it knows the name, and whether sessions are resumed."""
    policy = policy_of(ctx, offer)
    return [
        comment(f"TLS policy {offer.policy}"),
        directive("ssl_protocols", *_protocols(policy)),
        *_suites(ctx, policy, offer.policy),
        *_groups(ctx, policy, offer.policy),
        directive("ssl_session_tickets", Word("on" if policy.tickets and is_alone else "off")),
        directive("ssl_session_cache", Word("none")),
    ]


def _protocols(policy: TlsPolicy) -> list[Word]:
    known = list(_VERSIONS)
    low, high = known.index(policy.min_version), known.index(policy.max_version)
    return [Word(_VERSIONS[version]) for version in known[low : high + 1]]


def _suites(ctx: Context, policy: TlsPolicy, name: str) -> list[Node]:
    wanted = policy.cipher_suites or _ORDER
    tls12 = [_SUITES_12[suite] for suite in wanted if suite in _SUITES_12]
    tls13 = [_SUITES_13[suite] for suite in wanted if suite in _SUITES_13]
    nodes: list[Node] = [directive("ssl_prefer_server_ciphers", Word("on"))]
    if tls12:
        nodes.append(directive("ssl_ciphers", Word(":".join(tls12))))
    if tls13 and ctx.has("ssl_conf_command"):
        suites = Word(":".join(tls13))
        nodes.append(directive("ssl_conf_command", Word("Ciphersuites"), suites))
    elif policy.cipher_suites and tls13:
        about = ctx.findings.of("tls_policy", name)
        about.refuse("cipher_suites", "this nginx cannot choose the suites of TLS 1.3")
    return nodes


def _groups(ctx: Context, policy: TlsPolicy, name: str) -> list[Node]:
    wanted = list(policy.groups or _CURVES)
    about = ctx.findings.of("tls_policy", name)
    if _HYBRID in wanted and not ctx.has("ssl_ecdh_x25519mlkem768"):
        wanted.remove(_HYBRID)
        if not wanted:
            about.refuse("groups", f"this nginx's OpenSSL has no {_HYBRID}")
            return []
        if policy.groups:
            about.note("groups", f"this nginx's OpenSSL has no {_HYBRID}: left out")
    curves = ":".join(_CURVES[group] for group in wanted)
    return [directive("ssl_ecdh_curve", Word(curves))]
