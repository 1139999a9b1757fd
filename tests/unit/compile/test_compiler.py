"""Loading again and again: what changed is compiled, what is wrong is said, all of it at once."""

import gc
from pathlib import PurePath

import pytest
from memory_files import MemoryFiles

from headgate.compile.compiler import Compiler
from headgate.compile.load import load
from headgate.compile.loaded import Loaded
from headgate.plan.plan import Plan, diff
from headgate.plan.redact import redacted

BASE = """
[listeners.web]
address = "127.0.0.1:8000"
default = true
[upstreams.one]
endpoints = ["127.0.0.1:1"]

[routes.a]
hosts = ["a.example"]
upstream = "one"
[routes.b]
hosts = ["b.example"]
upstream = "one"
"""
MAIN = [PurePath("main.toml")]


def messages(loaded: Loaded) -> list[str]:
    return [str(diagnostic) for diagnostic in loaded.diagnostics]


def plan_of(loaded: Loaded) -> Plan:
    assert loaded.plan is not None, messages(loaded)
    return loaded.plan


def test_an_edit_of_one_object_is_a_delta_of_one_object() -> None:
    files = MemoryFiles({"main.toml": BASE})
    compiler = Compiler()
    before = plan_of(compiler.load(MAIN, files, {}))
    files.content["main.toml"] = BASE.replace("b.example", "c.example")
    after = plan_of(compiler.load(MAIN, files, {}))
    delta = diff(before, after)
    assert [put.key.name for put in delta.puts] == ["b"]
    assert not delta.deletes
    assert after.digest == plan_of(load(MAIN, files, {})).digest
    key = next(key for key in before.objects if key.name == "a")
    assert after.objects[key] is before.objects[key], "untouched objects are not made again"


@pytest.mark.parametrize("text", [BASE, "[routes"])
def test_the_collector_rests_while_a_config_is_compiled(text: str) -> None:
    seen: list[bool] = []

    class Looking(MemoryFiles):
        def read(self, path: PurePath) -> bytes:
            seen.append(gc.isenabled())
            return super().read(path)

    Compiler().load(MAIN, Looking({"main.toml": text}), {})
    assert seen == [False]
    assert gc.isenabled()


def test_order_and_comments_change_nothing() -> None:
    files = MemoryFiles({"main.toml": BASE})
    compiler = Compiler()
    before = plan_of(compiler.load(MAIN, files, {}))
    tables = BASE.split("[")
    files.content["main.toml"] = "# a comment\n[" + "[".join(reversed(tables[1:])).replace(
        '["a.example"]\n', '["a.example"]\n'
    )
    shuffled = compiler.load(MAIN, files, {})
    if shuffled.plan is not None:
        assert shuffled.plan.digest == before.digest


def test_a_refused_config_leaves_the_last_plan_for_the_next_delta() -> None:
    files = MemoryFiles({"main.toml": BASE})
    compiler = Compiler()
    before = plan_of(compiler.load(MAIN, files, {}))
    files.content["main.toml"] = BASE.replace("b.example", "b example")
    refused = compiler.load(MAIN, files, {})
    assert refused.plan is None
    assert refused.node is None
    assert len(refused.errors) == 1
    files.content["main.toml"] = BASE + "[upstreams.two]\nendpoints = ['127.0.0.1:2']\n"
    after = plan_of(compiler.load(MAIN, files, {}))
    assert [put.key.name for put in diff(before, after).puts] == ["two"]


def test_half_a_file_is_refused_and_the_whole_one_taken() -> None:
    files = MemoryFiles({"main.toml": BASE})
    compiler = Compiler()
    before = plan_of(compiler.load(MAIN, files, {}))
    files.content["main.toml"] = BASE[:-3]
    assert compiler.load(MAIN, files, {}).plan is None
    files.content["main.toml"] = BASE
    assert plan_of(compiler.load(MAIN, files, {})).digest == before.digest


def test_a_name_that_goes_is_missed_by_all_who_use_it_and_found_when_it_comes_back() -> None:
    files = MemoryFiles({"main.toml": BASE})
    compiler = Compiler()
    compiler.load(MAIN, files, {})
    files.content["main.toml"] = BASE.replace("[upstreams.one]", "[upstreams.onee]")
    assert messages(compiler.load(MAIN, files, {})) == [
        'main.toml:10:12: routes.a.upstream: there is no upstream "one"; '
        'write "onee", or define [upstreams.one]',
        'main.toml:13:12: routes.b.upstream: there is no upstream "one"; '
        'write "onee", or define [upstreams.one]',
    ]
    files.content["main.toml"] = BASE
    assert not compiler.load(MAIN, files, {}).diagnostics


def test_routes_follow_the_default_listeners() -> None:
    files = MemoryFiles({"main.toml": BASE})
    compiler = Compiler()
    before = plan_of(compiler.load(MAIN, files, {}))
    files.content["main.toml"] = BASE + (
        "[listeners.more]\naddress = '127.0.0.1:8001'\ndefault = true\n"
    )
    after = plan_of(compiler.load(MAIN, files, {}))
    assert [put.key.name for put in diff(before, after).puts] == ["more", "a", "b"]
    routes = [e.canonical for e in after.objects.values() if e.key.kind == "route"]
    assert all(b'"listeners":["more","web"]' in canonical for canonical in routes)
    assert after.digest == plan_of(load(MAIN, files, {})).digest


