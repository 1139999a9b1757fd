"""The keys of `jwt`: a JWK set as text, in a file, or fetched from a URL."""

import json
from typing import Annotated, Final, cast

from pydantic import PlainValidator, ValidationInfo, WithJsonSchema

from headgate._core import key_set_problem
from headgate.features import syntax
from headgate.features.middleware.jwt.weak import weak_key
from headgate.features.values import FILE_SCHEMA, Secrets, named_file
from headgate.kernel.errors import Invalid
from headgate.kernel.key_sets import KeySetUrl, url_problem
from headgate.kernel.nearest import listed
from headgate.kernel.units import Duration

KEYS_ALLOWED: Final = 'write a JWK set as JSON text, { file = "…" } or { url = "https://…" }'

MISSING: Final = ""
"""In place of a set that is fetched and never was."""

_REFRESH: Final = Duration.parse("1h")
_REFRESH_MS: Final = range(1_000, 86_400_001)
_STALE: Final = Duration.parse("168h")
_STALE_MS: Final = range(1_000, 366 * 86_400_000 + 1)
_OFF: Final = "off"
_URL_KEYS: Final = ("url", "refresh", "max_stale", "ca_file")
_UNKNOWN: Final = (
    '{"keys":[{"kty":"OKP","crv":"Ed25519","x":"ET6YX-1A-BnybeGkItv0-PfugQF2veX-bDcM1f-Fc2E"}]}'
)
"""In place of a set that is fetched, for commands: a key (the SHA-256 of a text) whose private half
nobody has, and nothing is served with it."""


def set_problem(text: str) -> Invalid | None:
    """Returns what is wrong with the text of a JWK set; None if nothing is."""
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        return Invalid("the key set is not JSON", KEYS_ALLOWED)
    keys = parsed.get("keys") if isinstance(parsed, dict) else None
    if not isinstance(keys, list):
        return Invalid("the key set has no list `keys`", KEYS_ALLOWED)
    if wrong := key_set_problem(text):
        where, sentence = wrong
        what, _, allowed = sentence.partition("; ")
        return Invalid(f"{where}: {what}" if where else what, allowed or KEYS_ALLOWED)
    if (weak := weak_key(keys)) is not None:
        what = f"keys[{weak}].n: anybody can factor this modulus (CVE-2017-15361)"
        return Invalid(what, "make a new key with another library")
    return None


def has_secret(text: str) -> bool:
    """Reports whether a JWK set has a secret, with which anybody can sign; False if it is none."""
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        return False
    keys = parsed.get("keys") if isinstance(parsed, dict) else None
    listed_keys = keys if isinstance(keys, list) else []
    return any(isinstance(key, dict) and key.get("kty") == "oct" for key in listed_keys)


def fetched_problem(text: str) -> str:
    """Returns what is wrong with a JWK set that a server answered; empty if it can be used."""
    if has_secret(text):
        return "the key set has a secret (`kty` oct), which everybody can read there"
    wrong = set_problem(text)
    return wrong.what if wrong is not None else ""


def _keys(value: object, info: ValidationInfo) -> str:
    """Returns a JWK set; one with a secret is a secret."""
    context = cast(Secrets, info.context)
    if isinstance(value, dict) and "url" in value:
        return _fetched(value, context)
    path = named_file(value)
    text = context.secret(path) if path is not None else value
    if not isinstance(text, str):
        raise Invalid(f"{syntax.described(value)} is no key set", KEYS_ALLOWED)
    if has_secret(text):
        if path is None:
            raise Invalid("the key set has a secret (`kty` oct)", 'write { file = "…" }')
        context.private(path)
        context.hide(text)
    if wrong := set_problem(text):
        raise wrong
    return text


def _fetched(table: dict[str, object], context: Secrets) -> str:
    """Returns the set that was fetched last from a URL; `MISSING` if none ever was."""
    for key in table:
        if key not in _URL_KEYS:
            raise Invalid("unknown key", f"write {listed(_URL_KEYS)}", at=(str(key),))
    found = context.fetched(_place(table, context))
    if found is None:
        return _UNKNOWN
    return MISSING if fetched_problem(found) else found


def _place(table: dict[str, object], context: Secrets) -> KeySetUrl:
    url = table["url"]
    wrong = url_problem(url) if isinstance(url, str) else "is not a URL"
    if wrong:
        allowed = 'write a URL such as "https://login.example/jwks.json"'
        raise Invalid(f"{syntax.described(url)} {wrong}", allowed, at=("url",))
    path = table.get("ca_file")
    authority = ""
    if isinstance(path, str):
        try:
            authority = context.secret(path)
        except Invalid as error:
            raise Invalid(error.what, error.allowed, at=("ca_file",)) from None
    if path is not None and "-----BEGIN CERTIFICATE-----" not in authority:
        what = f"{syntax.described(path)} holds no certificate"
        allowed = "name a PEM file with `-----BEGIN CERTIFICATE-----`"
        raise Invalid(what, allowed, at=("ca_file",))
    refresh_ms = _refresh(table.get("refresh", str(_REFRESH)))
    return KeySetUrl(str(url), refresh_ms, authority, _max_stale(table, refresh_ms))


def _refresh(value: object) -> int:
    """Returns milliseconds."""
    found = _milliseconds(value)
    if found not in _REFRESH_MS:
        what = f"{syntax.described(value)} is not how long a set is used"
        raise Invalid(what, 'write "1s" to "24h"', at=("refresh",))
    return found


def _max_stale(table: dict[str, object], refresh_ms: int) -> int:
    """Returns milliseconds; 0 for a set that counts without end."""
    value = table.get("max_stale", str(_STALE))
    if value == _OFF:
        return 0
    found = _milliseconds(value)
    if found not in _STALE_MS:
        what = f"{syntax.described(value)} is not how long the last good set counts"
        raise Invalid(what, 'write "1s" to "8784h", or "off"', at=("max_stale",))
    if found < refresh_ms:
        what = "the last good set would end before it is fetched again"
        raise Invalid(what, "write at least the time of `refresh`", at=("max_stale",))
    return found


def _milliseconds(value: object) -> int:
    """Returns a duration; 0 for what is none."""
    try:
        return Duration.parse(value).ms if isinstance(value, str) else 0
    except ValueError:
        return 0


_URL_SCHEMA: Final = {
    "type": "object",
    "properties": {
        "url": {
            "type": "string",
            "format": "uri",
            "pattern": "^[Hh][Tt][Tt][Pp][Ss]://",
            "description": "The https URL of the set. Requests get 503 until it has been fetched; "
            "afterwards, while no newer set can be fetched, the last good one stays in use for "
            "`max_stale`.",
        },
        "refresh": {
            "type": "string",
            "default": str(_REFRESH),
            "description": "How long a set is used before it is fetched again, 1s to 24h; the "
            "`max-age` of a response can shorten that, but not below a minute.",
        },
        "max_stale": {
            "type": "string",
            "default": str(_STALE),
            "description": "How long the last good set stays in use after it was fetched, while no "
            "newer one can be fetched: 1s to 8784h, at least `refresh`, or `off` = without end. "
            "After that, requests get 503.",
        },
        "ca_file": {
            "type": "string",
            "description": "The PEM file of the trusted roots; absent = the system's roots.",
        },
    },
    "required": ["url"],
    "additionalProperties": False,
}

Keys = Annotated[
    str,
    PlainValidator(_keys),
    WithJsonSchema({"anyOf": [{"type": "string"}, FILE_SCHEMA, _URL_SCHEMA]}),
]
"""The text of a JWK set; `MISSING` if it is fetched and never was."""
