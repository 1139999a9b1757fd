"""Lists that stand in Python for nginx and in Rust for the data plane say the same."""

import re
from pathlib import Path

from headgate.engines.nginx.render.bodies import BASE_HIDDEN
from headgate.engines.nginx.render.faults import _FAULTS, _NOT_IMPORTED
from headgate.engines.nginx.render.forwarded import _HOP, CLAIMS
from headgate.engines.nginx.render.pages import OF_BODY
from headgate.features.middleware.error_pages.nginx import REASONS

CRATES = Path(__file__).parents[5] / "engine" / "crates"
ANSWERS = "".join(
    (CRATES / path).read_text(encoding="utf-8")
    for path in ("hg-engine/src/worker/answer.rs", "hg-proto/src/reject.rs")
)
LIMITS = {
    "rate-limit": (CRATES / "hg-middleware/src/rate_limit/mod.rs").read_text(encoding="utf-8"),
    "concurrency-limit": (CRATES / "hg-middleware/src/concurrency_limit/mod.rs").read_text(
        encoding="utf-8"
    ),
}
KNOWN = (CRATES / "hg-proto/src/known.rs").read_text(encoding="utf-8")

OWN_WORDS = {"upstream-closed", "body-timeout"}
"""nginx knows less of these faults, so its text says less."""

OF_NGINX = {"connection-limit"}
"""The native engine ends such a connection without an answer."""

BY_NGINX = {"connection", "keep-alive", "transfer-encoding", "upgrade"}
"""Headers for one hop that nginx drops or writes by itself."""


def rejects() -> dict[str, tuple[int, str, str]]:
    """(status, token, text) of the data plane's own answers by their reason."""
    line = re.compile(r'= (\d{3}) "([a-z_]+)" "([a-z-]+)" "([^"]+)";')
    own = {m[3]: (int(m[1]), m[2], m[4]) for m in line.finditer(ANSWERS)}
    for reason, text in LIMITS.items():
        detail = re.search(r'^const DETAIL: &str = "([^"]+)";', text, re.MULTILINE)
        assert detail is not None
        assert f'"{reason}")' in text
        own[reason] = (429, "http_request_denied", detail[1])
    return own


def known(flag: str) -> set[str]:
    """Names of headers with a flag in the core."""
    lines = re.findall(r'^    [A-Z]\w+ = "([a-z0-9-]+)" ([A-Z_ |]+);', KNOWN, re.MULTILINE)
    return {name for name, flags in lines if flag in flags.split(" | ")}


def test_faults_have_the_status_token_and_text_of_the_data_plane() -> None:
    found = rejects()
    assert found["not-imported"][2] == _NOT_IMPORTED
    for start, _, token, reason, text in _FAULTS:
        if reason in OF_NGINX:
            continue
        status, named, said = found[reason]
        assert (int(start[:3]), token) == (status, named), reason
        assert (text == said) == (reason not in OWN_WORDS), reason


def test_every_claim_that_the_core_knows_by_name_is_overwritten_or_removed() -> None:
    families = {"x-forwarded-", "x-client-cert"}
    told = {"x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-real-ip"}
    names = known("CLIENT") - families
    assert names
    assert names - told <= set(CLAIMS)
    assert len(set(CLAIMS)) == len(CLAIMS)


def test_headers_for_one_hop_end_at_nginx_too() -> None:
    hop = known("HOP")
    assert hop
    assert hop - BY_NGINX <= set(_HOP)
    assert set(_HOP) <= hop | {"trailer"}
    assert set(BASE_HIDDEN) <= set(_HOP)


def test_pages_say_the_reasons_of_the_data_plane() -> None:
    text = (CRATES / "hg-proto/src/respond.rs").read_text(encoding="utf-8")
    found = {
        int(m[1]): m[2] for m in re.finditer(r'^ +([45]\d\d) => "([^"]+)",', text, re.MULTILINE)
    }
    assert found == REASONS


def test_the_same_headers_describe_a_body() -> None:
    pages = (CRATES / "hg-engine/src/worker/pages.rs").read_text(encoding="utf-8")
    coding = (CRATES / "hg-middleware/src/encoding.rs").read_text(encoding="utf-8")
    outdated = coding[coding.index("fn is_outdated") :].split("}\n", maxsplit=1)[0]
    names = re.findall(r'^ +(?:&?b"|&b")([a-z0-9-]+)"', pages + outdated, re.MULTILINE)
    assert set(names) == OF_BODY
