"""Files are whole or absent."""

import errno
import gzip
import json
from pathlib import Path

import pytest
from support.refusals import refused

from sewcli.base import files
from sewcli.base.errors import DataError, SewError, UsageError, nearest


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    files.write_text(target, "old")
    with pytest.raises(RuntimeError), files.atomic_path(target) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_an_atomic_folder_takes_the_place_of_the_old_one_whole(tmp_path: Path) -> None:
    target = tmp_path / "model"
    for text in ("one", "two"):
        with files.atomic_folder(target) as temporary:
            (temporary / "inside.txt").write_text(text)
    assert (target / "inside.txt").read_text() == "two"
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


def test_an_atomic_folder_that_fails_leaves_the_old_one(tmp_path: Path) -> None:
    target = tmp_path / "model"
    with files.atomic_folder(target) as temporary:
        (temporary / "inside.txt").write_text("one")
    with pytest.raises(ValueError), files.atomic_folder(target) as temporary:
        (temporary / "inside.txt").write_text("tw")
        raise ValueError
    assert (target / "inside.txt").read_text() == "one"
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "full"), RuntimeError("I/O error: No space left on device (os error 28)")]
)
def test_a_full_disk_is_explained(tmp_path: Path, error: Exception) -> None:
    with pytest.raises(UsageError) as caught, files.atomic_path(tmp_path / "x"):
        raise error
    assert "no disk space left" in str(caught.value) and "x" in str(caught.value) and "hint" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["inside.txt", "deeper/inside.txt"])
def test_a_full_disk_inside_a_folder_is_told_of_the_folder_that_is_meant(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError) as caught, files.atomic_folder(tmp_path / "model") as temporary:  # noqa: SIM117
        with files.atomic_path(temporary / name):
            raise OSError(errno.ENOSPC, "full")
    assert caught.value.where == tmp_path / "model" / name and caught.value.hint
    with pytest.raises(DataError) as elsewhere, files.atomic_folder(tmp_path / "model"):
        raise DataError("file-damaged", "broken", where=tmp_path / "cuts")
    assert elsewhere.value.where == tmp_path / "cuts"
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError):
        files.write_text(tmp_path / "file" / "below" / "x", "text")


def test_jsonl_gz_bytes_do_not_depend_on_the_clock(tmp_path: Path) -> None:
    rows = [{"id": "a"}, {"id": "ü"}]
    files.write_jsonl(tmp_path / "a.jsonl.gz", rows)
    files.write_jsonl(tmp_path / "b.jsonl.gz", rows)
    assert (tmp_path / "a.jsonl.gz").read_bytes() == (tmp_path / "b.jsonl.gz").read_bytes()
    assert list(files.read_jsonl(tmp_path / "a.jsonl.gz")) == rows


def test_broken_json_lines_name_the_line(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"id": 1}\n{"id": ')
    with pytest.raises(DataError, match="line 2"):
        list(files.read_jsonl(path))
    packed = tmp_path / "b.jsonl.gz"
    packed.write_bytes(gzip.compress(json.dumps({"id": "x" * 5000}).encode())[:-20])
    with pytest.raises(DataError):
        list(files.read_jsonl(packed))
    with refused(DataError, "file-not-found"):
        list(files.read_jsonl(tmp_path / "absent.jsonl"))


def test_leftovers_of_a_kill_are_removed_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / f"{files.TEMPORARY}123-x").mkdir()
    (tmp_path / f"{files.TEMPORARY}123-y").write_text("")
    (tmp_path / "kept").write_text("")
    assert len(files.remove_leftovers(tmp_path)) == 2
    assert [p.name for p in tmp_path.iterdir()] == ["kept"]


def test_one_more_try_after_making_room() -> None:
    calls = []

    def action() -> None:
        calls.append("write")
        if len(calls) == 1:
            raise UsageError("no-disk-space", "no disk space left")

    files.retry_once_cleaned(action, lambda: calls.append("clean"))
    assert calls == ["write", "clean", "write"]


def test_errors_cross_process_boundaries_whole() -> None:
    import pickle

    error = pickle.loads(pickle.dumps(DataError("all-wrong", "wrong\nand more", where="file", hint="do that")))
    assert isinstance(error, DataError) and str(error) == "file: wrong [all-wrong]\nand more\n  hint: do that"
    assert isinstance(error, SewError) and error.exit_code == 3


def test_nearest_name() -> None:
    assert nearest("sew-d-mdi", ["sew-d-mid", "w2v2-base"]) == " - did you mean 'sew-d-mid'?"
    assert nearest("zzz", ["sew-d-mid"]) == ""


def test_an_atomic_folder_can_be_read_by_those_who_may_read_others(tmp_path: Path) -> None:
    with files.atomic_folder(tmp_path / "model") as temporary:
        (temporary / "private").write_text("x")
        (temporary / "private").chmod(0o600)
    plain = tmp_path / "plain"
    plain.write_text("x")
    assert (tmp_path / "model" / "private").stat().st_mode == plain.stat().st_mode


def test_what_cannot_be_read_is_an_error_of_the_data(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl.gz").mkdir()
    with pytest.raises(DataError, match=r"rows.jsonl.gz: a folder"):
        list(files.read_jsonl(tmp_path / "rows.jsonl.gz"))
    with pytest.raises(DataError, match="cannot be read"):
        files.read_json(tmp_path)


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.jsonl.gz"])
def test_file_names_that_are_not_utf8_can_be_listed(tmp_path: Path, name: str) -> None:
    rows = [{"file": "caf\udce9.flac"}, {"file": "café.flac"}]
    files.write_jsonl(tmp_path / name, rows)
    assert list(files.read_jsonl(tmp_path / name)) == rows
