"""Copies of a database in `backups/`."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from headgate.master.store.copies import KEPT, copy_sqlite, forget_older


def test_the_newest_copies_stay_and_what_is_no_such_copy(tmp_path: Path) -> None:
    kept = {"before-restore-1.db", "before-migration-2.db.mine", "before-migration-old.db", "a"}
    kept |= {f"before-migration-{10 + number}.db" for number in range(KEPT - 1)}
    kept |= {"before-migration-100.backup"}
    gone = {"before-migration-9.db", "before-migration-8.backup"}
    gone |= {".before-migration-7.db.part", ".before-migration-7.db.part-journal"}
    for name in kept | gone:
        (tmp_path / name).touch()
    forget_older(tmp_path)
    assert {one.name for one in tmp_path.iterdir()} == kept


def test_a_file_that_cannot_be_copied_leaves_no_copy(tmp_path: Path) -> None:
    file = tmp_path / "master.db"
    file.write_text("no database at all, and long enough to be looked at" * 20)
    with pytest.raises(sqlite3.DatabaseError):
        copy_sqlite(file, 7)
    assert list((tmp_path / "backups").iterdir()) == []


def test_a_copy_has_what_the_log_of_the_database_has(tmp_path: Path) -> None:
    file = tmp_path / "master.db"
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE t (n)")
        connection.execute("INSERT INTO t VALUES (7)")
        copy = copy_sqlite(file, 7, "restore")
    assert copy == tmp_path / "backups" / "before-restore-7.db"
    assert list(copy.parent.iterdir()) == [copy]
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("SELECT n FROM t").fetchall() == [(7,)]
