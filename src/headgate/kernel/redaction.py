"""Leaves out of texts what looks like a secret: for diffs of configs and lines of logs that leave
their host. Leaves out too much rather than too little. Pure."""

import re
from collections.abc import Collection, Iterable
from typing import Final

from headgate.kernel.parameters import expressions

SHOWN: Final = "(secret)"
_SHORTEST: Final = 4
_BLOCK: Final = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL
)
_USERINFO: Final = re.compile(r"(://)[^/@\s\"']+@")
_SCHEME: Final = re.compile(r"(?i)\b(bearer|basic|digest)\s+[A-Za-z0-9+/=._~-]{4,}")
_WORD: Final = (
    r"(?:authorization|cookie|passw(?:or)?d|passphrase|secret|token|api[-_]?key|access[-_]?key"
    r"|private[-_]?key|credentials?|signature|secure_link_md5|session[-_]?id)"
)
# Strangers write what stands in logs: each of these takes a run of characters once. Else the time
# would grow with the square of its length.
_NAME_REST: Final = re.compile(r"[\w-]*+[\"']?")
_GAP: Final = re.compile(r"[ \t]+|[=:][ \t]*")
_PAIR: Final = re.compile(r"(?<![\w.%\[\]-])([\w.%\[\]-]++=)([^&;#\s\"']*)")
_SECRET_NAME: Final = re.compile(rf"(?i){_WORD}")


def redacted(text: str, secrets: Iterable[str] = ()) -> str:
    r"""Returns a config's text without `secrets`, keys, credentials in URLs, and what follows, in a
    line, a word such as `authorization`, `password` or `token`.

    >>> redacted('proxy_set_header Authorization "Basic YWJj";\nlisten 80;\n')
    'proxy_set_header Authorization (secret)\nlisten 80;\n'
    >>> redacted("proxy_pass http://ann:hunter2@app;")
    'proxy_pass http://(secret)@app;'
    """
    text = _BLOCK.sub(SHOWN, _known(text, secrets))
    text = _SCHEME.sub(rf"\1 {SHOWN}", _USERINFO.sub(rf"\1{SHOWN}@", text))
    return "\n".join(map(_without_value, text.split("\n")))


def redacted_value(text: str, secrets: Iterable[str] = ()) -> str:
    """Returns a value of a log line, such as a path with its query, without `secrets`, credentials,
    and the values of parameters whose name says that they are secret.

    >>> redacted_value("/a?id=1&access_token=abc#x")
    '/a?id=1&access_token=(secret)#x'
    """
    text = _USERINFO.sub(rf"\1{SHOWN}@", _BLOCK.sub(SHOWN, _known(text, secrets)))
    return _PAIR.sub(_pair, _SCHEME.sub(rf"\1 {SHOWN}", text))


class Hidden:
    """The texts that one config leaves out of the lines of its logs: its `secrets`, and the values
    of `parameters` of a query, besides all that looks like a secret.

    >>> Hidden(parameters=["shop"]).value("/a?%73hop=abc&b=1")
    '/a?%73hop=(secret)&b=1'
    """

    def __init__(self, secrets: Collection[str] = (), parameters: Collection[str] = ()) -> None:
        # A template of the plan has `$$` for a dollar sign.
        self._secrets = {*secrets, *(one.replace("$$", "$") for one in secrets)}
        found = [rf"(?i)([?&;#](?:{one})=)" for one in expressions(parameters)]
        self._in_values = [re.compile(f"{one}[^&]*") for one in found]
        self._in_lines = [re.compile(rf"{one}[^&\s\"]*") for one in found]

    def value(self, text: str) -> str:
        """Returns one value of a log line as it may be shown."""
        for one in self._in_values:
            text = one.sub(rf"\1{SHOWN}", text)
        return redacted_value(text, self._secrets)

    def line(self, text: str) -> str:
        """Returns a whole line, or a sentence, as it may be shown."""
        for one in self._in_lines:
            text = one.sub(rf"\1{SHOWN}", text)
        return redacted_value(text, self._secrets)


def names_secret(name: str) -> bool:
    """Says whether a field of this name has a value that nobody must see.

    >>> names_secret("http_cookie"), names_secret("user_agent")
    (True, False)
    """
    return _SECRET_NAME.search(name) is not None


def _without_value(line: str) -> str:
    """Returns a line up to what follows its first name of a secret."""
    at = 0
    while (name := _SECRET_NAME.search(line, at)) is not None:
        rest = _NAME_REST.match(line, name.end())
        at = rest.end() if rest is not None else name.end()
        if (gap := _GAP.match(line, at)) is not None:
            return line[: gap.end()] + SHOWN
    return line


def _pair(found: re.Match[str]) -> str:
    return found[1] + SHOWN if names_secret(found[1]) else found[0]


def _known(text: str, secrets: Iterable[str]) -> str:
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _SHORTEST:
            text = text.replace(secret, SHOWN)
    return text
