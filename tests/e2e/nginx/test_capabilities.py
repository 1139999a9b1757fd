"""What the real nginx says of itself when asked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest
from peers import ROOT_ONLY

from headgate.engines.nginx.capabilities import (
    SNIPPETS,
    Binary,
    NotProbedError,
    binary_of,
    loads,
    probe,
)
from headgate.engines.nginx.instance import NginxInstance, Place
from headgate.engines.nginx.instance.needs import Needs
from headgate.engines.nginx.instance.sandbox import OUTPUT_BYTES, TIMEOUT_S, Outcome, Sandbox

NOTHING = Needs()
ALWAYS = {"zone", "gzip", "map", "limit_req", "limit_conn", "split_clients", "proxy", "rewrite"}


def test_what_every_nginx_does_is_accepted_and_what_only_plus_does_is_not(binary: Path) -> None:
    found = probe(Binary(str(binary))).capabilities
    assert found.accepted >= ALWAYS
    assert not found.has("health_check")
    assert not found.has("queue")
    assert found.accepted <= {snippet.name for snippet in SNIPPETS}


@dataclass(frozen=True, slots=True)
class Noting(Sandbox):
    """Notes where it ran: other tests make folders of the same kind at the same time."""

    folders: list[Path] = field(default_factory=list)

    def run(
        self,
        commands: Sequence[Sequence[str]],
        files: Mapping[str, str] | None = None,
        *,
        needs: Needs = NOTHING,
        timeout_s: float = TIMEOUT_S,
        output_bytes: int = OUTPUT_BYTES,
    ) -> Outcome:
        """The same with one more command, which says where."""
        outcome = Sandbox.run(
            self,
            [*commands, ["/bin/echo", "{folder}"]],
            files,
            needs=needs,
            timeout_s=timeout_s,
            output_bytes=output_bytes,
        )
        *results, said = outcome.results
        self.folders.append(Path(said.printed.strip()))
        return msgspec.structs.replace(outcome, results=tuple(results))


def test_nothing_of_a_probe_is_seen_outside(binary: Path, folder: Path) -> None:
    sandbox = Noting()
    probe(Binary(str(binary), conf=str(folder / "nginx.conf"), sandbox=sandbox))
    assert sandbox.folders
    for scratch in sandbox.folders:
        assert scratch.name.startswith("headgate-")
        assert not scratch.exists()
    assert list(folder.iterdir()) == []


def test_a_second_probe_comes_from_disk_and_is_the_same(binary: Path, folder: Path) -> None:
    first = probe(Binary(str(binary)), folder)
    file = next(folder.iterdir())
    stamp = file.stat().st_mtime_ns
    assert probe(Binary(str(binary)), folder) == first
    assert file.stat().st_mtime_ns == stamp


def test_another_binary_is_asked_anew(binary: Path, folder: Path) -> None:
    probe(Binary(str(binary)), folder / "cache")
    copied = folder / "nginx"
    copied.write_bytes(binary.read_bytes() + b"\0")
    copied.chmod(0o755)
    found = probe(Binary(str(copied)), folder / "cache")
    assert found.capabilities.binary_digest == Binary(str(copied)).digest()
    assert len(list((folder / "cache").iterdir())) == 2


def test_a_damaged_cache_costs_only_the_time_to_ask_again(binary: Path, folder: Path) -> None:
    first = probe(Binary(str(binary)), folder)
    next(folder.iterdir()).write_bytes(b"{ half")
    assert probe(Binary(str(binary)), folder) == first


def test_a_module_that_does_not_load_is_listed_with_the_reason(binary: Path, folder: Path) -> None:
    enabled = folder / "modules-enabled"
    enabled.mkdir()
    broken = folder / "ngx_http_broken_module.so"
    broken.write_bytes(b"no library")
    (enabled / "50-broken.conf").write_text(f"load_module {broken};\n")
    found = probe(Binary(str(binary), conf=str(folder / "nginx.conf")))
    module = next(m for m in found.modules if m.name == "http_broken")
    assert module.path == str(broken)
    assert "dlopen()" in module.why_not
    assert found.capabilities.accepted >= ALWAYS


def test_stream_is_loaded_where_it_is_a_module(binary: Path) -> None:
    found = probe(Binary(str(binary))).capabilities
    if "stream" not in found.modules:
        pytest.skip("this nginx has stream built in, or not at all")  # noqa: TID251 - either is right
    assert found.has("stream")
    assert loads(found, ["stream", "gzip"]) == (found.modules["stream"],)
    assert loads(found, ["gzip"]) == ()


def test_what_is_no_nginx_is_refused_with_its_words(folder: Path) -> None:
    fake = folder / "nginx"
    fake.write_text("#!/bin/sh\necho not me >&2; exit 4\n")
    fake.chmod(0o755)
    with pytest.raises(NotProbedError, match="ended with 4: not me"):
        probe(Binary(str(fake)))


def test_an_instance_is_probed_where_it_is(binary: Path, folder: Path) -> None:
    place = Place(conf=str(folder / "nginx.conf"), binary=str(binary))
    asked = binary_of(NginxInstance(place))
    assert (asked.path, asked.root) == (str(binary), Path("/"))
    assert probe(asked).capabilities.accepted >= ALWAYS


@ROOT_ONLY
def test_the_probe_is_confined(binary: Path) -> None:
    outcome = Binary(str(binary)).sandbox.run([[str(binary), "-v"]])
    assert outcome.isolation == "copy", outcome.why
