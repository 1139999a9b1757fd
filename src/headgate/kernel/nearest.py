"""The nearest known name to one that is not known, for "did you mean"."""

from collections.abc import Iterable
from difflib import SequenceMatcher, get_close_matches

_STEM = 3
"""Shortest beginning that says something."""

_MANY = 2_000
"""Above this many names only those that share a first or last letter are compared: the exact
comparison is quadratic and a config can have tens of thousands of names."""


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known name most like `word`, or None when none is like it.

    >>> nearest("upstraem", ["upstream", "split", "respond"])
    'upstream'
    >>> nearest("x", ["upstream"]) is None
    True
    """
    names = [name for name in known if name]
    if not word or not names:
        return None
    if len(names) > _MANY:
        lengths = range(len(word) - 2, len(word) + 3)
        names = [n for n in names if len(n) in lengths and (n[0] == word[0] or n[-1] == word[-1])][
            :_MANY
        ]
    folded = {name.lower(): name for name in names}
    found = get_close_matches(word.lower(), folded, n=1, cutoff=0.6)
    return folded[found[0]] if found else _beginning(word, names)


def _beginning(word: str, names: Iterable[str]) -> str | None:
    """A name that begins like the word, or the other way round (`cert` for `cert_file`)."""
    like = [n for n in names if len(word) >= _STEM and (n.startswith(word) or word.startswith(n))]
    return max(like, key=lambda n: SequenceMatcher(None, word, n).ratio(), default=None)


def listed(words: Iterable[str], *, quote: bool = True, most: int = 12) -> str:
    """Words as prose: `"a", "b" or "c"`; beyond `most` the rest is counted, not listed.

    >>> listed(["a", "b", "c"])
    '"a", "b" or "c"'
    """
    all_words = [f'"{word}"' if quote else word for word in words]
    shown = all_words[:most]
    if len(all_words) > most:
        return f"{', '.join(shown)} and {len(all_words) - most} more"
    if len(shown) < 2:  # noqa: PLR2004 - one word or none needs no joining
        return "".join(shown)
    return f"{', '.join(shown[:-1])} or {shown[-1]}"
