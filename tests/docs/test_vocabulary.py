"""The vocabulary has one row for each word."""

import re
from collections import Counter
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs/vocabulary.md"


def test_each_word_has_one_row() -> None:
    words = re.findall(r"(?m)^\| (?!word |---)([^|]+?) \|", PAGE.read_text())
    assert len(words) > 100
    assert [word for word, times in Counter(words).items() if times > 1] == []