def test_documents_merge_and_a_name_in_two_of_them_names_both_places() -> None:
    files = MemoryFiles(
        {
            "main.toml": 'include = ["conf.d/*.yaml"]\n' + BASE,
            "conf.d/1.yaml": "routes:\n  c: { respond: { status: 200 } }\n",
            "conf.d/2.yaml": "routes:\n  a: { respond: { status: 200 } }\nnode: { workers: 1 }\n",
        }
    )
    compiler = Compiler()
    assert messages(compiler.load(MAIN, files, {})) == [
        "conf.d/2.yaml:2:3: routes.a: routes.a is already defined at main.toml:9:9; "
        "remove one of the two"
    ]
    files.content["conf.d/2.yaml"] = "node: { workers: 1 }\n"
    loaded = compiler.load(MAIN, files, {})
    names = sorted(key.name for key in plan_of(loaded).objects if key.kind == "route")
    assert names == ["a", "b", "c"]
    assert loaded.node is not None
    assert loaded.node.workers == 1
    assert loaded.watched.files == {PurePath(name) for name in files.content}
    assert loaded.watched.globs == {PurePath("conf.d/*.yaml")}
    del files.content["conf.d/1.yaml"]
    assert len(plan_of(compiler.load(MAIN, files, {})).objects) == 5


def test_settings_in_two_documents_merge_and_collide_by_key() -> None:
    files = MemoryFiles({"a.toml": "[node]\nworkers = 1\n", "b.toml": "[node]\nworkers = 2\n"})
    paths = [PurePath("a.toml"), PurePath("b.toml")]
    assert messages(load(paths, files, {})) == [
        "b.toml:2:1: node.workers: node.workers is already defined at a.toml:2:1; "
        "remove one of the two"
    ]
    files.content["b.toml"] = "[node]\nlog_level = 'debug'\n"
    node = load(paths, files, {}).node
    assert node is not None
    assert (node.workers, node.log_level) == (1, "debug")


def test_a_directory_stands_for_the_documents_in_it() -> None:
    files = MemoryFiles({"conf/main.toml": BASE, "conf/notes.txt": "not a document"})
    loaded = load([PurePath("conf")], files, {})
    assert len(plan_of(loaded).objects) == 5
    assert PurePath("conf/*.toml") in loaded.watched.globs


def test_a_file_that_was_emptied_is_not_a_config() -> None:
    assert messages(load(MAIN, MemoryFiles({"main.toml": " \n"}), {})) == [
        "main.toml: there is no config in it; write at least one section"
    ]


def test_a_directory_without_a_config_is_refused() -> None:
    assert messages(load(MAIN, MemoryFiles({"main.toml/notes.txt": "x"}), {})) == [
        "main.toml: the directory holds no config; "
        "put a file into it that ends in .toml, .yaml, .yml or .json"
    ]


def test_what_cannot_be_found_or_read_is_said() -> None:
    files = MemoryFiles({"main.toml": 'include = ["gone.toml", "d*/x.toml"]\n', "a.ini": ""})
    paths = [*MAIN, PurePath("nowhere.toml"), PurePath("a.ini")]
    assert messages(load(paths, files, {})) == [
        'a.ini: the suffix ".ini" says no format; '
        "give it a name that ends in .toml, .yaml, .yml or .json",
        'main.toml:1:12: include[0]: "gone.toml" does not exist; name an existing file, '
        "or remove it",
        'main.toml:1:25: include[1]: "d*/x.toml" has a directory with wildcards; '
        "write `*` and `?` in the last part of the path only",
        "nowhere.toml: the file cannot be read: no such file or directory; "
        "name a file that headgate may read",
    ]


def test_documents_that_include_each_other_are_read_once() -> None:
    files = MemoryFiles(
        {"main.toml": 'include = ["b.toml"]\n' + BASE, "b.toml": "include = ['main.toml']"}
    )
    assert not load(MAIN, files, {}).diagnostics


CERTIFICATES = (
    BASE
    + """
[certificates.c]
cert_file = "tls/c.pem"
key_file = "tls/c.key"
"""
)
CERT = "-----BEGIN CERTIFICATE-----\n{}\n"
KEY = "-----BEGIN PRIVATE KEY-----\n{}\n"


def test_a_certificate_that_is_replaced_on_disk_is_a_change_of_it_alone() -> None:
    files = MemoryFiles(
        {"main.toml": CERTIFICATES, "tls/c.pem": CERT.format(1), "tls/c.key": KEY.format(1)}
    )
    compiler = Compiler()
    loaded = compiler.load(MAIN, files, {})
    before = plan_of(loaded)
    assert before.blobs() == loaded.blobs.keys()
    assert PurePath("tls/c.key") in loaded.watched.files
    files.content |= {"tls/c.pem": CERT.format(2), "tls/c.key": KEY.format(2)}
    loaded = compiler.load(MAIN, files, {})
    delta = diff(before, plan_of(loaded))
    assert [put.key.kind for put in delta.puts] == ["certificate"]
    assert sorted(loaded.blobs.values()) == [CERT.format(2).encode(), KEY.format(2).encode()]


