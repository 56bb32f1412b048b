"""A ledger that somebody else can write to: it reads its own files and no others, and gives each file its mode."""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from tests.ledger.test_ledger import entries
from toolkit.errors import LedgerError
from toolkit.ledger.ledger import Ledger

READS: tuple[Callable[[Ledger], object], ...] = (
    Ledger.snapshot,
    Ledger.pushes,
    lambda ledger: ledger.history("a"),
    lambda ledger: ledger.keys_since(0, but_for="x"),
)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    made = Ledger(tmp_path / "ledger" / "acme", "acme")
    made.record(entries(("a", 1, "Ours", 1)), push="p", through=1)
    made.record(entries(("b", 1, "Ours too", 1)), push="p", through=2)
    return made


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """A data file of another tenant's ledger."""
    other = Ledger(tmp_path / "other" / "globex", "globex")
    other.record(entries(("z", 1, "Another tenant's customer", 1)), push="p", through=1)
    (file,) = (other.folder / "entries").glob("*.parquet")
    return file


def logged(ledger: Ledger, path: str) -> None:
    """Let the last commit of the log name another path."""
    log = max((ledger.folder / "entries" / "_delta_log").glob("*.json"))
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    for line in lines:
        if "add" in line:
            line["add"]["path"] = path
    log.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")


def checkpoint(ledger: Ledger) -> Path:
    """Leave a checkpoint as the only record of the table."""
    DeltaTable(str(ledger.folder / "entries")).create_checkpoint()
    log = ledger.folder / "entries" / "_delta_log"
    for commit in log.glob("*.json"):
        commit.unlink()
    (made,) = log.glob("*.checkpoint.parquet")
    return made


def newest(ledger: Ledger) -> Path:
    """The data file of the last commit."""
    log = max((ledger.folder / "entries" / "_delta_log").glob("*.json"))
    added = [json.loads(line)["add"] for line in log.read_text(encoding="utf-8").splitlines() if '"add"' in line]
    return ledger.folder / "entries" / str(added[0]["path"])


def refused(ledger: Ledger, match: str) -> None:
    for read in READS:
        with pytest.raises(LedgerError, match=match) as error:
            read(ledger)
        assert "Restore the folder from a copy" in str(error.value)
        assert "Another tenant" not in str(error.value)


@pytest.mark.parametrize(
    "form",
    ["{0}", "file://{0}", "../../../other/globex/entries/{1}", "%2E%2E/%2E%2E/%2E%2E/other/globex/entries/{1}",
     "./{1}", "inside/{1}", "inside/../../../../other/globex/entries/{1}", "..", "", "s3://bucket/{1}",
     "..%2F..%2F..%2Fother%2Fglobex%2Fentries%2F{1}", "*.parquet", "[a-z]*.parquet", "{0}\0.parquet",
     "a" * 5_000 + ".parquet", "\x1b[2J\u202e.parquet"],
)  # fmt: skip
@pytest.mark.parametrize("where", ["a commit", "a checkpoint"])
def test_a_log_that_names_another_file_is_refused(ledger: Ledger, theirs: Path, form: str, where: str) -> None:
    inside = ledger.folder / "entries" / "inside"
    inside.mkdir()
    shutil.copy(theirs, inside)
    if where == "a commit":
        logged(ledger, form.format(theirs, theirs.name))
    else:
        kept = checkpoint(ledger)
        table = pq.read_table(kept)
        rows = table.to_pylist()
        next(row["add"] for row in rows if row["add"])["path"] = form.format(theirs, theirs.name)
        pq.write_table(pa.Table.from_pylist(rows, table.schema), kept)
    refused(ledger, "names .* no file of its folder|it is damaged")


def test_a_checkpoint_that_is_a_link_a_pipe_or_nothing_to_read_is_refused(ledger: Ledger, theirs: Path) -> None:
    kept = checkpoint(ledger)
    whole = kept.read_bytes()
    kept.unlink()
    kept.symlink_to(theirs)
    refused(ledger, "contains a link or a pipe")
    kept.unlink()
    os.mkfifo(kept)
    refused(ledger, "contains a link or a pipe")
    kept.unlink()
    for broken in (b"", whole[:200], b"PAR1" * 9):
        kept.write_bytes(broken)
        refused(ledger, "it is damaged")
    kept.write_bytes(whole)
    parts = kept.parent / "_sidecars"  # a checkpoint may name others, which deltalake opens before it is asked
    parts.mkdir()
    os.mkfifo(parts / "part.parquet")
    refused(ledger, "contains a link or a pipe")
    (parts / "part.parquet").unlink()
    (kept.parent / "_last_checkpoint").write_text('{"version": 1000000, "size": 1}', encoding="utf-8")
    refused(ledger, "it is damaged")


