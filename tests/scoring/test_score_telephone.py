"""A telephone test from hypotheses of letters to the rates of NIST's STM, by either tool."""

from pathlib import Path

import pytest
from glm_rules import GLM
from nist_tools import needs_sctk
from support.refusals import refused

from sewcli.base.errors import DataError
from sewcli.base.files import read_json, write_json, write_jsonl
from sewcli.cli.score import show_scores
from sewcli.scoring.score import score_folder

SEGMENTS = {  # reference in the STM; text in letters; what was recognised
    ("sw_1", "A", 0): ("(%HESITATION) ON T. V.", "ON T V", "ON T V I"),
    ("sw_1", "B", 0): ("UH-HUH", "UH HUH", "UH HUH"),
    ("sw_1", "B", 2): ("(OKAY) { WHO / WHOM } <B_ASIDE> SAID <E_ASIDE>", "O K WHO SAID", "WHOM SAID"),
    ("en_1", "A", 0): ("TWO C. D.S ((TH-) THERE", "TWO C D'S TH THERE", "TWO C D'S THIS CHAIR"),
    ("en_1", "A", 2): ("(UM)", "", "UM"),
}
STM = """\
sw_1 A sw_1_A 2.0 9.0 <O,sw> IGNORE_TIME_SEGMENT_IN_SCORING
sw_1 B inter_segment_gap 1.0 2.0 <O,sw>
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    data, path = tmp_path / "data", tmp_path / "exp" / "m" / "decode" / "test-greedy"
    cuts, rows, lines = [], [], [STM]
    for (file, channel, start), (written, letters, said) in SEGMENTS.items():
        name = f"{file}-{channel}-{start}"
        custom = {"stm": [file, channel]}
        supervision = {"speaker": f"{file}-{channel}", "text": letters, "custom": custom}
        cuts.append({"id": name, "start": start, "duration": 1.5, "supervisions": [supervision]})
        rows.append({"id": name, "text": said, **({"reference": letters} if letters else {})})
        lines.append(f"{file} {channel} {file}_{channel} {start}.0 {start + 1.5} <O,{file[:2]}> {written}\n")
    write_jsonl(data / "cuts_test.jsonl.gz", cuts)
    (data / "score").mkdir()
    (data / "score" / "test.stm").write_text("".join(lines))
    (data / "score" / "test.glm").write_text(GLM + "O => O. / [ ] __ [ ]\n")
    write_jsonl(path / "hyps.jsonl", rows)
    write_json(path / "decode.json", {"split": "test", "decoder": "greedy", "failed": 0, "data": str(data)})
    return path


@pytest.mark.parametrize("tool", ["python", pytest.param("sctk", marks=needs_sctk)])
def test_as_nist(folder: Path, tool: str, capsys: pytest.CaptureFixture[str]) -> None:
    score = score_folder(folder, tool=tool)
    found = read_json(folder / "score.json")["nist"]
    assert found["tool"] == tool and found["utterances"] == 5
    # I is inserted; THIS is said for the fragment TH-, which is right only at its beginning, and CHAIR for THERE
    assert (found["substitutions"], found["deletions"], found["insertions"]) == (1, 0, 1)
    assert list(found["parts"]) == ["Switchboard", "CallHome"]
    assert found["parts"]["CallHome"]["substitutions"] == 1 and found["parts"]["Switchboard"]["utterances"] == 3
    assert score["wer"] > found["wer"] and score["utterances"] == 4
    show_scores([score], as_json=False)
    printed = capsys.readouterr().out
    assert "CallHome" in printed and f"STM and GLM, {tool}" in printed


def test_what_was_not_recognised_counts_as_deleted(folder: Path) -> None:
    lines = (folder / "hyps.jsonl").read_text().splitlines(keepends=True)
    (folder / "hyps.jsonl").write_text("".join(lines[1:]))
    assert score_folder(folder, tool="python")["nist"]["deletions"] == 3


def test_without_a_map_of_spellings(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder.parents[3] / "data" / "score" / "test.glm").unlink()
    assert score_folder(folder, tool="python")["nist"]["wer"] > 0
    assert "no test.glm" in capsys.readouterr().err


def test_a_corpus_that_is_elsewhere(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "data").rename(tmp_path / "moved")
    assert "nist" not in score_folder(folder)
    assert "nist" in score_folder(folder, data=tmp_path / "moved", tool="python")
    write_jsonl(tmp_path / "moved" / "cuts_test.jsonl.gz", [{"id": "of another preparation"}])
    with refused(DataError, "hypotheses-of-other-cuts"):
        score_folder(folder, data=tmp_path / "moved")