def test_a_key_that_can_no_longer_be_read_refuses_and_is_watched_until_it_can() -> None:
    files = MemoryFiles(
        {"main.toml": CERTIFICATES, "tls/c.pem": CERT.format(1), "tls/c.key": KEY.format(1)}
    )
    compiler = Compiler()
    before = plan_of(compiler.load(MAIN, files, {}))
    files.unreadable.add("tls/c.key")
    refused = compiler.load(MAIN, files, {})
    assert "permission denied" in messages(refused)[0]
    assert PurePath("tls/c.key") in refused.watched.files
    files.unreadable.clear()
    assert plan_of(compiler.load(MAIN, files, {})).digest == before.digest


SECRET = (
    BASE
    + """
[middlewares.key]
request_headers = { set = { authorization = { file = "secret" }, x-zone = "${env:ZONE}" } }
"""
)


def test_secrets_come_from_files_and_the_environment_and_are_never_shown() -> None:
    files = MemoryFiles({"main.toml": SECRET, "secret": "pa$$word${host}\n"})
    compiler = Compiler()
    loaded = compiler.load(MAIN, files, {"ZONE": "eu"})
    (middleware,) = (e for e in plan_of(loaded).objects.values() if e.key.kind == "middleware")
    assert b'"authorization":"pa$$$$word$${host}"' in middleware.canonical
    assert b'"x-zone":"eu"' in middleware.canonical
    shown = redacted(middleware.canonical, loaded.secrets)
    assert shown == (
        b'{"request_headers":{"set":{"authorization":"(secret)","x-zone":"(secret)"}}}'
    )
    files.content |= {"secret": "two\nlines"}
    refused = compiler.load(MAIN, files, {"ZONE": "e\nu"})
    assert len(refused.errors) == 2
    assert not any("two" in m or "e\nu" in m for m in messages(refused))


def test_another_environment_is_another_config() -> None:
    files = MemoryFiles({"main.toml": SECRET, "secret": "s"})
    compiler = Compiler()
    before = plan_of(compiler.load(MAIN, files, {"ZONE": "eu"}))
    delta = diff(before, plan_of(compiler.load(MAIN, files, {"ZONE": "us"})))
    assert [put.key.kind for put in delta.puts] == ["middleware"]


@pytest.mark.parametrize("key", ["log_level = '${env:V}'", "workers = '${env:V}'"])
def test_the_environment_may_give_words_and_numbers(key: str) -> None:
    files = MemoryFiles({"main.toml": f"[node]\n{key}\n"})
    value = "debug" if "level" in key else "3"
    loaded = load(MAIN, files, {"V": value})
    assert not loaded.diagnostics
    assert loaded.node is not None
    assert value in (loaded.node.log_level, str(loaded.node.workers))


def test_places_point_at_the_text() -> None:
    text = BASE + '[hosts."A.Example"]\nmiddlewares = []\n[node]\nworkers = 1\n'
    loaded = load(MAIN, MemoryFiles({"main.toml": text}), {})
    assert str(loaded.place("route", "b")) == "main.toml:11:9"
    assert str(loaded.place("route", "b", "upstream")) == "main.toml:13:1"
    assert str(loaded.place("host", "a.example", "middlewares")) == "main.toml:15:1"
    assert str(loaded.place("settings", "node", "workers")) == "main.toml:17:1"
    assert loaded.place("route", "nothing") is None


def test_two_spellings_of_a_host_collide_until_one_goes() -> None:
    twice = BASE + '[hosts."A.Example"]\n[hosts."a.example"]\n'
    files = MemoryFiles({"main.toml": twice})
    compiler = Compiler()
    assert messages(compiler.load(MAIN, files, {})) == [
        'main.toml:15:8: hosts."a.example": hosts."A.Example" is already defined at '
        "main.toml:14:8; remove one of the two"
    ]
    for spelling in ("A.Example", "a.example"):
        files.content["main.toml"] = BASE + f'[hosts."{spelling}"]\n'
        hosts = [k for k in plan_of(compiler.load(MAIN, files, {})).objects if k.kind == "host"]
        assert [key.name for key in hosts] == ["a.example"]
        files.content["main.toml"] = twice
        assert compiler.load(MAIN, files, {}).plan is None


def test_a_secret_file_is_read_again_when_its_mode_changes() -> None:
    users = 'middlewares = [{ basic_auth = { users = { file = "users" } } }]'
    user = "alice:$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW\n"
    text = BASE.replace("[routes.b]", f"{users}\n[routes.b]")
    files = MemoryFiles({"main.toml": text, "users": user})
    compiler = Compiler()
    for is_public in (True, False, True):
        files.public = {"users"} if is_public else set()
        said = messages(compiler.load(MAIN, files, {}))
        assert bool(said) is is_public, said
        assert all("every user of this host can read" in one for one in said)
