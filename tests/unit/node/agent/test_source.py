"""What an agent serves before its master has anything for it."""

from pathlib import Path

import pytest

from headgate.kernel.errors import Invalid
from headgate.node.agent.source import MasterSource
from headgate.node.ports import Candidate, NothingYetError, Rejected
from headgate.providers.file import disk
from headgate.providers.file.watch import fingerprint
from headgate.providers.master.store import BundleStore


def source(folder: Path, own: str) -> MasterSource:
    """A node with settings of its own and no bundle."""

    def verify(raw: bytes, signature: bytes) -> object:
        raise Invalid("nothing", "nothing")

    file = folder / "node.toml"
    file.write_text(own)
    store = BundleStore(folder / "bundles", verify)  # type: ignore[arg-type]
    return MasterSource([file], store, "the master")


def test_a_node_that_observes_an_nginx_does_so_without_a_revision(tmp_path: Path) -> None:
    found = source(
        tmp_path, '[node]\nengine = "nginx"\n[node.nginx]\nmode = "observe"\nstart = "external"\n'
    ).load()
    assert isinstance(found, Candidate)
    assert found.node.nginx.mode == "observe"
    assert [key.kind for key in found.plan.objects] == ["settings"]


@pytest.mark.parametrize("own", ['[node]\nengine = "nginx"\n', '[node]\nengine = "native"\n'])
def test_another_node_waits_for_its_first_revision(tmp_path: Path, own: str) -> None:
    with pytest.raises(NothingYetError, match="no config came from the master yet"):
        source(tmp_path, own).load()


def test_an_upstream_of_its_own_is_refused(tmp_path: Path) -> None:
    found = source(tmp_path, '[upstreams.a]\nendpoints = ["127.0.0.1:9"]\n').load()
    assert isinstance(found, Rejected)
    assert "the config of an agent comes from its master" in str(found.diagnostics[0])


@pytest.mark.parametrize(
    ("own", "path"),
    [
        ("[routes.r]\nrespond = { status = 200 }\n", "routes.r"),
        ('[routes."a b"]\nrespond = { status = 200 }\nunknown = 1\n', 'routes."a b"'),
        ('[listeners.web]\naddress = "nowhere"\n', "listeners.web"),
    ],
)
def test_an_object_of_its_own_is_said_to_belong_to_the_master_whatever_is_wrong_in_it(
    tmp_path: Path, own: str, path: str
) -> None:
    found = source(tmp_path, own).load()
    assert isinstance(found, Rejected)
    assert {(one.path, "comes from its master" in one.message) for one in found.diagnostics} == {
        (path, True)
    }


def test_mistakes_in_its_own_settings_are_said_as_they_are(tmp_path: Path) -> None:
    found = source(tmp_path, '[node]\nlog_level = "loud"\n').load()
    assert isinstance(found, Rejected)
    assert [one.path for one in found.diagnostics] == ["node.log_level"]


def test_a_file_that_its_refused_settings_name_is_watched(tmp_path: Path) -> None:
    found = source(tmp_path, '[node]\nadmin_token = { file = "token" }\n')
    assert isinstance(found.load(), Rejected)
    assert tmp_path / "token" in found._known.watched.files
    (tmp_path / "token").write_text("correct-horse-battery")
    (tmp_path / "token").chmod(0o600)
    assert found._known.seen != fingerprint(found._known.watched)
    with pytest.raises(NothingYetError):
        found.load()


def test_a_file_of_its_own_is_named_while_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = source(tmp_path, '[node]\nlog_level = "loud"\n')
    content, named = disk._content, []

    def noted(descriptor: int) -> bytes:
        named.append(found.reading())
        return content(descriptor)

    monkeypatch.setattr(disk, "_content", noted)
    found.load()
    assert [one and one.path for one in named] == [str(tmp_path / "node.toml")]
