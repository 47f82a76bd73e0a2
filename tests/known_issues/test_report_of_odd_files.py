"""`sew report` over folders with odd files: each is named with its reason, the others are shown; names are never markup."""

import json
from pathlib import Path
from typing import Any

import pytest

from sewcli.base.files import write_json, write_jsonl

ROWS = [
    {"id": "a", "text": "A B C", "reference": "A B C"},
    {"id": "b", "text": "D E", "reference": "D E F"},
]


def decoded(folder: Path, **changes: Any) -> Path:
    place = folder / "decode" / "test-greedy"
    place.mkdir(parents=True)
    write_jsonl(place / "hyps.jsonl", ROWS)
    summary = {"split": "test", "data": "nowhere", "model": "m", "decoder": "greedy", "lm": None, "failed": 0}
    write_json(place / "decode.json", {**summary, "real_time_factor": 0.1, **changes})
    score = {"wer": 1 / 6, "wer_interval": [0.0, 0.3], "cer": 0.1, "words": 6, "substitutions": 0, "deletions": 1}
    write_json(place / "score.json", {**score, "insertions": 0})
    (folder / "config.yaml").write_text("model: m\nupdates: 10\nvocabulary: v.json\n")
    return place


def change(path: Path, text: str) -> None:
    """`text`: members to lay over, in JSON's own words, so that what Python would not write can be."""
    content = json.loads(path.read_text())
    for name in json.loads(text, parse_constant=str):
        content.pop(name, None)
    path.write_text(json.dumps(content)[:-1] + ", " + text[1:])


VALUES = ['"x"', "null", "[1]", "{}", "-1", "NaN", "Infinity", "1e400", "true", "9" * 400, '"[/x]"']
SCORES = ("wer", "wer_interval", "cer", "words", "nist", "deletions", "interval_over")
DECODES = ("split", "data", "model", "decoder", "lm", "beam", "real_time_factor", "device")


@pytest.mark.fault("input-24")
@pytest.mark.parametrize(
    "value", [*VALUES, "[0.5, 0.1]", '[0, "x"]', '{"wer": 1, "parts": [1]}', '{"parts": {"a": 5}}']
)
def test_one_bad_folder_is_listed_and_the_others_are_shown(value: str, tmp_path: Path, sew_here) -> None:
    decoded(tmp_path / "exp" / "sound")
    for name in SCORES:
        change(decoded(tmp_path / "exp" / f"score-{name}") / "score.json", f'{{"{name}": {value}}}')
    for name in DECODES:
        change(decoded(tmp_path / "exp" / f"decode-{name}") / "decode.json", f'{{"{name}": {value}}}')
    for name, file in (("updates", "config.yaml"), ("model", "config.yaml")):
        decoded(tmp_path / "exp" / f"run-{name}")
        (tmp_path / "exp" / f"run-{name}" / file).write_text(f"vocabulary: v.json\n{name}: {value}\n")
    decoded(tmp_path / "exp" / "hours")
    (tmp_path / "exp" / "hours" / "data.json").write_text(f'{{"train": {{"hours": {value}}}}}')
    (tmp_path / "exp" / "hours" / "metrics.jsonl").write_text(f'{{"step": {value}}}\n{{"step": 1, "loss": {value}}}\n')
    pages = [argument for end in ("html", "md", "json") for argument in ("-o", tmp_path / f"r.{end}")]
    done = sew_here("report", tmp_path / "exp", *pages)
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr[-2000:]
    assert "sound" in done.stdout and "16.7 %" in done.stdout
    assert all((tmp_path / f"r.{end}").stat().st_size for end in ("html", "md", "json"))
    if value in ('"x"', "NaN", "[1]", "-1"):
        assert "score-wer/decode/test-greedy/score.json" in done.stderr


@pytest.mark.fault("input-24", "input-22")
@pytest.mark.parametrize(
    "content", ["", "[", "[" * 10_000, "[]", "5", '{"wer": 1, "wer": 2}', "\x00", '{"split": "\\ud800"}']
)
@pytest.mark.parametrize(
    "name", ["score.json", "decode.json", "hyps.jsonl", "config.yaml", "data.json", "metrics.jsonl"]
)
def test_files_that_cannot_be_read(name: str, content: str, tmp_path: Path, sew_here) -> None:
    decoded(tmp_path / "exp" / "sound")
    place = decoded(tmp_path / "exp" / "bad")
    (place.parents[1] / name if name in ("config.yaml", "data.json", "metrics.jsonl") else place / name).write_text(
        content
    )
    done = sew_here("report", tmp_path / "exp", "-o", tmp_path / "r.html")
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr[-2000:]
    assert "sound" in done.stdout and (tmp_path / "r.html").is_file()


NAMES = ("m[/x]", "[bold]b", "[red]", ":warning:", "a[link=x]b", "\\[x]")


@pytest.mark.fault("input-21")
@pytest.mark.parametrize("name", NAMES)
def test_names_are_never_markup(name: str, tmp_path: Path, sew_here) -> None:
    run = tmp_path / "exp" / name.replace("/", "-")
    place = decoded(run, split=name, model=name)
    (run / "model").mkdir()
    write_json(run / "model" / "config.json", {"sew": {"name": name}, "architectures": ["X"]})
    done = sew_here("report", tmp_path / "exp", "-o", tmp_path / "r.html", "-o", tmp_path / "r.md")
    assert done.returncode == 0 and done.stdout.count(name) >= 2 and name.replace("/", "-") in done.stdout, done.stderr
    done = sew_here("score", place)
    assert done.returncode == 0 and name in done.stdout, done.stderr


@pytest.mark.fault("input-21")
def test_console_and_bars_take_names_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    from sewcli.cli import show

    show.table(show.names("[/x]"), [["[/x] :warning:"]], title="[/t]")
    show.line("[/x] [red]a")
    out = capsys.readouterr().out
    assert "[/t]" in out and "[/x] :warning:" in out and "[/x] [red]a" in out
