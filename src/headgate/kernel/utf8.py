"""Names and values of the system whose bytes are not UTF-8.

Python gives such bytes as lone surrogates (PEP 383), which no JSON, log or plan can hold.
"""


def is_utf8(text: str) -> bool:
    """Reports whether a text can be written as UTF-8.

    >>> is_utf8("ä"), is_utf8("\\udcff")
    (True, False)
    """
    return text.isascii() or not any("\ud800" <= one <= "\udfff" for one in text)


def shown(text: str) -> str:
    """Returns a text of the system for people, with escapes for the bytes that are not UTF-8.

    >>> shown("a\\udcff")
    'a\\\\xff'
    """
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
