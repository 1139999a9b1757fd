"""Converts `upstream` blocks, and addresses in `proxy_pass`, to our upstreams, and back."""

from collections.abc import Mapping, Sequence
from typing import Final

from headgate.engines.nginx.imports import values
from headgate.engines.nginx.imports.objects import (
    NotExpressibleError,
    Table,
    Toml,
    items_in,
    table_in,
)
from headgate.features import syntax
from headgate.kernel.errors import Invalid
from headgate.nginxtext.includes import Located
from headgate.nginxtext.tree import Directive
from headgate.nginxtext.writer import Arg, Plain, Var, Word, directive

KEPT: Final = frozenset({b"zone", b"keepalive_timeout", b"keepalive_requests", b"keepalive_time"})
"""The lines kept verbatim in the block: how the workers share it, how long connections are kept."""

NOTED: Final = ("max_fails", "fail_timeout")
"""Parameters that an endpoint keeps as a label:
the native engine does not skip failed endpoints.
"""

CONNECT_TIMEOUT: Final = "1m"
"""nginx's default of `proxy_connect_timeout`."""

_HASHED: Final = {"remote_addr": "client_ip", "binary_remote_addr": "client_ip"}


def is_kept(line: Directive) -> bool:
    """Reports whether a line of the block stays verbatim beside the model."""
    return line.name in KEPT


def table_of(lines: Sequence[Located]) -> dict[str, Toml]:
    """Returns the upstream of a block's lines;
    raises `NotExpressibleError` for the first without a counterpart.
    """
    endpoints: list[Toml] = []
    balance: Toml = "round_robin"
    idle = 0
    for _, line in lines:
        match line.name:
            case b"server":
                endpoints.append(_endpoint(line))
            case b"least_conn" | b"random" if not line.args:
                balance = values.text(line.name)
            case b"hash":
                balance = _hash(line)
            case b"ip_hash" if not line.args:
                balance = {"maglev": {"key": "client_ip"}}
            case b"keepalive" if line.values[0].isdigit():
                idle = int(line.values[0])
            case name if name not in KEPT:
                raise NotExpressibleError(f"`{values.text(line.name)}` has no counterpart")
    return _table(endpoints, balance, idle)


def notes_of(table: Table) -> list[str]:
    """Returns how the model of an upstream differs."""
    notes = []
    if "maglev" in str(table["balance"]):
        notes.append("ip_hash: each client address has its endpoint here, each /24 there")
    if any(isinstance(one, Mapping) and "labels" in one for one in items_in(table, "endpoints")):
        notes.append(f"{', '.join(NOTED)}: labels here; a failed endpoint is tried in its turn")
    return notes


def addresses_of(table: Table) -> list[str]:
    """Returns the addresses of an upstream's endpoints."""
    endpoints = table["endpoints"]
    found = endpoints if isinstance(endpoints, list) else []
    return [str(one["address"] if isinstance(one, dict) else one) for one in found]


def table_of_address(address: str) -> dict[str, Toml]:
    """Returns the upstream of an address in `proxy_pass`."""
    return _table([_address(address)], "round_robin", 0)


def _table(endpoints: list[Toml], balance: Toml, idle: int) -> dict[str, Toml]:
    return {
        "endpoints": endpoints,
        "balance": balance,
        "pool": {"max_idle": idle},
        "timeouts": {"connect": CONNECT_TIMEOUT},
    }


def _endpoint(line: Directive) -> Toml:
    address = _address(values.text(line.values[0]))
    table: dict[str, Toml] = {"address": address}
    for value in line.values[1:]:
        key, _, amount = values.text(value).partition("=")
        if key == "weight" and amount.isdigit():
            table["weight"] = int(amount)
        elif key == "max_conns" and amount.isdigit():
            table["max_connections"] = int(amount) or "off"
        elif key == "backup" and not amount:
            table["backup"] = True
        elif key == "down" and not amount:
            table["weight"] = 0
        elif key in NOTED and amount:
            table["labels"] = {**table_in(table, "labels"), key: amount}
        else:
            raise NotExpressibleError(f"`server … {values.text(value)}` has no counterpart")
    return table if len(table) > 1 else address


def _address(text: str) -> str:
    if text.startswith("unix:"):
        found = text
    else:
        host, _, port = text.rpartition(":")
        found = text if host and port.isdigit() and not host.endswith(":") else f"{text}:80"
    try:
        return syntax.endpoint_address(found)
    except Invalid as error:
        raise NotExpressibleError(f"endpoint: {error.what}") from None


def _hash(line: Directive) -> Toml:
    key, *options = [values.text(value) for value in line.values]
    if options != ["consistent"]:
        raise NotExpressibleError("`hash` without `consistent` has no counterpart")
    if key != key.lower():
        raise NotExpressibleError("`hash` of a name that is not in lower case has no counterpart")
    name = key.removeprefix("$").strip("{}")
    if name in _HASHED:
        return {"ring_hash": {"key": _HASHED[name], "load_bound": 0}}
    for prefix, ours in (("cookie_", "cookie"), ("http_", "header")):
        if key.startswith("$") and name.startswith(prefix):
            rest = name.removeprefix(prefix)
            what = rest if ours == "cookie" else rest.replace("_", "-")
            return {"ring_hash": {"key": f"{ours}:{what}", "load_bound": 0}}
    raise NotExpressibleError(f"`hash {key}` has no counterpart")


def to_nginx(table: Table) -> list[Directive]:
    """Returns the lines of the `upstream` block for a table."""
    lines = _balance_line(table)
    lines += [directive("server", *_server_words(one)) for one in items_in(table, "endpoints")]
    if pool_idle(table):
        lines.append(directive("keepalive", Word(str(pool_idle(table)))))
    return lines


def pool_idle(table: Table) -> int:
    """Returns how many idle connections the pool keeps."""
    return int(str(table_in(table, "pool")["max_idle"]))


def _balance_line(table: Table) -> list[Directive]:
    balance = table["balance"]
    if isinstance(balance, str):
        return [] if balance == "round_robin" else [directive(balance)]
    if "maglev" in table_in(table, "balance"):
        return [directive("ip_hash")]
    key = str(table_in(table_in(table, "balance"), "ring_hash")["key"])
    kind, _, name = key.partition(":")
    known = {"client_ip": "remote_addr", "cookie": f"cookie_{name}"}
    variable = known.get(kind, f"http_{name.replace('-', '_')}")
    return [directive("hash", Var(variable), Word("consistent"))]


def _server_words(endpoint: Toml) -> list[Arg]:
    if not isinstance(endpoint, Mapping):
        return [Plain(str(endpoint))]
    words: list[Arg] = [Plain(str(endpoint["address"]))]
    if endpoint.get("weight") == 0:
        words.append(Word("down"))
    elif "weight" in endpoint:
        words.append(Word(f"weight={endpoint['weight']}"))
    if "max_connections" in endpoint:
        limit = endpoint["max_connections"]
        words.append(Word(f"max_conns={0 if limit == 'off' else limit}"))
    if "backup" in endpoint:
        words.append(Word("backup"))
    words += [Word(f"{key}={value}") for key, value in table_in(endpoint, "labels").items()]
    return words
