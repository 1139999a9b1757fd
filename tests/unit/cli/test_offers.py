"""The words that a shell offers on Tab."""

from pathlib import Path

import pytest

from headgate.cli import offers
from headgate.cli.remote import contexts
from headgate.cli.remote.contexts import Context, Contexts


def test_kinds_are_offered_by_their_beginning() -> None:
    assert offers.kinds("rev") == ["revisions"]
    assert offers.kinds("nothing") == []


def test_contexts_are_offered_in_order_and_none_of_a_file_that_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADGATE_CONFIG_HOME", str(tmp_path))
    one = Context("http://127.0.0.1:1", "access")
    contexts.save(tmp_path / contexts.FILE, Contexts("", {"sun": one, "sea": one, "up": one}))
    assert offers.contexts("s") == ["sea", "sun"]
    (tmp_path / contexts.FILE).write_text("{")
    assert offers.contexts("s") == []
