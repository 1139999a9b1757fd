"""The TLS policies, certificates and hosts that requests go through beside a last good form."""

from collections.abc import Iterator

import pytest
from hosted import Ask, answered, route_at
from quarantining import Provider, forms
from tls_authority import Authority

from headgate.compile.loaded import Loaded
from headgate.fleet.manifest import Json
from headgate.kernel.ids import ObjectName
from headgate.plan.kinds import ObjectKey

BROKEN = {"no-such-key": 1}
OUTSIDE = "0.0.0.0:80"
NEW: Json = {"listeners": ["public"], "hosts": ["staff.example"], "upstream": "staff"}


def outside(loaded: Loaded, url: str) -> str | None:
    """The route that answers a request that comes from outside; None where none does."""
    return route_at(loaded, OUTSIDE, url)


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, bytes]]:
    authority = Authority(tmp_path_factory.mktemp("tls"))
    pair = authority.issue("www", "www.example", "staff.example", "*.example")
    yield {
        "secrets/www.pem": pair.cert_file.read_bytes(),
        "secrets/www.key": pair.key_file.read_bytes(),
        "secrets/ca.pem": authority.ca_file.read_bytes(),
    }


CERTIFICATE: Json = {"cert_file": "secrets/www.pem", "key_file": "secrets/www.key"}
DEMANDS: Json = {"client_auth": {"ca_file": "secrets/ca.pem"}}
MISSES: Json = {"client_auth": {"ca_file": "secrets/gone.pem"}}
SECURE: Json = {"address": OUTSIDE, "tls": {"policy": "open", "default_certificate": "www"}}
TLS: dict[tuple[str, str], Json] = {
    ("certificates", "www"): CERTIFICATE,
    ("tls_policies", "open"): {},
    ("tls_policies", "strict"): DEMANDS,
    ("listeners", "public"): SECURE,
    ("upstreams", "staff"): {"endpoints": ["127.0.0.1:9002"]},
    ("middlewares", "guard"): {"respond": {"status": 403}},
    ("routes", "www"): {"listeners": ["public"], "hosts": ["www.example"], "upstream": "staff"},
}
MOVED: Json = {**SECURE, "address": "127.0.0.1:8082", **BROKEN}


def test_a_new_route_is_closed_where_a_policy_would_ask_for_certificates(
    secrets: dict[str, bytes],
) -> None:
    provider = Provider(secrets)
    assert forms(provider.load(TLS)) == {}
    loaded = provider.load({**TLS, ("tls_policies", "open"): MISSES, ("routes", "new"): NEW})
    assert forms(loaded) == {"open": "last good", "new": "closed"}
    assert 'TLS policy "open"' in loaded.quarantined[ObjectKey("route", ObjectName("new"))].why
    assert outside(loaded, "staff.example/") is None
    assert outside(loaded, "www.example/") == "www"


def test_a_broken_policy_concerns_the_hosts_that_name_it_and_no_others(
    secrets: dict[str, bytes],
) -> None:
    base = {**TLS, ("tls_policies", "own"): {}, ("hosts", "staff.example"): {"tls_policy": "own"}}
    provider = Provider(secrets)
    assert forms(provider.load(base)) == {}
    broken = {**base, ("tls_policies", "own"): MISSES}
    new = {**NEW, "hosts": ["staff.example", "shop.example"]}
    loaded = provider.load({**broken, ("routes", "new"): new})
    assert forms(loaded) == {"own": "last good", "new": "closed"}
    assert outside(loaded, "staff.example/") is None
    assert outside(loaded, "shop.example/") == "new"
    # A route of any host takes requests for that one, too.
    any_host: Json = {"listeners": ["public"], "upstream": "staff"}
    loaded = provider.load({**broken, ("routes", "new"): any_host})
    assert outside(loaded, "staff.example/") is None
    assert outside(loaded, "www.example/") == "www"


def test_a_host_does_not_change_to_a_policy_that_asks_for_less(secrets: dict[str, bytes]) -> None:
    hosts: Json = {"tls_policy": "strict"}
    base = {
        **TLS,
        ("tls_policies", "own"): {},
        ("hosts", "staff.example"): hosts,
        ("routes", "new"): NEW,
    }
    provider = Provider(secrets)
    assert forms(provider.load(base)) == {}
    later = {
        **base,
        ("tls_policies", "own"): MISSES,
        ("hosts", "staff.example"): {"tls_policy": "own"},
    }
    loaded = provider.load(later)
    assert answered(loaded, Ask(OUTSIDE, "staff.example", "/")) is None


