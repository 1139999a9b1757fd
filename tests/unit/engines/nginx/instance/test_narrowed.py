"""What a program may do that is started with nginx's rights."""

import subprocess

from headgate.engines.nginx.instance import running

SETS = ("CapInh", "CapPrm", "CapEff", "CapAmb")


def test_a_program_has_no_other_rights_than_those_of_nginx() -> None:
    command = running.narrowed(["/bin/cat", "/proc/self/status"])
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = dict(line.split(":\t", 1) for line in printed.splitlines())
    allowed = sum(1 << bit for bit in running.KEPT)
    assert [name for name in SETS if int(found[name], 16) & ~allowed] == []
    assert found["NoNewPrivs"] == "1"


def test_a_program_that_cannot_be_run_is_named() -> None:
    command = running.narrowed(["/no/nginx", "-c", "/no/conf"])
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (127, "/no/nginx: No such file or directory\n")
