"""`sew check` as a user runs it: table, list, exit codes, and one clear line for what is not there."""

import json
import re
import shutil
from pathlib import Path

import pytest

from sewcli.base.files import read_jsonl
from sewcli.data.findings import KINDS
from sewcli.data.utterances import read_split


@pytest.fixture
def data(prepared: Path, tmp_path: Path) -> Path:
    """A copy of the prepared corpus, with the sound files of the first."""
    return Path(shutil.copytree(prepared, tmp_path / "data"))


def break_text(data: Path) -> str:
    """Change the first line of a text; returns the id of its cut."""
    path = data / "text_dev-clean.txt"
    path.write_text("SOMETHING ELSE\n" + path.read_text().split("\n", 1)[1])
    return read_split(data, "dev-clean")[0].id


def test_a_clean_corpus(data: Path, sew) -> None:
    (data / "check.jsonl").write_text("of another day\n")
    done = sew("check", data)
    assert done.returncode == 0, done.stderr
    assert "no fault found: 44 cuts, the audio of 44 read (0.0" in done.stdout
    assert (data / "check.jsonl").read_text() == ""
    assert not list(data.glob(".tmp-*"))


def test_faults_make_a_table_a_list_and_exit_3(data: Path, sew) -> None:
    identity = break_text(data)
    done = sew("check", data, "--sample", "2", "-j", "1")
    assert done.returncode == 3 and "Traceback" not in done.stderr
    assert f"{data}/check.jsonl: 2 findings that matter" in done.stderr and "--allow KIND" in done.stderr
    assert re.search(rf"text +error +1 +dev-clean: {identity}: line 1: 'SOMETHING ELSE', the cut has ", done.stdout)
    assert re.search(r"manifest +error +1 +dev-clean: ", done.stdout)
    assert "2 findings: 44 cuts, the audio of 6 read" in done.stdout
    rows = list(read_jsonl(data / "check.jsonl"))
    assert [row["kind"] for row in rows] == ["manifest", "text"]
    assert rows[1].keys() == {"id", "split", "file", "kind", "severity", "detail"}
    assert (rows[1]["id"], rows[1]["split"]) == (identity, "dev-clean")
    assert rows[1]["file"] == str(data / "text_dev-clean.txt")


def test_json_and_what_is_allowed(data: Path, tmp_path: Path, sew) -> None:
    break_text(data)
    allowed = ("--allow", "text", "--allow", "manifest", "--out", tmp_path / "list.jsonl")
    done = sew("check", data, "--json", *allowed)
    assert done.returncode == 0, done.stderr
    *rows, total = map(json.loads, done.stdout.splitlines())
    assert [(row["kind"], row["count"], row["severity"]) for row in rows] == [
        ("manifest", 1, "warning"),
        ("text", 1, "warning"),
    ]
    assert total["cuts"] == total["read"] == 44 and (total["errors"], total["warnings"]) == (0, 2)
    assert len(list(read_jsonl(tmp_path / "list.jsonl"))) == 2 and not (data / "check.jsonl").exists()


def test_the_help_holds_the_table_of_kinds(tmp_path: Path, sew) -> None:
    shown = sew("check", "--help", cwd=tmp_path).stdout
    rows = re.findall(r"^ *([a-z-]+) +(error|warning) +(\S.*?) *$", shown, re.MULTILINE)
    assert rows == [(name, "error" if kind.matters else "warning", kind.means) for name, kind in KINDS.items()]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "sew prep"),
        (["DATA", "--split", "dev-claen"], "did you mean 'dev-clean'"),
        (["DATA", "--allow", "speakers"], "did you mean 'speaker'"),
        (["DATA", "--model", "sew-tinny"], "did you mean 'sew-tiny'"),
        (["DATA", "--vocab", "nowhere.json"], "no such vocabulary"),
        (["DATA", "--out", "/proc/list.jsonl"], "cannot write"),
        (["DATA", "--sample", "0"], "--sample"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_read(
    data: Path, tmp_path: Path, arguments: list, said: str, sew
) -> None:
    done = sew("check", *[data if word == "DATA" else word for word in arguments], cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr and "Traceback" not in done.stderr and done.stdout == ""
    assert not (data / "check.jsonl").exists()
