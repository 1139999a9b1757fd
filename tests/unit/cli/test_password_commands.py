"""`headgate hash-password`: what it makes of standard input."""

import io

import bcrypt
import pytest
import typer
from argon2 import PasswordHasher
from scripted_master import left

from headgate._core import password_hash_problem

Hash = tuple[int, str, str]


def hashed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], text: str, *words: str
) -> Hash:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    code = left(monkeypatch, "hash-password", *words)
    told = capsys.readouterr()
    return code, told.out, told.err


def test_a_password_becomes_a_line_of_a_password_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = hashed(monkeypatch, capsys, "s3cret\n", "alice")
    assert code == 0
    name, _, made = out.strip().partition(":")
    assert name == "alice"
    assert made.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert PasswordHasher().verify(made, "s3cret")


def test_without_a_name_there_is_the_hash_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = hashed(monkeypatch, capsys, "s3cret")
    assert code == 0
    assert out.startswith("$argon2id$")


def test_a_bcrypt_hash_is_one_that_the_data_plane_and_nginx_know(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--algorithm", "bcrypt", "--cost", "4", "alice")
    code, out, _ = hashed(monkeypatch, capsys, "s3cret\n", *words)
    assert code == 0
    name, _, made = out.strip().partition(":")
    assert (name, made[:7]) == ("alice", "$2b$04$")
    assert bcrypt.checkpw(b"s3cret", made.encode())
    assert password_hash_problem(made) is None


@pytest.mark.parametrize(
    ("text", "words", "said"),
    [
        ("", (), "there is no password"),
        ("\n", (), "there is no password"),
        ("a" * 1025, (), "at most 1024 bytes"),
        ("a" * 73, ("--algorithm", "bcrypt"), "at most 72 bytes"),
        ("s3\tcret\n", (), "control characters"),
        ("s3cret\n", ("al:ice",), "without colon"),
        ("s3cret\n", ("al\tice",), "control characters"),
    ],
)
def test_what_is_no_password_or_name_is_refused(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    text: str,
    words: tuple[str, ...],
    said: str,
) -> None:
    code, out, err = hashed(monkeypatch, capsys, text, *words)
    assert code == 1
    assert out == ""
    assert said in err
    assert "s3cret" not in err


@pytest.mark.parametrize(
    ("length", "words"), [(1024, ()), (72, ("--algorithm", "bcrypt", "--cost", "4"))]
)
def test_the_longest_password_is_hashed(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    length: int,
    words: tuple[str, ...],
) -> None:
    assert hashed(monkeypatch, capsys, "a" * length, *words)[0] == 0


class Terminal(io.StringIO):
    """A standard input at which a person sits."""

    def isatty(self) -> bool:
        return True


def test_at_a_terminal_the_password_is_asked_for_twice_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[tuple[str, dict[str, object]]] = []

    def prompt(text: str, **how: object) -> str:
        asked.append((text, how))
        return "s3cret"

    monkeypatch.setattr("sys.stdin", Terminal("other\n"))
    monkeypatch.setattr(typer, "prompt", prompt)
    assert left(monkeypatch, "hash-password") == 0
    assert PasswordHasher().verify(capsys.readouterr().out.strip(), "s3cret")
    assert asked == [("Password", {"hide_input": True, "confirmation_prompt": True, "err": True})]
