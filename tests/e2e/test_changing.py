"""A node whose config and processes change while it serves."""

import json
import os
import resource
import signal
import subprocess
import time
from functools import partial
from pathlib import Path

from ports import free_port
from running_node import HEADGATE, Load, RunningNode, Upstream, config, get
from told import until_metric
from waiting import until

SUPERVISOR_PATIENCE_S = 30.0
"""How long the supervisor waits for a data plane that says nothing."""


def patient(port: int, upstream: str, *, extra: str = "") -> str:
    """The usual config, whose drain does not end the connection of a client that is held up."""
    text = config(port, upstream, extra=extra)
    assert text.count('idle_grace = "100ms"') == 1, text
    return text.replace('idle_grace = "100ms"', 'idle_grace = "60s"')


def control_pid(node: RunningNode) -> int:
    """The pid of the control process that answers."""
    control = node.status()["control"]
    assert isinstance(control, dict)
    return int(control["pid"])


def checked(path: Path) -> str:
    """What `headgate check` prints about a config."""
    done = subprocess.run([HEADGATE, "check", path], capture_output=True, text=True, check=True)
    return done.stdout


def test_a_reload_changes_what_is_served_and_loses_nothing(
    folder: Path, port: int, one: Upstream, two: Upstream
) -> None:
    with RunningNode(folder, config(port, one.address), "--no-watch").until_ready() as node:
        with Load(port) as load:
            node.write(config(port, two.address))
            done = node.command("reload")
            assert done.returncode == 0, done.stderr
            assert done.stdout.startswith("applied")
            assert get(port) == (200, b"two")
            for index in range(20):
                node.write(config(port, (one, two)[index % 2].address))
                assert node.admin("POST", "/reload")[0] == 200
        assert load.failures == []
        assert {b"one", b"two"} == set(load.answers)
        until_metric(node, r'headgate_config_reloads_total\{result="applied"\}', 22)


def test_a_listener_can_be_moved(folder: Path, port: int, one: Upstream) -> None:
    other = free_port()
    with RunningNode(folder, config(port, one.address), "--no-watch").until_ready() as node:
        node.write(config(other, one.address))
        assert node.admin("POST", "/reload")[0] == 200
        assert get(other) == (200, b"one")
        until(lambda: refuses(port), "the old port to be closed")


def test_a_listener_is_refused_at_once_by_a_data_plane_without_free_descriptors(
    folder: Path, port: int, one: Upstream
) -> None:
    with RunningNode(folder, config(port, one.address), "--no-watch").until_ready() as node:
        _, pid = node.data_plane()
        before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        used = len(list(Path(f"/proc/{pid}/fd").iterdir()))
        other = free_port()
        node.write(config(other, one.address))
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (used, before[1]))
        began = time.monotonic()
        status, body = node.admin("POST", "/reload")
        took = time.monotonic() - began
        assert status == 422, body
        assert "no free descriptors" in body.decode()
        assert took < SUPERVISOR_PATIENCE_S
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
        assert get(port) == (200, b"one")
        assert node.admin("POST", "/reload")[0] == 200
        assert get(other) == (200, b"one")


def refuses(port: int) -> bool:
    """Whether nobody listens on a port."""
    try:
        get(port)
    except ConnectionRefusedError:
        return True
    return False


def test_a_bad_config_is_refused_and_changes_nothing(
    folder: Path, port: int, one: Upstream
) -> None:
    with RunningNode(folder, config(port, one.address), "--no-watch").until_ready() as node:
        before = node.status()["config"]
        node.write(config(port, one.address).replace('upstream = "app"', "x = 1"))
        status, body = node.admin("POST", "/reload")
        assert status == 422
        paths = [one["path"] for one in json.loads(body)["diagnostics"]]
        assert "routes.all.x" in paths
        done = node.command("reload")
        assert done.returncode == 78
        assert f"{node.config}:" in done.stderr
        after = node.status()["config"]
        assert isinstance(before, dict)
        assert isinstance(after, dict)
        assert after["digest"] == before["digest"]
        assert get(port) == (200, b"one")


