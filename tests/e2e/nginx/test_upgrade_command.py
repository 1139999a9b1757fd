"""`headgate nginx upgrade` on the nginx of a real node."""

from pathlib import Path

from ports import free_port
from running_node import Load, RunningNode, Upstream, config, get
from waiting import until

from headgate.engines.nginx.apply.here import recall
from headgate.engines.nginx.instance import NginxInstance


def test_the_binary_on_disk_takes_over_from_the_one_that_runs(
    folder: Path, binary: Path, one: Upstream
) -> None:
    own = folder / "nginx-copy"
    own.write_bytes(binary.read_bytes())
    own.chmod(0o755)
    port = free_port()
    engine = f'engine = "nginx"\nnginx = {{ binary = "{own}" }}\n'
    text = config(port, one.address).replace("[node]\n", f"[node]\n{engine}")
    with RunningNode(folder, text) as node:
        node.until_ready()
        until(lambda: get(port)[1] == b"one", "the first release")
        instance = NginxInstance(recall(node.state / "nginx").place)
        before = instance.master()
        fresh = folder / "nginx-new"
        fresh.write_bytes(binary.read_bytes() + b"\0")
        fresh.chmod(0o755)
        fresh.replace(own)
        with Load(port, connections=2) as load:
            done = node.command("nginx", "upgrade", "--soak", "500ms")
        after = instance.master()
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("runs the binary on disk (")
        assert before is not None
        assert after is not None
        assert after.pid != before.pid
        assert instance.running_digest() == instance.binary_digest()
        assert load.lost == []
        # Each of two clients may come to the other old worker before that one knows of its end.
        assert len(load.failures) <= 4
        # The node goes on with the new master.
        node.write(text.replace('hosts = ["*"]', 'hosts = ["a.example"]'))
        until(lambda: get(port, host="b.example")[0] == 404, "the next release")
        instance.stop(1.0)


def test_without_an_nginx_it_says_so(folder: Path) -> None:
    node = RunningNode.__new__(RunningNode)
    node.state = folder
    done = node.command("nginx", "upgrade")
    assert done.returncode != 0
    assert "no nginx is driven from" in done.stderr
