"""Which certificate a listener asks its clients for, by the name that they ask for."""

import pytest

from headgate.compile.handshake import ClientAuths
from headgate.kernel.ids import BlobId
from headgate.plan.objects import ClientAuth, Host, Listener, ListenerTls, TlsPolicy
from headgate.plan.plan import entry, plan_of

MUST, MAY = ClientAuth(ca=BlobId("a" * 64)), ClientAuth(ca=BlobId("b" * 64), required=False)
PLAN = plan_of(
    [
        entry("tls_policy", "must", TlsPolicy(client_auth=MUST)),
        entry("tls_policy", "may", TlsPolicy(client_auth=MAY)),
        entry("tls_policy", "open", TlsPolicy()),
        entry("host", "own.example", Host(certificates=("own",), tls_policy="must")),
        entry("host", "*.own.example", Host(certificates=("own",), tls_policy="open")),
        entry("host", "bare.example", Host(tls_policy="must")),
        entry("host", "plain.example", Host(certificates=("own",))),
    ]
)


def listener(policy: str | None, default: str | None) -> Listener:
    tls = ListenerTls(policy=policy, default_certificate=default)
    return Listener(addresses=("127.0.0.1:1",), protocol="http", tls=tls)


@pytest.mark.parametrize(
    ("policy", "default", "sni", "expected"),
    [
        ("may", "own", "own.example", MUST),
        ("may", "own", "a.own.example", None),
        ("may", "own", "plain.example", MAY),
        ("may", "own", "bare.example", MUST),
        ("may", None, "bare.example", MAY),
        ("may", "own", "other.example", MAY),
        ("may", "own", None, MAY),
        (None, "own", None, None),
        (None, "own", "own.example", MUST),
    ],
)
def test_the_policy_of_the_name_counts(
    policy: str | None, default: str | None, sni: str | None, expected: ClientAuth | None
) -> None:
    assert ClientAuths(PLAN).asked(listener(policy, default), sni) == expected


def test_a_policy_named_default_is_that_of_listeners_without_one() -> None:
    auths = ClientAuths(plan_of([entry("tls_policy", "default", TlsPolicy(client_auth=MUST))]))
    assert auths.asked(listener(None, "own"), None) == MUST


def test_who_has_no_tls_asks_for_nothing() -> None:
    plain = Listener(addresses=("127.0.0.1:1",), protocol="http")
    assert ClientAuths(PLAN).asked(plain, "own.example") is None
