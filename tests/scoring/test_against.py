"""Two decode folders compared: the numbers, the file of differences, and what cannot be compared."""

import json
from pathlib import Path

import pytest
from support.refusals import refused
from support.sew_command import run_sew

from sewcli.base.errors import DataError, UsageError
from sewcli.base.files import write_json, write_jsonl
from sewcli.cli.score import show_comparison
from sewcli.scoring.against import compare_folders

TEXT = "THE CAT SAT ON THE MAT AND SLEPT"


def decode_folder(path: Path, texts: list[str], *, data: str = "nowhere") -> Path:
    """A decode folder whose references are all the same."""
    rows = [{"id": f"u{n:03d}", "text": text, "score": -1.0, "reference": TEXT} for n, text in enumerate(texts)]
    write_jsonl(path / "hyps.jsonl", rows)
    write_json(path / "decode.json", {"split": "test", "decoder": "greedy", "failed": 0, "data": data})
    return path


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    worse = [TEXT.replace("CAT", "BAT") if n % 2 else TEXT for n in range(100)]
    a = decode_folder(tmp_path / "one" / "decode" / "test-greedy", [TEXT.replace("MAT", "HAT")] * 3 + [TEXT] * 97)
    return a, decode_folder(tmp_path / "two" / "decode" / "test-greedy", worse)


def with_speakers(data: Path, speakers: int) -> str:
    """A corpus of which the manifest says who speaks."""
    cuts = [{"id": f"u{n:03d}", "supervisions": [{"speaker": f"s{n % speakers}"}]} for n in range(100)]
    write_jsonl(data / "cuts_test.jsonl.gz", cuts)
    return str(data)


def test_the_better_of_two(folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    a, b = folders
    found = compare_folders(a, b)
    assert found["wer_a"] == 3 / 800 and found["wer_b"] == 50 / 800
    assert found["difference"] == pytest.approx(-47 / 800) and found["interval"][1] < 0
    assert found["p_bootstrap"] < 0.001 and found["mapsswe"]["p"] < 0.001 and found["better"] == 1
    turned = compare_folders(b, a)
    assert turned["mapsswe"]["z"] == -found["mapsswe"]["z"] and turned["p_bootstrap"] == found["p_bootstrap"]
    report = (a / "against-two-test-greedy.txt").read_text()
    assert found["transcripts"] == str(a / "against-two-test-greedy.txt")
    assert "A has fewer errors in 49 utterances, B in 2, as many both in 49" in report
    assert "u000  (+1)\n  REF  THE CAT SAT ON THE MAT AND SLEPT\n  A    THE CAT SAT ON THE HAT" in report
    assert "u004" not in report  # both have it right
    show_comparison(found, as_json=False)
    assert "MAPSSWE" in capsys.readouterr().out


def test_by_speaker(folders: tuple[Path, Path], tmp_path: Path) -> None:
    a, b = folders
    with refused(UsageError, "speakers-unknown"):
        compare_folders(a, b, by_speaker=True)
    with_speakers(tmp_path / "data", 5)
    found = compare_folders(a, b, by_speaker=True, data=tmp_path / "data")
    assert found["over"] == "speakers" and found["interval"] != compare_folders(a, b)["interval"]


def test_other_utterances_are_refused(folders: tuple[Path, Path], tmp_path: Path) -> None:
    a, _ = folders
    fewer = decode_folder(tmp_path / "fewer", [TEXT] * 99)
    with pytest.raises(DataError, match="1 utterances are in one of the two only, such as u099"):
        compare_folders(a, fewer)
    other = decode_folder(tmp_path / "other", [TEXT] * 100)
    (other / "hyps.jsonl").write_text(
        (other / "hyps.jsonl").read_text().replace('"reference": "THE', '"reference": "A')
    )
    with pytest.raises(DataError, match="two references of u000"):
        compare_folders(a, other)


def test_the_command(folders: tuple[Path, Path], tmp_path: Path) -> None:
    a, b = folders
    data = with_speakers(tmp_path / "data", 5)
    done = run_sew("score", a, "--by-speaker", "--data", data, "--json")
    assert done.returncode == 0, done.stderr
    score = json.loads(done.stdout)
    assert score["interval_over"] == "speakers" and score["wer_interval"][0] <= score["wer"] <= score["wer_interval"][1]
    assert 0 < score["cer"] < score["wer"]
    errors = (a / "errors.txt").read_text()
    assert "MAT -> HAT" in errors and "speaker" in errors and "u002\n  REF  THE CAT" in errors
    compared = run_sew("score", a, "--against", b)
    assert compared.returncode == 0 and "paired bootstrap  p = 0.0002" in compared.stdout, compared.stderr
    assert run_sew("score", a, b, "--against", b).returncode == 2
    assert run_sew("score", a, "--against", tmp_path / "none").returncode == 2
    assert run_sew("score", a, "--by-speaker").returncode == 2
    idle = run_sew("score", a, "--nist", "python")
    assert idle.returncode == 0 and "--nist has no effect" in idle.stderr


def test_an_experiment_is_no_decode_folder_but_holds_some(folders: tuple[Path, Path], tmp_path: Path) -> None:
    a, _ = folders
    with pytest.raises(UsageError, match="but below") as caught:
        compare_folders(a, tmp_path / "two")
    assert caught.value.hint == f"give one of {tmp_path / 'two' / 'decode' / 'test-greedy'}"