def test_what_check_warns_of_is_in_the_status_and_once_in_the_log(
    folder: Path, port: int, one: Upstream
) -> None:
    with RunningNode(folder, config(port, one.address), "--no-watch").until_ready() as node:
        text = config(port, one.address)
        for name in ("first", "second"):
            text += f'[upstreams.{name}]\nendpoints = ["127.0.0.1:1"]\n'
            node.write(text)
            warnings = [line for line in checked(node.config).splitlines() if UNUSED in line]
            assert any(f"upstreams.{name}" in warning for warning in warnings)
            assert node.admin("POST", "/reload")[0] == 200
            until(partial(told, node, warnings), "the warnings")
            until(partial(is_logged, node, name), "the line")
        # The second was logged by a later look, which found the first one too.
        assert logged(node, "first") == logged(node, "second") == 1


UNUSED = "no route uses the upstream"


def told(node: RunningNode, warnings: list[str]) -> bool:
    """Whether the status shows all of them."""
    shown = node.command("status").stdout
    return all(warning in shown for warning in warnings)


def is_logged(node: RunningNode, upstream: str) -> bool:
    """Whether the log warns of it."""
    return logged(node, upstream) > 0


def logged(node: RunningNode, upstream: str) -> int:
    """In how many lines of the log an upstream without routes is warned of."""
    lines = node.log.read_text().splitlines()
    return sum(UNUSED in line and f"upstreams.{upstream}" in line for line in lines)


def test_a_listener_on_a_busy_port_is_refused_whole(
    folder: Path, port: int, one: Upstream, two: Upstream
) -> None:
    with RunningNode(folder, config(port, one.address), "--no-watch").until_ready() as node:
        node.write(config(two.port, two.address))
        status, body = node.admin("POST", "/reload")
        assert status == 422
        assert b"held by" in body
        assert get(port) == (200, b"one")


def test_an_edit_is_noticed(folder: Path, port: int, one: Upstream, two: Upstream) -> None:
    with RunningNode(folder, config(port, one.address)).until_ready() as node:
        node.write(config(port, two.address))
        until(lambda: get(port) == (200, b"two"), "the edit")


def test_sighup_reloads(folder: Path, port: int, one: Upstream, two: Upstream) -> None:
    with RunningNode(folder, config(port, one.address), "--no-watch").until_ready() as node:
        node.write(config(port, two.address))
        node.process.send_signal(signal.SIGHUP)
        until(lambda: get(port) == (200, b"two"), "the reload")


def test_the_control_process_may_be_killed_under_load(
    folder: Path, port: int, one: Upstream, two: Upstream
) -> None:
    with RunningNode(folder, config(port, one.address), "--no-watch").until_ready() as node:
        killed = control_pid(node)
        with Load(port) as load:
            os.kill(killed, signal.SIGKILL)
            until(
                lambda: node.admin_status("/ready") == 200 and control_pid(node) != killed,
                "a new control process",
            )
            until(lambda: node.metric("headgate_control_restarts_total") == 1, "the count")
        assert load.failures == []
        node.write(config(port, two.address))
        assert node.admin("POST", "/reload")[0] == 200
        assert get(port) == (200, b"two")


def test_a_new_control_process_with_a_bad_config_keeps_what_is_served(
    folder: Path, port: int, one: Upstream
) -> None:
    with RunningNode(folder, config(port, one.address), "--no-watch").until_ready() as node:
        killed = control_pid(node)
        node.write("nonsense")
        os.kill(killed, signal.SIGKILL)
        until(
            lambda: node.admin_status("/ready") == 200 and control_pid(node) != killed,
            "a new control process",
        )
        until(lambda: "refused" in json.dumps(node.status()["config"]), "the refusal")
        assert get(port) == (200, b"one")
        node.write(config(port, one.address))
        assert node.admin("POST", "/reload")[0] == 200


