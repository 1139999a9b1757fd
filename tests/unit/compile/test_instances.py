"""`node.instances`: each instance is `[node]` with its own table over it, and errors say where."""

from pathlib import PurePath

import pytest
from memory_files import MemoryFiles

from headgate.compile.load import load
from headgate.compile.loaded import Loaded

PATH = PurePath("/etc/headgate/node.toml")
SHARED = """\
[node]
engine = "nginx"
log_level = "warn"

[node.nginx]
mode = "observe"
start = "external"

"""
OUTER = '[node.instances.outer.nginx]\nconf = "/etc/nginx/outer.conf"\n'
INNER = '[node.instances.inner.nginx]\nconf = "/etc/nginx/inner.conf"\n'


def loaded(text: str, instance: str = "") -> Loaded:
    """What a config says."""
    return load([PATH], MemoryFiles({str(PATH): text}), {}, instance)


def errors(text: str, instance: str = "") -> list[str]:
    """The errors of a config, without the path of the file."""
    found = loaded(text, instance)
    assert found.node is None
    return [str(one).removeprefix("/etc/headgate/node.toml:") for one in found.diagnostics]


def test_an_instance_is_the_node_with_its_own_table_over_it() -> None:
    text = (
        SHARED + OUTER + '[node.instances.inner]\nlog_level = "debug"\nadmin = "127.0.0.1:9091"\n'
    )
    node = loaded(text).node
    assert node is not None
    assert list(node.instances) == ["outer", "inner"]
    outer, inner = node.instances["outer"], node.instances["inner"]
    assert (outer.nginx.mode, outer.nginx.conf) == ("observe", "/etc/nginx/outer.conf")
    assert (outer.log_level, outer.admin) == ("warn", ())
    assert (inner.nginx.mode, inner.nginx.conf) == ("observe", None)
    assert (inner.log_level, inner.admin) == ("debug", ("127.0.0.1:9091",))


def test_a_process_of_an_instance_reads_its_own_settings() -> None:
    text = (
        SHARED + OUTER + '[node.instances.inner]\nname = "edge-1"\nlabels = { tier = "canary" }\n'
    )
    node = loaded(text, "inner").node
    assert node is not None
    assert (node.title, node.labels) == ("edge-1", {"tier": "canary"})
    assert not node.instances
    assert loaded(text, "outer").node != node


def test_one_whose_table_is_wrong_does_not_refuse_the_config_of_another() -> None:
    text = SHARED + OUTER + '[node.instances.inner.nginx]\nconf = "relative"\n'
    assert loaded(text, "outer").node is not None
    assert errors(text, "inner") == errors(text)


def test_what_only_an_instance_makes_whole_is_no_error_of_the_node() -> None:
    text = SHARED.replace('start = "external"\n', "") + OUTER + 'start = "external"\n'
    assert loaded(text).node is not None


@pytest.mark.parametrize(
    ("tables", "expected"),
    [
        (
            OUTER + '[node.instances.inner.nginx]\nconf = "/etc/nginx/../nginx/outer.conf"\n',
            '12:8: node.instances.inner.nginx.conf: the nginx of "/etc/nginx/outer.conf" is that '
            'of instance "outer", too; write the `conf` of another nginx',
        ),
        (
            "[node.instances.outer]\n[node.instances.inner]\n",
            "10:17: node.instances.inner: the nginx with the default config of this host is that"
            ' of instance "outer", too; write the `conf` of another nginx',
        ),
        (
            OUTER + 'pid = "/run/nginx.pid"\n' + INNER + 'pid = "/run/nginx.pid"\n',
            '14:7: node.instances.inner.nginx.pid: the pid file "/run/nginx.pid" is that of'
            ' instance "outer", too; write the `pid` of another nginx',
        ),
        (
            OUTER + 'mode = "guest"\nstart = "systemd"\n'
            "[node.instances.inner]\n"
            'nginx = { mode = "full", start = "systemd" }\n',
            "14:34: node.instances.inner.nginx.start: the nginx of nginx.service is that of "
            'instance "outer", too; write `start = "external"` for the nginx of a unit of another '
            "name",
        ),
        (
            OUTER + INNER + '[node.instances.inner]\nmetrics = "127.0.0.1:9091"\n'
            '[node.instances.third]\nnginx = { conf = "/c" }\nadmin = "127.0.0.1:9092"\n'
            'metrics = ["127.0.0.1:9091"]\n',
            '18:11: node.instances.third.metrics: the address "127.0.0.1:9091" is that of instance '
            '"inner", too; give each instance addresses of its own',
        ),
        (
            '[node.instances.a]\nname = "x"\nnginx = { conf = "/a" }\n'
            '[node.instances.b]\nname = "x"\nnginx = { conf = "/b" }\n',
            '13:8: node.instances.b.name: the name "x" is that of instance "a", too; give each one '
            "a name of its own",
        ),
        (
            OUTER + '[node.instances.inner]\nstate_dir = "/x"\nnginx = { conf = "/i" }\n',
            "12:1: node.instances.inner.state_dir: the key is unknown; it belongs in [node]",
        ),
        (
            OUTER + '[node.instances.inner.nginx]\nconf = "/i"\nmode = "watch"\n',
            '13:8: node.instances.inner.nginx.mode: "watch" is not allowed here; write "full", '
            '"guest" or "observe"',
        ),
        (
            OUTER + '[node.instances."In ner".nginx]\nconf = "/i"\n',
            '11:17: node.instances."In ner": "In ner" is not a name of an instance; write 1 to 32'
            " of a-z 0-9 . _ -, not beginning with a dot",
        ),
        (
            OUTER + '[node.instances.inner]\nlabels = { Tier = "x" }\nnginx = { conf = "/i" }\n',
            '12:10: node.instances.inner.labels: "Tier=x" is not a label; write one such as tier ='
            ' "canary"',
        ),
        (
            "[node.instances]\n",
            "9:7: node.instances: there is no instance; write one table per nginx: "
            "[node.instances.NAME], or remove it",
        ),
        (
            "[node.instances]\nouter = 3\n",
            "10:9: node.instances.outer: 3 is not a table; write one table per nginx: "
            "[node.instances.NAME]",
        ),
    ],
)
def test_what_is_wrong_with_an_instance_is_said_where_it_is_written(
    tables: str, expected: str
) -> None:
    assert errors(SHARED + tables) == [expected]


def test_an_error_of_the_node_is_said_once() -> None:
    text = SHARED.replace('"warn"', '"loud"') + OUTER + INNER
    (error,) = errors(text)
    assert error.startswith("3:13: node.log_level: ")


def test_addresses_that_the_node_gives_to_all_are_refused() -> None:
    text = SHARED.replace('"warn"\n', '"warn"\nmetrics = "127.0.0.1:9091"\n') + OUTER + INNER
    (error,) = errors(text)
    assert error.startswith("12:17: node.instances.inner: the address")


def test_the_native_engine_has_no_instances() -> None:
    (error,) = errors("[node.instances.outer]\n")
    assert error == (
        '1:17: node.instances.outer: the engine of instance "outer" is not nginx; write '
        '`engine = "nginx"` in [node]; a native node takes an agent of its own'
    )


def test_an_instance_that_left_the_config_says_so() -> None:
    (error,) = errors(SHARED + OUTER, "inner")
    assert 'there is no instance "inner" any more' in error
    (error,) = errors(SHARED, "inner")
    assert 'there is no instance "inner" any more' in error
