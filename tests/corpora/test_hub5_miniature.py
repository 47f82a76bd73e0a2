"""The tests of the telephone miniature: what their references say was said, and NIST's own tools take them."""

import re
import shutil
import subprocess
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hub5_corpus import listing, prepared
from tiny_corpus import digests

from sewcli.audio.io import verify
from sewcli.base.files import read_jsonl
from sewcli.corpora import eval2000, rt03
from sewcli.corpora.hub5 import utterance_id
from sewcli.corpora.miniatures import hub5
from sewcli.corpora.miniatures.calls import Recording, record
from sewcli.corpora.miniatures.casting import cast
from sewcli.corpora.miniatures.sentences import part_of
from sewcli.corpora.stm import read_stm

SCTK = Path("/usr/lib/sctk/bin")  # where Debian's package has it
TESTS = ((eval2000, "test"), (rt03, "dev"))
HESITATION = re.compile(rf"\b({'|'.join(hub5.HESITATIONS)})\b(?! huh)")


def make(folder: Path, jobs: int) -> list[Recording]:
    made = record(hub5.scripts(cast(3, hub5.SPEAKERS), 3), 3, jobs)
    hub5.write_tests(folder, made)
    return made


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Recording]]:
    folder = tmp_path_factory.mktemp("hub5") / "corpus"
    return folder, make(folder, 2)


