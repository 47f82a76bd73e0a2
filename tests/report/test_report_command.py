"""`sew report` as a user runs it: what it writes, and what it says where there is nothing to write."""

import json
import re
from pathlib import Path

import pytest
from report_folders import experiment

from sewcli.base.files import read_json


def test_a_page_markdown_and_rows(exp: Path, tmp_path: Path, sew_here) -> None:
    outs = [tmp_path / name for name in ("report.html", "report.md", "results.json")]
    done = sew_here("report", exp, "--audio", 2, *(part for out in outs for part in ("--out", out)))
    assert done.returncode == 0, done.stderr
    assert "good" in done.stdout and "report.html" in done.stderr and "warning" not in done.stderr
    page, text, rows = outs[0].read_text(), outs[1].read_text(), read_json(outs[2])
    assert {(row["name"], row["lm"]) for row in rows} == {("good", "4gram, beam 50"), ("poor", "4gram, beam 50")}
    for path in exp.glob("*/decode/*/score.json"):
        wer = f"{100 * read_json(path)['wer']:.2f}"
        assert wer in page and wer in text
    assert len(re.findall(r"<article ", page)) == 24 and page.count("<audio ") == 2
    again = sew_here("report", exp, "--json")
    assert [json.loads(line) for line in again.stdout.splitlines()] == rows


def test_nothing_to_report(tmp_path: Path, sew_here, monkeypatch: pytest.MonkeyPatch) -> None:
    done = sew_here("report", tmp_path)
    assert done.returncode == 2 and "no experiment" in done.stderr and "sew pretrain" in done.stderr
    monkeypatch.chdir(tmp_path)
    done = sew_here("report")
    assert done.returncode == 2 and "no such folder" in done.stderr
    experiment(tmp_path / "exp" / "run", updates=20)
    done = sew_here("report", "--out", "report.pdf")
    assert done.returncode == 2 and ".html" in done.stderr
    done = sew_here("report")
    assert done.returncode == 2 and "nothing was scored" in done.stderr and "sew decode" in done.stderr
    (tmp_path / "exp/run/metrics.jsonl").write_text('{"step": 1, "loss": 3}\nnoise\n{"step": 2, "lo')
    done = sew_here("report", "--out", "report.html", "--out", "report.md")
    assert done.returncode == 0 and done.stdout == "" and "Traceback" not in done.stderr
    for page in ((tmp_path / "report.html").read_text(), (tmp_path / "report.md").read_text().replace("\\", "")):
        assert "nothing was decoded and scored here yet" in page and "1 damaged lines of metrics.jsonl" in page
