"""What tools/proto_reference.py makes of a .proto file."""

from pathlib import Path

import pytest
from proto_reference import TOP, described, page

from headgate.fleet.codec import MAX_FRAME
from headgate.fleet.frames import NEWEST_PROTOCOL, OLDEST_PROTOCOL
from headgate.kernel.errors import Invalid
from headgate.master.fleet.websocket import MAX_MESSAGE

TALK = """
// Talks.
syntax = "proto3";
package a.b;

// A service.
service Talk {
  // Says what `Word.text` says.
  rpc Say(stream Word) returns (Heard);
  rpc Listen(Heard) returns (stream Word);  // Listens.
}
// A word, with its
// `Mood`. See `Nobody` and `Word.Tone`.
message Word {
  string text = 1;            // a | b
  // a comment above
  repeated Tone tones = 2;    // and one behind
  map<string, Heard> by_name = 3;  // some
  optional uint32 times = 4;  // how often
  // Where it is.
  oneof place {
    bool here = 5;            // here
    Heard there = 6;          // there
  }
  // A tone.
  enum Tone {
    TONE_UNSPECIFIED = 0;     // none
    TONE_HIGH = 3;            // high
  }
}
// Nothing.
message Heard {}
// A mood.
enum Mood {
  MOOD_UNSPECIFIED = 0;       // none
}
"""

PAGE = r"""# Talks

## Service Talk

A service.

| method | request | response | meaning |
| --- | --- | --- | --- |
| `Say` | stream of [`Word`](#word) | [`Heard`](#heard) | Says what [`Word.text`](#word) says. |
| `Listen` | [`Heard`](#heard) | stream of [`Word`](#word) | Listens. |

## Messages

### Word

A word, with its [`Mood`](#mood). See `Nobody` and [`Word.Tone`](#wordtone).

At most one field of `place` is set. Where it is.

| field | type | number | meaning |
| --- | --- | --- | --- |
| `text` | `string` | 1 | a \| b |
| `tones` | repeated [`Word.Tone`](#wordtone) | 2 | a comment above and one behind |
| `by_name` | map from `string` to [`Heard`](#heard) | 3 | some |
| `times` | optional `uint32` | 4 | how often |
| `here` | `bool`, one of `place` | 5 | here |
| `there` | [`Heard`](#heard), one of `place` | 6 | there |

### Word.Tone

A tone.

| value | number | meaning |
| --- | --- | --- |
| `TONE_UNSPECIFIED` | 0 | none |
| `TONE_HIGH` | 3 | high |

### Heard

Nothing.

### Mood

A mood.

| value | number | meaning |
| --- | --- | --- |
| `MOOD_UNSPECIFIED` | 0 | none |
"""


def page_of(text: str, folder: Path) -> str:
    source = folder / "talk.proto"
    source.write_text(text, encoding="utf-8")
    return page("# Talks\n", described(source))


def test_a_page_shows_services_messages_and_enums_with_their_comments(tmp_path: Path) -> None:
    assert page_of(TALK, tmp_path) == PAGE


def test_what_has_no_comment_is_named(tmp_path: Path) -> None:
    bare = TALK.replace("// A word, with its\n// `Mood`. See `Nobody` and `Word.Tone`.\n", "")
    for comment in ("// a | b", "// high", "// Listens.", "// A mood."):
        bare = bare.replace(comment, "")
    with pytest.raises(Invalid) as refused:
        page_of(bare, tmp_path)
    names = "Talk.Listen, Word, Word.text, Word.Tone.TONE_HIGH, Mood"
    assert refused.value.what == f"no comment in talk.proto: {names}"


def test_what_protoc_refuses_makes_no_page(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(Invalid, match=r"protoc refuses talk\.proto"):
        page_of(TALK.replace("Heard {}", "Heard {"), tmp_path)
    assert "talk.proto:" in capfd.readouterr().err


def test_the_text_before_the_tables_has_the_figures_of_the_code() -> None:
    text = TOP.read_text(encoding="utf-8")
    assert f"The newest protocol is {NEWEST_PROTOCOL}, the oldest {OLDEST_PROTOCOL}." in text
    sizes = f"{MAX_MESSAGE >> 20} MiB | {MAX_MESSAGE >> 20} MiB |"
    assert f"| largest frame of an agent | {sizes}" in text
    sizes = f"{MAX_FRAME >> 20} MiB | {MAX_FRAME >> 20} MiB |"
    assert f"| largest frame of a master | {sizes}" in text