def test_a_deletion_vector_names_no_file_that_is_read(ledger: Ledger, theirs: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    log = max((ledger.folder / "entries" / "_delta_log").glob("*.json"))
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    for line in lines:
        if "add" in line:
            line["add"]["deletionVector"] = {"storageType": "p", "pathOrInlineDv": f"file://{tmp_path}/pipe",
                                             "offset": 1, "sizeInBytes": 40, "cardinality": 1}  # fmt: skip
    log.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    assert ledger.snapshot().n_customers == 2  # the table knows no deletion: every row is there


def test_a_folder_named_like_a_column_and_its_value_changes_no_entry(tmp_path: Path) -> None:
    made = Ledger(tmp_path / "customer_id=evil" / "updated_at=2020-01-01" / "env=prod" / "acme", "acme")
    made.record(entries(("a", 1, "Ours", 1)), push="p", through=1)
    assert made.snapshot().frame["customer_id"].tolist() == made.history("a")["customer_id"].tolist() == ["a"]
    assert made.unlisted == []


def test_a_data_file_that_is_a_link_or_a_pipe_is_refused(ledger: Ledger, theirs: Path) -> None:
    own = newest(ledger)
    own.unlink()
    own.symlink_to(theirs)
    refused(ledger, "no file of its folder")
    own.unlink()
    os.mkfifo(own)  # to open it waits for ever
    refused(ledger, "no file of its folder")


def test_a_log_that_is_a_link_or_has_a_pipe_is_refused(ledger: Ledger, theirs: Path) -> None:
    table, commit = ledger.folder / "entries", f"{2:020}.json"
    os.mkfifo(table / "_delta_log" / commit)
    refused(ledger, "contains a link or a pipe")
    (table / "_delta_log" / commit).unlink()
    (table / "_delta_log" / commit).symlink_to(theirs.parent / "_delta_log" / f"{0:020}.json")
    refused(ledger, "contains a link or a pipe")
    shutil.rmtree(table / "_delta_log")
    (table / "_delta_log").symlink_to(theirs.parent / "_delta_log")
    refused(ledger, "contains a link or a pipe")
    shutil.rmtree(table)
    table.symlink_to(theirs.parent)
    refused(ledger, "contains a link or a pipe")
    with pytest.raises(LedgerError, match="contains a link or a pipe"):
        ledger.record(entries(("c", 1, "Ours", 1)), push="q", through=1)


@pytest.mark.parametrize(
    ("column", "values"),
    [("customer_id", pa.array([123])), ("customer_id", pa.array([b"a"])), ("updated_at", pa.array([1])),
     ("customer_name", pa.array([["a"]])), ("position", pa.array(["1"])), ("push", pa.array([{"a": "b"}])),
     ("updated_at", pa.array([0], pa.timestamp("us")))],
)  # fmt: skip
def test_a_data_file_with_a_column_of_another_type_is_refused(ledger: Ledger, column: str, values: pa.Array) -> None:
    own = newest(ledger)
    table = pq.read_table(own)
    place = table.schema.get_field_index(column)
    pq.write_table(table.set_column(place, column, values), own)
    refused(ledger, f"has '.*' of {own.name} in another data type")


def test_a_data_file_with_a_column_that_the_log_lacks_is_refused(ledger: Ledger) -> None:
    own = newest(ledger)
    pq.write_table(pq.read_table(own).append_column("hidden", pa.array(["x"])), own)
    refused(ledger, "has 'hidden' of")


def test_a_log_that_leaves_out_rows_of_a_file_is_refused(ledger: Ledger) -> None:
    log = max((ledger.folder / "entries" / "_delta_log").glob("*.json"))
    features = {"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": ["deletionVectors"],
                "writerFeatures": ["deletionVectors"]}  # fmt: skip
    log.write_text(log.read_text(encoding="utf-8") + "\n" + json.dumps({"protocol": features}), encoding="utf-8")
    refused(ledger, "leaves out rows or renames columns")


def modes(folder: Path) -> dict[str, set[int]]:
    found = (folder, *folder.rglob("*"))
    return {
        kind: {stat.S_IMODE(path.stat().st_mode) for path in found if path.is_dir() == (kind == "folders")}
        for kind in ("folders", "files")
    }


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
@pytest.mark.parametrize(
    ("mode", "shared", "files"),
    [(0o700, False, 0o600), (0o2770, True, 0o660), (0o755, True, 0o644), (0o750, True, 0o640)],
)
def test_files_of_a_private_ledger_are_its_users_and_shared_ones_keep_their_folders_mode(
    tmp_path: Path, umask: int, mode: int, shared: bool, files: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("toolkit.ledger.delta._MANY", 2)  # a merged file and its checkpoint too
    folder = tmp_path / "ledger"
    folder.mkdir()
    folder.chmod(mode)
    before = os.umask(umask)
    try:
        ledger = Ledger(folder / "acme", "acme", shared=shared)
        for n in range(3):
            ledger.record(entries((f"c{n}", 1, "Acme", 1)), push="p", through=n)
    finally:
        os.umask(before)
    assert modes(folder) == {"folders": {mode}, "files": {files}}


def test_the_checkpoints_of_a_private_ledger_are_its_users_alone(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        ledger = Ledger(tmp_path / "ledger" / "acme", "acme")
        for n in range(102):
            ledger.record(entries(("c", n, "Acme", 1)), push="p", through=n)
    finally:
        os.umask(before)
    assert list((ledger.folder / "entries" / "_delta_log").glob("*.checkpoint.parquet"))
    assert modes(tmp_path / "ledger") == {"folders": {0o700}, "files": {0o600}}
