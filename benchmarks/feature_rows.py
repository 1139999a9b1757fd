"""The table of what routes do besides forwarding, of the engine's own parts, and of the library."""

from results import Result, table
from rows import BASE, OURS, Row, Spread, added_row, paired, ratio_row, spread, value_row

_ENVOY = "envoy"
_GZIP = "gzip"


def _beside_envoy(results: list[Result]) -> Spread | None:
    return paired(table(results, "chain", "chain"), OURS, "us", _ENVOY)


def _coded(coding: str, key: str, title: str, unit: str, limits: tuple[float | None, ...]) -> Row:
    """A figure of our coding over that of nginx's gzip, each within its round."""

    def measure(results: list[Result]) -> Spread | None:
        ours = table(results, "compress", coding).get(OURS, {})
        base = table(results, "compress", _GZIP).get(BASE, {})
        return spread(one[key] / base[n][key] for n, one in ours.items() if n in base)

    return Row(f"{coding} of 64 KiB of JSON, to nginx's gzip: {title}", unit, measure, *limits)


def _speed(case: str, variant: str, title: str, must: float | None, aim: float | None) -> Row:
    """Millions in a second, at least."""

    def measure(results: list[Result]) -> Spread | None:
        found = table(results, case, variant).get(OURS, {}).values()
        return spread(one["ours"] for one in found if "ours" in one)

    return Row(title, "M/s", measure, must, aim, at_least=True)


def _over(variant: str, others: tuple[str, ...], title: str, must: float | None = 2) -> Row:
    """Returns the row of our speed over that of the fastest of `others`, each within its round."""

    def measure(results: list[Result]) -> Spread | None:
        found = table(results, "primitives", variant).get(OURS, {}).values()
        return spread(one["ours"] / max(one[name] for name in others) for one in found)

    return Row(title, "×", measure, must, at_least=True)


_CODED = "CPU of the proxy"
_SIZE = "bytes"
_AS_SMALL = (1.02, None)
"""An equal ratio is one that is not more than this much worse."""

ROWS: tuple[Row, ...] = (
    ratio_row(
        "chain",
        "chain",
        "bare",
        "token, limit, rewrite, header edits, breaker and checks, over none",
        (1.20, 1.12),
    ),
    Row("the same, to Envoy's", "×", _beside_envoy, 0.6),
    _coded("gzip", "us", _CODED, "×", (1.0, 0.8)),
    _coded("gzip", "coded_bytes", _SIZE, "×", _AS_SMALL),
    _coded("br", "us", _CODED, "×", (None, None)),
    _coded("br", "coded_bytes", _SIZE, "×", _AS_SMALL),
    _coded("zstd", "us", _CODED, "×", (0.6, 0.4)),
    _coded("zstd", "coded_bytes", _SIZE, "×", _AS_SMALL),
    ratio_row(
        "forward-auth",
        "forward-auth",
        "bare",
        "forward auth, kept connection, over none",
        (2.2, 1.9),
    ),
    added_row("traces", "1", "bare", "added by traces of 1 % of the requests", (0.2, None)),
    added_row("traces", "100", "bare", "added by traces of all requests", (3, None)),
    value_row(("traces", "100", "lost"), "spans lost, traces of all requests", "spans", 1, None),
    ratio_row(
        "bandwidth", "bandwidth", "bare", "a bandwidth nobody reaches, over none", (None, None)
    ),
    ratio_row("limits", "node", "bare", "a rate limit of 1,000 keys, over none", (None, None)),
    ratio_row("limits", "across", "bare", "the same across nodes, over none", (None, None)),
    value_row(
        ("limits", "across", "lost"), "requests the store was not told of", "requests", 1, None
    ),
    ratio_row(
        "response-buffer",
        "response-buffer",
        "bare",
        "answers collected, no slow client, over none",
        (None, None),
    ),
    _speed("primitives", "limit-client", "limit check among 100,000 clients", 20, 25),
    _over("limit-client", ("governor",), "the same, over governor"),
    _over(
        "limit-client", ("governor-told",), "the same, over governor that is told the time", None
    ),
    _speed("primitives", "limit-global", "limit check, one for all", 100, None),
    _over("limit-global", ("governor",), "one for all, over governor"),
    _over(
        "limit-global", ("governor-told",), "one for all, over governor that is told the time", None
    ),
    _speed("primitives", "route-exact", "route among 1,000 exact paths", 30, None),
    _over("route-exact", ("matchit",), "exact paths, over matchit"),
    _speed("primitives", "route-prefix", "route among 1,000 prefixes", 25, None),
    _over("route-prefix", ("matchit",), "prefixes, over matchit"),
    _speed("primitives", "route-regex", "route among 100 regexes", 5, None),
    _over("route-regex", ("regex-set", "regex-list"), "regexes, over regex"),
    _speed("library", "check-1000", "RateLimiter.check() from Python, 1,000 clients", 3, None),
    _speed("library", "check-100000", "RateLimiter.check(), 100,000 clients", None, None),
    _speed("library", "match", "Router.match() from Python, 100 routes", 1.5, None),
)
"""The costs that features must not exceed. Ratios of CPU are of the proxy's own."""
