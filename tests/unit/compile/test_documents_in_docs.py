"""What the docs show of configs is what configs are."""

import re
from pathlib import Path, PurePath

import pytest
from memory_files import MemoryFiles

from headgate.cli.remote.documents import gather
from headgate.compile.load import load

ROOT = Path(__file__).parents[3]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FOR_A_MASTER = re.compile(r"(?m)^\[+(templates|virtual_hosts)\.")
EXAMPLES = [
    pytest.param(text, id=f"{page.name}-{number}")
    for page in PAGES
    for number, text in enumerate(re.findall(r"(?ms)^```toml\n(.*?)^```", page.read_text()), 1)
    if "[[cases]]" not in text  # what `headgate test` reads is another document
]
ELSEWHERE = re.compile(
    r"there is no |does not exist|cannot be read: |no listener serves|"
    r"the environment has no variable"
)
"""What an excerpt may leave out: other objects, and files."""


@pytest.mark.parametrize("text", EXAMPLES)
def test_an_example_in_the_docs_is_right_as_far_as_it_goes(text: str, tmp_path: Path) -> None:
    if FOR_A_MASTER.search(text):
        (tmp_path / "a.toml").write_text(text)
        assert gather([tmp_path]).wrong == ()
        return
    loaded = load([PurePath("a.toml")], MemoryFiles({"a.toml": text}), {})
    wrong = [str(one) for one in loaded.errors if not ELSEWHERE.search(one.message)]
    assert wrong == []
