"""How an instance is reached, remembered for commands that run without the node."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from headgate.engines.nginx.apply.here import (
    INSTANCE,
    Here,
    NotHereError,
    full_mode,
    recall,
    remember,
)
from headgate.engines.nginx.apply.hold import set_hold


def test_what_is_remembered_is_recalled(tmp_path: Path) -> None:
    here = full_mode(tmp_path, "/usr/sbin/nginx", "www-data")
    remember(tmp_path, here)
    assert recall(tmp_path) == here
    settings = replace(
        here.settings, proxied=frozenset({"127.0.0.1:80"}), entry="/etc/nginx/nginx.conf"
    )
    here = Here(here.place, settings, 33)
    remember(tmp_path, here)
    assert recall(tmp_path) == here
    assert [path.name for path in tmp_path.iterdir()] == [INSTANCE]


def test_what_cannot_be_written_is_not_forgotten_silently(tmp_path: Path) -> None:
    here = full_mode(tmp_path, "/usr/sbin/nginx", None)
    odd = replace(here.settings, entry=object())  # type: ignore[arg-type]
    with pytest.raises(NotImplementedError, match="object"):
        remember(tmp_path, Here(here.place, odd))
    assert list(tmp_path.iterdir()) == []


def test_an_applier_works_in_the_folder_that_is_asked_for(tmp_path: Path) -> None:
    one = full_mode(tmp_path, "/usr/sbin/nginx", None).applier(tmp_path)
    assert one.held() is None
    set_hold(tmp_path, 60.0, "night fix")
    held = one.held()
    assert held is not None
    assert held.code == "held"


def test_nothing_or_nonsense_is_said(tmp_path: Path) -> None:
    with pytest.raises(NotHereError, match="no nginx is driven"):
        recall(tmp_path)
    (tmp_path / INSTANCE).write_text("{")
    with pytest.raises(NotHereError, match="cannot be read"):
        recall(tmp_path)


def test_a_folder_that_is_not_a_text_is_nonsense(tmp_path: Path) -> None:
    remember(tmp_path, full_mode(tmp_path, "/usr/sbin/nginx", None))
    known = json.loads((tmp_path / INSTANCE).read_bytes())
    known["settings"]["limits"]["folders"] = [7]
    (tmp_path / INSTANCE).write_text(json.dumps(known))
    with pytest.raises(NotHereError, match="cannot be read: 7 is not a Path"):
        recall(tmp_path)
