"""Finds the known name for a misspelled one ("did you mean"), and writes lists
of words as prose.
"""

import re
from collections.abc import Iterable

_STEM = 3
"""Shortest beginning or end that says something."""

_MANY = 2_000
"""Above this many names only those that share a first or last letter are compared: the exact
comparison is quadratic and a config can have tens of thousands of names."""

_NUMBER = re.compile(r"[0-9]+")


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Returns the known name that `word` is a misspelling or a part of, or None
    when there is none.

    Names that differ in their numbers alone are different names, not misspellings.

    >>> nearest("upstraem", ["upstream", "split", "respond"])
    'upstream'
    >>> nearest("cert", ["cert_file", "key_file"])
    'cert_file'
    >>> nearest("auth", ["match", "path"]) is None
    True
    >>> nearest("1.1", ["1.2", "1.3"]) is None
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
    folded, best = word.lower(), None
    # Words of one or two letters are too short to be misspelled recognisably.
    least = max(1, len(word) // 4) + 1 if len(word) >= _STEM else 1
    for name in names:
        low = name.lower()
        if abs(len(low) - len(folded)) >= least or _is_another_number(folded, low):
            continue
        if (steps := _steps(folded, low, least)) < least:
            least, best = steps, name
    return best or _part(folded, names)


def _is_another_number(a: str, b: str) -> bool:
    return a != b and _NUMBER.sub("0", a) == _NUMBER.sub("0", b)


def _steps(a: str, b: str, most: int) -> int:
    """Returns how many letters to insert, remove, replace or swap with a neighbour from a to b;
    `most` where it is no less.
    """
    before: list[int] = []
    row = list(range(len(b) + 1))
    for i, left in enumerate(a):
        older, before, row = before, row, [i + 1]
        for j, right in enumerate(b):
            cost = min(before[j + 1] + 1, row[j] + 1, before[j] + (left != right))
            if i and j and left == b[j - 1] and right == a[i - 1]:
                cost = min(cost, older[j - 1] + 1)
            row.append(cost)
        if min(row) >= most and min(before) >= most:
            return most  # each later row is made of these two
    return row[-1]


def _part(word: str, names: Iterable[str]) -> str | None:
    """Returns the shortest name that begins or ends like the word, or the other way round."""
    like = [
        name
        for name in names
        if min(len(word), len(name)) >= _STEM and _is_part(*sorted((word, name.lower()), key=len))
    ]
    return min(like, key=lambda name: abs(len(name) - len(word)), default=None)


def _is_part(short: str, long: str) -> bool:
    return long.startswith(short) or long.endswith(short)


def listed(words: Iterable[str], *, quote: bool = True, most: int = 12, joined: str = "or") -> str:
    """Returns words as prose: `"a", "b" or "c"`;
    counts those beyond `most` instead of listing them.

    >>> listed(["a", "b", "c"])
    '"a", "b" or "c"'
    """
    all_words = [f'"{word}"' if quote else word for word in words]
    shown = all_words[:most]
    if len(all_words) > most:
        return f"{', '.join(shown)} and {len(all_words) - most} more"
    if len(shown) < 2:  # noqa: PLR2004 - one word or none needs no joining
        return "".join(shown)
    return f"{', '.join(shown[:-1])} {joined} {shown[-1]}"