@pytest.fixture(scope="module")
def data(spoken: tuple[Path, list[Recording]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both tests prepared."""
    out = tmp_path_factory.mktemp("hub5") / "data"
    splits = [replace(split, published=None) for test, _ in TESTS for split in test.find_splits(spoken[0])]
    assert all(summary["rejected"] == 0 for summary in prepared(out, *splits).values())
    return out


def test_every_byte_is_a_function_of_the_plan(spoken: tuple[Path, list[Recording]], tmp_path: Path) -> None:
    make(tmp_path / "again", 1)
    assert digests(tmp_path / "again") == digests(spoken[0])


def test_folders_and_names(spoken: tuple[Path, list[Recording]]) -> None:
    folder, made = spoken
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    audio, references = "LDC2002S09/hub5e_00/english", "LDC2002T43/reference"
    cts = "eval03/english/cts"
    assert files == {
        *(f"{audio}/{call}.sph" for call in hub5.HUB5),
        *(f"{references}/english/{call}.txt" for call in hub5.HUB5),
        *(f"{audio}/hub5e_00.pem", f"{references}/hub5e00.english.000405.stm", f"{references}/en20000405_hub5.glm"),
        *(f"LDC2007S10/data/audio/{cts}/{call}.sph" for call in hub5.RT03),
        *(f"LDC2007S10/data/references/{cts}/{call}.stm" for call in hub5.RT03),
        *("LDC2007S10/data/references/eval03/english/bnews/eval03.stm", "LDC2007S10/data/trans_rules/en20030506.glm"),
    }
    for recording in made:
        info = verify(next(folder.rglob(f"{recording.call.id}.sph")))
        assert (info.rate, info.channels, info.samples) == (8000, 2, len(recording.wave))


def test_quirks_of_the_true_references(spoken: tuple[Path, list[Recording]]) -> None:
    stm = next(spoken[0].rglob("hub5e00*.stm"))
    text = stm.read_text()
    for quirk in ("(%HESITATION) ", " ((", " { ", " / @ }", "<B_ASIDE>", "<E_ASIDE>", " T. V.", " D.S", " UH-HUH"):
        assert quirk in text, quirk
    assert re.search(r"<O,\w\w,[FM],\w\w-[FM]>$", text, re.MULTILINE)  # a segment without a word
    assert re.search(r">  \(%HESITATION\)$", text, re.MULTILINE) and "  IGNORE_TIME_SEGMENT_IN_SCORING\n" in text
    segments, faults = read_stm(stm)
    assert not faults
    pairs = pairwise(segments)
    assert sum(a.file == b.file and b.start < a.end for a, b in pairs) > 10  # sides overlap
    pem = [line.split() for line in next(spoken[0].rglob("*.pem")).read_text().splitlines()[1:]]
    names = [utterance_id(s.file, s.channel, s.start, s.end) for s in segments]
    assert [utterance_id(file, side, float(a), float(b)) for file, side, _, a, b in pem] == names  # as Kaldi checks
    for path in (spoken[0] / "LDC2007S10").rglob("cts/*.stm"):
        assert re.search(r"^\w+ [12] inter_segment_gap ", path.read_text(), re.MULTILINE)


def test_references_are_what_is_said(spoken: tuple[Path, list[Recording]]) -> None:
    folder, made = spoken
    calls = {"test": made[: len(hub5.HUB5)], "dev": made[len(hub5.HUB5) :]}
    for test, part in TESTS:
        texts = {c.id: c.text for split in test.find_splits(folder) for c in listing(split).candidates}
        plain = 0
        for recording in calls[part]:
            for turn, *times in recording.turns():
                if turn.written.startswith("IGNORE"):
                    continue
                start, end = (round(time, 2 if part == "test" else 3) for time in times)
                said = " ".join(HESITATION.sub("", turn.speech).upper().split())
                found = texts.pop(utterance_id(recording.call.id, "AB"[turn.side], start, end))
                assert found == (said.replace("DEES", "D'S") if turn.written else ""), turn
                plain += found == turn.written and part_of(found) == part
        assert not texts and plain > 8


def _ctm(row: dict) -> list[str]:
    """The words of a cut, spread over its time."""
    supervision = row["supervisions"][0]
    file, channel = supervision["custom"]["stm"]
    words = supervision["text"].split()
    each = row["duration"] / max(len(words), 1)
    starts = (row["start"] + each * (place + 0.1) for place in range(len(words)))
    return [f"{file} {channel} {start:9.3f} {0.8 * each:.3f} {word}" for start, word in zip(starts, words, strict=True)]


@pytest.mark.skipif(not (SCTK / "hubscr.pl").is_file(), reason="NIST's scoring tools (Debian's sctk) are not here")
@pytest.mark.parametrize("split", [test.SPLIT for test, _ in TESTS])
def test_as_nists_tools_see_it(data: Path, tmp_path: Path, split: str) -> None:
    """Our texts as hypotheses: as many segments as cuts, and nothing wrong but what the letters cannot say."""
    stm, ctm, glm = (f"{split}.{suffix}" for suffix in ("stm", "ctm", "glm"))
    mended = re.sub(r"(?i)<[be]_aside>", "", (data / "score" / stm).read_text()).replace("((", "(")  # as Kaldi does
    kept = (line for line in mended.splitlines() if "inter_segment_gap" not in line)
    (tmp_path / stm).write_text("".join(f"{line}\n" for line in kept))
    check = subprocess.run(
        [SCTK / "stmValidator.pl", "-l", "english", "-i", stm], cwd=tmp_path, capture_output=True, check=False
    )
    assert check.returncode == 0, check.stdout
    rows = list(read_jsonl(data / f"cuts_{split}.jsonl.gz"))
    (tmp_path / ctm).write_text("".join(f"{line}\n" for line in sorted(line for row in rows for line in _ctm(row))))
    shutil.copy(data / "score" / glm, tmp_path)
    command = [SCTK / "hubscr.pl", "-p", SCTK, "-V", "-l", "english", "-h", "hub5", "-g", glm, "-r", stm, ctm]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    total = re.search(r"Sum/Avg\s*\|\s*(\d+)", (tmp_path / f"{ctm}.filt.sys").read_text())
    assert total and int(total[1]) == len(rows)
    detail = (tmp_path / f"{ctm}.filt.dtl").read_text()
    wrong = re.findall(r"->\s+(\S+) ==> (\S+)", detail)
    assert {("t.", "t"), ("%bcack", "huh")} <= set(wrong)  # letters have no dots, words no hyphens
    assert set(wrong) <= {("c.", "c"), ("d.s", "d's"), ("t.", "t"), ("v.", "v"), ("%bcack", "huh")}
