"""The runner of the docs' blocks tells a page that is true from one that is not."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from doc_page import Block, PageError, blocks

RunPage = Callable[[Path], "subprocess.CompletedProcess[str]"]

BACKGROUND = """
<!-- run until: test -s up -->
```sh
echo $$ > up
exec tail -f /dev/null
```

```console
$ kill -0 $(cat up) && cat a.txt
one
…
th… three
```
"""
FILE = """
<!-- run file: a.txt -->
```toml
one
two
three: three
```
"""
WRONG = {
    "a command that fails": ("```sh\ntrue\nfalse\ntrue\n```\n", "exit code 1, not 0"),
    "another exit code": ("<!-- run exit: 78 -->\n```sh\nexit 2\n```\n", "exit code 2, not 78"),
    "other output": ("```console\n$ echo one\ntwo\n```\n", "one\ninstead of\ntwo"),
    "more output": ("```console\n$ echo one; echo two\none\n```\n", "instead of"),
    "an end too early": ("<!-- run until: false -->\n```sh\nexit 3\n```\n", "it ended with 3"),
    "a block that takes too long": (
        "<!-- run within: 1 -->\n```sh\nexec tail -f /dev/null\n```\n",
        "it runs longer than",
    ),
    "a setup that fails": ("<!-- run setup: false -->\n```sh\ntrue\n```\n", "exit code 1"),
}
UNREADABLE = {
    "an unknown mark": ("<!-- run on: monday -->\n```sh\n```\n", "unknown mark 'on'"),
    "a mark before text": ("<!-- run exit: 1 -->\ntext\n", "a mark stands before text"),
    "a mark at the end": ("<!-- run exit: 1 -->\n", "ends after a mark"),
    "a time that is no number": ("<!-- run within: soon -->\n```sh\n```\n", "write seconds"),
    "an open block": ("```sh\ntrue\n", "line 1: the block has no end"),
    "a block that nothing runs": ("```toml\na = 1\n```\n", "nothing runs 'toml'"),
    "a reason among marks": (
        "<!-- run not: no -->\n<!-- run exit: 1 -->\n```sh\n```\n",
        "'not' stands alone",
    ),
}


def page(folder: Path, text: str) -> Path:
    """A page with this text."""
    path = folder.with_name("page.md")
    path.write_text(text)
    return path


def test_a_page_is_run_in_order_in_one_directory_with_what_it_left_running(
    scratch: Path, run_page: RunPage
) -> None:
    done = run_page(page(scratch, FILE + BACKGROUND))
    assert (done.returncode, done.stdout) == (0, "")
    left = int((scratch / "up").read_text())
    assert not Path(f"/proc/{left}").exists()


@pytest.mark.parametrize(("text", "said"), WRONG.values(), ids=WRONG)
def test_a_page_that_is_wrong_is_told_with_its_line(
    scratch: Path, run_page: RunPage, text: str, said: str
) -> None:
    done = run_page(page(scratch, "\n" + text))
    assert done.returncode == 1
    assert done.stdout.startswith("page.md:")
    assert said in done.stdout


@pytest.mark.parametrize(("text", "said"), UNREADABLE.values(), ids=UNREADABLE)
def test_a_page_that_cannot_be_run_is_refused(text: str, said: str) -> None:
    with pytest.raises(PageError, match=said):
        blocks(text)


def test_a_block_has_its_line_its_text_and_its_marks() -> None:
    text = "a\n\n<!-- run not: it needs a moon -->\n  ```sh\n  one\n    two\n  ```\n"
    assert blocks(text) == [Block(4, "sh", "one\n  two\n", {"not": "it needs a moon"})]
