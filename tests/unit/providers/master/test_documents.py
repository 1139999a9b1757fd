"""A bundle as documents: diagnostics name resources, and nothing of the machine is reached."""

from pathlib import PurePath

import pytest
from bundles import LISTENER, Resources, Signer
from memory_files import MemoryFiles

from headgate.compile.compiler import Compiler
from headgate.compile.loaded import Loaded
from headgate.providers.master.documents import BundleFiles, documents

HERE = {"/etc/key.pem": "a key of this machine", "/etc/node.toml": '[node]\nlog_level = "debug"'}
ANSWER = {"status": 200}


def load(resources: Resources, own: str = "", secrets: dict[str, bytes] | None = None) -> Loaded:
    bundle = Signer().bundle(1, {("listeners", "web"): LISTENER, **resources}, secrets)
    files = BundleFiles(bundle, MemoryFiles(HERE))
    paths = [PurePath(own)] if own else []
    return Compiler().load([*paths, *documents(bundle)], files, {"TOKEN": "of this machine"})


def test_resources_are_compiled_as_the_config_of_files_is() -> None:
    loaded = load({("routes", "all"): {"respond": ANSWER}})
    assert not loaded.diagnostics
    assert loaded.plan is not None
    assert {str(key.kind) for key in loaded.plan.objects} == {"settings", "listener", "route"}


def test_a_diagnostic_names_the_resource_and_the_path_in_it() -> None:
    loaded = load({("routes", "a/b"): {"respond": {"status": "two hundred"}}})
    (one,) = loaded.diagnostics
    assert one.file == "routes/a%2Fb.json"
    assert one.path == 'routes."a/b".respond.status'
    assert one.line == 1


def test_a_missing_reference_is_found_where_it_stands() -> None:
    (one,) = load({("routes", "all"): {"upstream": "api"}}).diagnostics
    assert (one.file, one.path) == ("routes/all.json", "routes.all.upstream")


def test_the_settings_of_the_node_come_from_its_own_file() -> None:
    loaded = load({("routes", "all"): {"respond": ANSWER}}, own="/etc/node.toml")
    assert loaded.node is not None
    assert loaded.node.log_level == "debug"


@pytest.mark.parametrize("path", ["/etc/key.pem", "../etc/key.pem", "secrets/../../etc/key.pem"])
def test_a_resource_cannot_name_files_of_the_node(path: str) -> None:
    loaded = load({("certificates", "a"): {"cert_file": path, "key_file": "secrets/a.key"}})
    found = [str(one) for one in loaded.diagnostics]
    assert any("is a file of the node" in one for one in found), found
    assert not any("a key of this machine" in one for one in found)


def test_a_resource_names_files_of_its_bundle() -> None:
    spec = {"cert_file": "secrets/a.pem", "key_file": "secrets/a.key"}
    loaded = load({("certificates", "a"): spec}, secrets={"a.pem": b"no certificate"})
    found = [str(one) for one in loaded.diagnostics]
    assert any("a.key" in one and "the bundle has no such file" in one for one in found), found
    assert any("a.pem" in one and "certificate" in one for one in found), found


def test_a_resource_cannot_read_the_environment_of_the_node() -> None:
    loaded = load({("routes", "all"): {"respond": {"status": 200, "body": "${env:TOKEN}"}}})
    assert loaded.quarantined
    found = [str(one) for one in loaded.diagnostics]
    assert any("TOKEN" in one for one in found), found
    assert not any("of this machine" in one for one in found)


def test_a_kind_that_nobody_knows_is_an_error() -> None:
    loaded = load({("gadgets", "one"): {}, ("routes", "all"): {"respond": ANSWER}})
    (one,) = loaded.errors
    assert one.file == "gadgets/one.json"


@pytest.mark.parametrize("kind", ["node", "include"])
def test_a_bundle_sets_nothing_of_the_node(kind: str) -> None:
    loaded = load({(kind, "log_level"): "debug", ("routes", "all"): {"respond": ANSWER}})
    assert loaded.errors
