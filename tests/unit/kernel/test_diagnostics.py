"""How a diagnostic looks."""

import json

from headgate.kernel.diagnostics import Diagnostic, Severity, dotted, render_json, render_text
from headgate.kernel.nearest import listed, nearest


def test_a_diagnostic_is_one_line_with_place_path_what_and_allowed() -> None:
    found = Diagnostic(
        file="a.toml", line=3, column=7, path="routes.api", message="wrong", allowed="right"
    )
    assert str(found) == "a.toml:3:7: routes.api: wrong; right"


def test_what_has_no_position_shows_none() -> None:
    assert str(Diagnostic(file="a.toml", message="cannot be read")) == "a.toml: cannot be read"


def test_what_a_terminal_would_obey_is_escaped() -> None:
    found = Diagnostic(file="a.toml", message='"\x1b[2J\n" is not a host')
    assert str(found) == 'a.toml: "\\x1b[2J\\n" is not a host'


def test_a_warning_says_so() -> None:
    found = Diagnostic(file="a", line=1, column=1, message="odd", severity=Severity.WARNING)
    assert render_text([found]) == "a:1:1: warning: odd\n"


def test_json_has_every_field() -> None:
    found = Diagnostic(file="a", line=1, column=2, path="p", message="m", allowed="x")
    assert json.loads(render_json([found])) == [
        {
            "file": "a",
            "line": 1,
            "column": 2,
            "path": "p",
            "message": "m",
            "allowed": "x",
            "severity": "error",
        }
    ]


def test_paths_quote_what_toml_would() -> None:
    assert dotted(("hosts", "a.example", "middlewares", 0)) == 'hosts."a.example".middlewares[0]'


def test_the_nearest_name_is_found_among_many() -> None:
    names = [f"route-{n}" for n in range(20_000)]
    assert nearest("route-1999O", names) in names
    assert nearest("upstreem", ["upstream", "split"]) == "upstream"
    assert nearest("cert", ["cert_file", "key_file"]) == "cert_file"
    assert nearest("zzz", ["upstream"]) is None


def test_long_lists_are_counted() -> None:
    assert listed(map(str, range(20)), most=2) == '"0", "1" and 18 more'
    assert listed([]) == ""