def test_a_new_route_is_closed_for_a_host_whose_certificate_is_the_last_good_one(
    secrets: dict[str, bytes],
) -> None:
    base = {
        **TLS,
        ("certificates", "own"): CERTIFICATE,
        ("hosts", "staff.example"): {"certificate": ["own"]},
    }
    provider = Provider(secrets)
    assert forms(provider.load(base)) == {}
    gone = {**CERTIFICATE, "cert_file": "secrets/gone.pem"}
    loaded = provider.load({**base, ("certificates", "own"): gone, ("routes", "new"): NEW})
    assert forms(loaded) == {"own": "last good", "new": "closed"}
    assert outside(loaded, "www.example/") == "www"


def test_a_route_that_gets_a_wider_name_is_closed_for_the_hosts_that_it_had(
    secrets: dict[str, bytes],
) -> None:
    old: Json = {**NEW, "hosts": ["*.example"], "middlewares": ["guard"]}
    base = {
        **TLS,
        ("tls_policies", "own"): {},
        ("hosts", "*.example"): {"tls_policy": "own"},
        ("routes", "old"): old,
    }
    provider = Provider(secrets)
    assert forms(provider.load(base)) == {}
    wide: Json = {"listeners": ["public"], "upstream": "staff"}
    loaded = provider.load({**base, ("tls_policies", "own"): MISSES, ("routes", "old"): wide})
    assert outside(loaded, "staff.example/") is None
    assert outside(loaded, "other.test/") == "old"


def test_a_policy_of_a_host_counts_for_routes_of_any_host(secrets: dict[str, bytes]) -> None:
    rest: Json = {"listeners": ["public"], "upstream": "staff"}
    strict = {
        **TLS,
        ("hosts", "staff.example"): {"tls_policy": "strict"},
        ("routes", "rest"): rest,
    }
    lax = {**strict, ("hosts", "staff.example"): {"tls_policy": "open"}}
    provider = Provider(secrets)
    assert forms(provider.load(strict)) == {}
    for _ in range(2):
        loaded = provider.load({**lax, ("listeners", "public"): MOVED})
        assert answered(loaded, Ask(OUTSIDE, "staff.example", "/")) is None
    loaded = provider.load({**strict, ("listeners", "public"): MOVED})
    assert forms(loaded) == {"public": "last good"}
    # Also where that host had no section, or has none.
    del lax["hosts", "staff.example"]
    loaded = provider.load({**lax, ("listeners", "public"): MOVED})
    assert answered(loaded, Ask(OUTSIDE, "staff.example", "/")) is None


def test_a_host_gets_no_policy_of_its_own_that_asks_for_less(secrets: dict[str, bytes]) -> None:
    secure: Json = {**SECURE, "tls": {**SECURE["tls"], "policy": "strict"}}
    base = {
        **TLS,
        ("listeners", "public"): secure,
        ("hosts", "staff.example"): {},
        ("routes", "new"): NEW,
    }
    provider = Provider(secrets)
    assert forms(provider.load(base)) == {}
    later = {**base, ("hosts", "staff.example"): {"tls_policy": "open"}}
    moved: Json = {**secure, "address": MOVED["address"], **BROKEN}
    loaded = provider.load({**later, ("listeners", "public"): moved})
    assert answered(loaded, Ask(OUTSIDE, "staff.example", "/")) is None


def test_what_a_closed_route_was_guarded_by_is_not_forgotten(secrets: dict[str, bytes]) -> None:
    rest: Json = {"listeners": ["public"], "upstream": "staff", "middlewares": ["guard"]}
    base = {
        **TLS,
        ("tls_policies", "own"): {},
        ("hosts", "staff.example"): {"tls_policy": "own"},
        ("routes", "rest"): rest,
    }
    lax: Json = {"response_headers": {"set": {"x-lax": "1"}}}
    provider = Provider(secrets)
    assert forms(provider.load(base)) == {}
    later = {**base, ("middlewares", "guard"): lax}
    assert forms(provider.load({**later, ("routes", "rest"): {**rest, **BROKEN}})) == {
        "rest": "closed"
    }
    loaded = provider.load({**later, ("tls_policies", "own"): MISSES})
    assert answered(loaded, Ask(OUTSIDE, "staff.example", "/")) is None


def test_below_a_broken_host_the_policy_that_it_had_opens_nothing(
    secrets: dict[str, bytes],
) -> None:
    base = {**TLS, ("hosts", "*.example"): {"tls_policy": "open"}}
    provider = Provider(secrets)
    assert forms(provider.load(base)) == {}
    broken: Json = {"tls_policy": "strict", **BROKEN}
    loaded = provider.load({**base, ("hosts", "*.example"): broken, ("routes", "new"): NEW})
    assert outside(loaded, "staff.example/") is None
    assert outside(loaded, "www.example/") == "www"