def test_a_killed_data_plane_is_replaced_and_a_client_waits_for_it(
    folder: Path, port: int, one: Upstream
) -> None:
    with RunningNode(folder, config(port, one.address)).until_ready() as node:
        generation, pid = node.data_plane()
        os.kill(pid, signal.SIGKILL)
        assert get(port) == (200, b"one")  # it waits in the queue that the supervisor kept
        until(lambda: node.data_plane()[0] == generation + 1, "a new data plane")
        until(lambda: node.metric("headgate_dataplane_restarts_total") == 1, "the count")
        until(lambda: node.status()["ready"] is True, "readiness")


def test_upgrade_loses_nothing(folder: Path, port: int, one: Upstream) -> None:
    with RunningNode(folder, patient(port, one.address)).until_ready() as node:
        generation, pid = node.data_plane()
        with Load(port) as load:
            for _ in range(2):
                done = node.command("upgrade")
                assert done.returncode == 0, done.stderr
            answered = len(load.answers)
            until(lambda: len(load.answers) > answered + 50, "more answers")
        assert load.failures == []
        assert node.data_plane()[0] == generation + 2
        until(lambda: not Path(f"/proc/{pid}").exists(), "the end of the old data plane")
        until(lambda: node.admin_status("/ready") == 200, "readiness")


def test_the_number_of_workers_can_be_changed(folder: Path, port: int, one: Upstream) -> None:
    text = patient(port, one.address, extra="workers = 1")
    with RunningNode(folder, text, "--no-watch").until_ready() as node:
        with Load(port) as load:
            node.write(text.replace("workers = 1", "workers = 3"))
            assert node.admin("POST", "/reload")[0] == 200
            until(lambda: node.data_plane()[0] == 2, "a data plane with three workers")
        assert load.failures == []

        def has_three() -> bool:
            plane = node.engine()
            return bool(plane["workers"] == len(plane["native"]["workers"]) == 3)

        until(has_three, "three workers")


def test_a_directory_that_is_removed_and_copied_anew_is_never_served_in_part(
    folder: Path, port: int, one: Upstream, two: Upstream
) -> None:
    """`rm` and `cp`, one file after the other; the answers are the old ones, then the new ones."""
    parts = folder / "conf.d"
    parts.mkdir()
    whole = config(port, one.address)
    head, routes = whole[: whole.index("[routes.all]")], whole[whole.index("[routes.all]") :]
    (parts / "a.toml").write_text(head)
    (parts / "b.toml").write_text(routes)
    text = f'include = ["{parts}/*.toml"]\n'
    with RunningNode(folder, text).until_ready(), Load(port) as load:
        for upstream in (two, one, two):
            before = len(load.answers)
            for path in sorted(parts.iterdir()):
                path.unlink()
            until(lambda: len(load.answers) > before + 20, "answers without a config")  # noqa: B023
            (parts / "a.toml").write_text(head)
            (parts / "b.toml").write_text(routes.replace(one.address, upstream.address))
            until(lambda: load.answers[-1] == upstream.name.encode(), "the new config")  # noqa: B023
    assert load.failures == []


def test_a_pipe_in_place_of_a_file_is_refused_and_the_node_serves_on(
    folder: Path, port: int, one: Upstream, two: Upstream
) -> None:
    with RunningNode(folder, config(port, one.address)).until_ready() as node:
        pid = control_pid(node)
        node.config.unlink()
        os.mkfifo(node.config)
        status, body = node.admin("POST", "/reload")
        assert (status, b"it is a named pipe" in body) == (422, True)
        assert get(port) == (200, b"one")
        node.write(config(port, two.address))
        until(lambda: get(port) == (200, b"two"), "the mended config")
        assert control_pid(node) == pid
