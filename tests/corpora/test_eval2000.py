"""Hub5 2000: segments of the STM, at any level of the discs, at 16 kHz, with what it is scored against beside."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hub5_corpus import HUB5_GLM, HUB5_STM, LEVELS, listing, prepared, write_hub5
from telephone_corpus import TONES, pitch, write_call

from sewcli.audio.io import probe, read_wave
from sewcli.base.errors import DataError, PartialError, UsageError
from sewcli.base.files import read_json, read_jsonl
from sewcli.cli.prep import prep
from sewcli.corpora import swbd_fisher
from sewcli.corpora.eval2000 import PUBLISHED, SPLIT, find_splits
from sewcli.corpora.hub5 import IGNORED, utterance_id
from sewcli.data.utterances import read_split

UTTERANCES = {
    "en_4156-A_000050-000150": "YEAH UH HUH",
    "en_4156-B_000100-000575": "IT IS THE T V'S UM FAULT",
    "sw_4390-A_000028-000114": "WELL HE IS GONE",  # 0.29 * 100 is 28.999999999999996, in awk too
    "sw_4390-A_000114-000200": "",
    "sw_4390-B_000080-000234": "TH THAT IS I B M",
    "sw_4390-B_000150-000234": "OH O K",
    "sw_4390-B_000300-000400": "",
}


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    write_hub5(tmp_path / "LDC")
    return tmp_path / "LDC"


def test_segments_are_those_of_the_stm(corpus: Path) -> None:
    [split] = find_splits(corpus)
    found = listing(split)
    assert {candidate.id: candidate.text for candidate in found.candidates} == UTTERANCES
    assert found.rejections == []
    assert found.left_out == {IGNORED: 1}
    assert found.changes["asides and other tags removed"] == 1
    one = {candidate.id: candidate for candidate in found.candidates}["sw_4390-B_000080-000234"]
    assert (one.start, one.end, one.channel, one.speaker) == (0.8, 2.345, 1, "sw_4390-B")
    assert (one.custom["stm"], one.custom["side"], one.custom["gender"]) == (["sw_4390", "B"], "B", "F")
    assert one.custom["original"] == "<B_ASIDE> ((TH-) THAT { IS / WAS } I. B. M. <E_ASIDE>"


def test_where_lhotse_takes_other_segments_and_other_words(corpus: Path, tmp_path: Path) -> None:
    """lhotse reads reference/english/*.txt: 4473 segments instead of 4459, with the markup of the transcribers."""
    from lhotse import audio_backend
    from lhotse.recipes import prepare_eval2000

    (tmp_path / "lhotse").mkdir()
    with audio_backend("LibsndfileBackend"):  # its default runs sph2pipe; the variable is read only once a process
        theirs = prepare_eval2000(corpus, tmp_path / "lhotse", absolute_paths=True)["supervisions"]
    times = {(s.recording_id, s.start) for s in theirs}
    ours = {(c.path.stem, c.start) for c in listing(find_splits(corpus)[0]).candidates}
    assert ("en_4156", 1.2) in times and ("sw_4390", 1.5) not in times
    assert ours == {
        (i.split("-")[0], t) for i, t in zip(UTTERANCES, (0.5, 1.0, 0.29, 1.15, 0.8, 1.5, 3.0), strict=True)
    }
    assert any("<contraction" in s.text for s in theirs)


def test_ids_as_awk_prints_them() -> None:
    assert utterance_id("en_4156", "A", 301.85, 302.48) == "en_4156-A_030185-030248"
    if shutil.which("awk") is None:
        pytest.skip("no awk to compare with")
    times = [(i / 100, (7 * i + 3) / 100) for i in range(0, 60_000, 7)] + [(0.005, 1234.567)]
    lines = "".join(f"{start!r} {end!r}\n" for start, end in times)
    program = '{printf("x-A_%06d-%06d\\n", $1*100, $2*100)}'
    done = subprocess.run(["awk", program], input=lines, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [utterance_id("x", "A", start, end) for start, end in times]


@pytest.mark.parametrize("level", LEVELS)
def test_discs_are_found_at_any_level(tmp_path: Path, level: str) -> None:
    write_hub5(tmp_path, level)
    [split] = find_splits(tmp_path)
    assert split.name == SPLIT and len(listing(split).candidates) == len(UTTERANCES)


def test_nothing_of_it_is_here(tmp_path: Path) -> None:
    write_call(tmp_path / "LDC97S62" / "sw02001.sph")
    assert find_splits(tmp_path) == []


def test_half_of_it_is_here(tmp_path: Path) -> None:
    write_hub5(tmp_path / "whole")
    shutil.copytree(tmp_path / "whole" / "LDC2002S09", tmp_path / "apart" / "LDC2002S09")
    with pytest.raises(UsageError, match=r"only the audio can be found[\s\S]*link LDC2002T43 \(hub5e00.english.000405"):
        find_splits(tmp_path / "apart")
    shutil.rmtree(tmp_path / "apart" / "LDC2002S09")
    shutil.copytree(tmp_path / "whole" / "LDC2002T43", tmp_path / "apart" / "LDC2002T43")
    with pytest.raises(UsageError, match=r"only the references can be found[\s\S]*link LDC2002S09 \(sw_4390.sph"):
        find_splits(tmp_path / "apart")


@pytest.mark.parametrize(("given", "near"), [("LDC2002S09", "LDC2002T43"), ("LDC2002T43", "LDC2002S09")])
def test_one_level_too_far_down(corpus: Path, given: str, near: str) -> None:
    with pytest.raises(UsageError, match=rf"{given}: of test-eval2000 only[\s\S]*holds both, .*{near} is near"):
        find_splits(corpus / given)


@pytest.mark.parametrize("given", ["LDC2002S09", "LDC2002S09/hub5e_00/english", "LDC2002T43/reference"])
def test_sew_prep_names_the_folder_above_the_discs(corpus: Path, given: str) -> None:
    with pytest.raises(UsageError, match=f"inside one part of the corpus .*\n.*give {corpus}$"):
        swbd_fisher.find_corpus(corpus / given)
    assert swbd_fisher.find_corpus(corpus) == corpus


def test_sew_prep_names_the_folder_far_below(tmp_path: Path) -> None:
    write_hub5(tmp_path / "a" / "b" / "c" / "d")
    with pytest.raises(UsageError, match=f"some levels below .*\n.*give {tmp_path / 'a' / 'b' / 'c' / 'd'}$"):
        swbd_fisher.find_corpus(tmp_path)


def test_sew_prep_sets_aside_a_broken_call_and_exits_4(corpus: Path, tmp_path: Path) -> None:
    _cut_short(next(corpus.rglob("en_4156.sph")))
    with pytest.raises(PartialError, match="2 utterances were set aside") as error:
        prep("swbd_fisher", corpus, out=tmp_path / "data", part=[SPLIT], jobs=1)
    assert error.value.exit_code == 4
    assert len(read_split(tmp_path / "data", SPLIT)) == 5


def test_links_to_discs(corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "linked").mkdir()
    for disc in corpus.iterdir():
        (tmp_path / "linked" / disc.name).symlink_to(disc)
    assert len(listing(find_splits(tmp_path / "linked")[0]).candidates) == len(UTTERANCES)


def test_cuts_are_sides_at_16_khz(corpus: Path, tmp_path: Path) -> None:
    from lhotse import CutSet

    out = tmp_path / "data"
    summary = prepared(out, *find_splits(corpus))[SPLIT]
    assert (summary["utterances"], summary["speakers"], summary["rejected"]) == (7, 4, 0)
    assert summary["left_out"] == {IGNORED: 1}
    cuts = {cut.id: cut for cut in CutSet.from_file(out / f"cuts_{SPLIT}.jsonl.gz")}
    assert {name: cut.supervisions[0].text for name, cut in cuts.items()} == UTTERANCES
    for name, cut in cuts.items():
        side = name.split("-")[1][0]
        wave = cut.load_audio()
        assert wave.shape == (1, round(cut.duration * 16_000)) and cut.sampling_rate == 16_000
        assert abs(pitch(wave[0]) - TONES[side]) < 5
    utterance = {u.id: u for u in read_split(out, SPLIT)}["sw_4390-B_000080-000234"]
    assert utterance.path.name == "sw_4390-B.flac" and utterance.start == 12_800
    assert np.array_equal(utterance.wave(), cuts[utterance.id].load_audio()[0])
    assert probe(utterance.path).samples == len(read_wave(utterance.path)) == 96_000


def test_what_it_is_scored_against_lies_beside_the_cuts(corpus: Path, tmp_path: Path, monkeypatch) -> None:
    out = tmp_path / "data"
    prepared(out, *find_splits(corpus))
    assert (out / "score" / f"{SPLIT}.stm").read_text() == HUB5_STM
    assert (out / "score" / f"{SPLIT}.glm").read_text() == HUB5_GLM
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.gz")}
    prepared(out, *find_splits(corpus))
    assert before == {path: path.stat().st_mtime_ns for path in out.rglob("*.gz")}  # done already
    (out / "score" / f"{SPLIT}.stm").write_text("edited")
    prepared(out, *find_splits(corpus))
    assert (out / "score" / f"{SPLIT}.stm").read_text() == HUB5_STM
    stm = next(corpus.rglob("*.stm"))  # in another folder than the audio
    stm.write_text(HUB5_STM.replace("OH O. K.", "OH NO"))
    prepared(out, *find_splits(corpus))
    assert "OH NO" in (out / "score" / f"{SPLIT}.stm").read_text()
    assert "OH NO\n" in (out / f"text_{SPLIT}.txt").read_text()
    shutil.rmtree(corpus / "LDC2002S09")
    with pytest.raises(UsageError, match="only the references"):
        find_splits(corpus)


def test_without_glm(corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    next(corpus.rglob("*.glm")).unlink()
    prepared(tmp_path / "data", *find_splits(corpus))
    assert "no GLM (" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "data" / "score").iterdir()] == [f"{SPLIT}.stm"]


def test_published_counts_by_part(corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert sum(PUBLISHED.parts.values()) == PUBLISHED.utterances
    [split] = find_splits(corpus)
    summary = prepared(tmp_path / "data", split)[SPLIT]
    assert summary["utterances sw_*"] == 5 and summary["utterances en_*"] == 2
    assert "5 utterances sw_*, published 1,831 (-1,826)" in summary["differences"]
    assert "7 utterances, published 4,459 (-4,452)" in capsys.readouterr().err
    right = replace(PUBLISHED, utterances=7, hours=0.0, speakers=4, parts={"sw_": 5, "en_": 2})
    assert prepared(tmp_path / "data", replace(split, published=right))[SPLIT]["differences"] == []


def _gone(path: Path) -> None:
    path.unlink()


def _cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:50_000])


def _mono(path: Path) -> None:
    import soundfile

    soundfile.write(path, np.zeros(48_000), 8000, format="NIST", subtype="ULAW")


def _text(path: Path) -> None:
    path.write_text("see the other disc\n")


FAULTS = [
    (_gone, 5, r"no sound file of this call \(sw_4390.sph\)"),
    (_cut_short, 5, "truncated: 24488 of 48000 samples can be read"),
    (_mono, 3, "no channel 2"),
    (_text, 5, "cannot be read as sound"),
]


@pytest.mark.parametrize(("damage", "lost", "reason"), FAULTS)
def test_a_broken_call_is_listed_and_the_rest_done(
    corpus: Path, tmp_path: Path, damage: Callable[[Path], None], lost: int, reason: str
) -> None:
    damage(next(corpus.rglob("sw_4390.sph")))
    out = tmp_path / "data"
    summary = prepared(out, *find_splits(corpus))[SPLIT]
    assert (summary["utterances"], summary["rejected"]) == (7 - lost, lost)
    rows = list(read_jsonl(out / "rejected.jsonl"))
    assert {row["id"].split("_0")[0] for row in rows} <= {"sw_4390-A", "sw_4390-B"}
    assert all(re.search(reason, row["reason"]) for row in rows)
    whole = {name for name in UTTERANCES if name not in {row["id"] for row in rows}}
    assert {u.id for u in read_split(out, SPLIT)} == whole


def test_faults_of_the_stm_are_listed(corpus: Path, tmp_path: Path) -> None:
    stm = next(corpus.rglob("*.stm"))
    lines = HUB5_STM.splitlines()
    lines += [
        "sw_4390 A sw_4390_A 3.0",  # cut off
        "sw_4390 A sw_4390_A 3.0 2.0 <O> BACKWARDS",
        "sw_4390 C sw_4390_C 3.0 4.0 <O> WHO",
        "sw_4390 A sw_4390_A 0.29 1.15 <O> AGAIN",
        "en_4156 A en_4156_A 5.0 7.0 <O> BEYOND THE END",
    ]
    stm.write_text("\n".join(lines))
    write_call(next(corpus.rglob("sw_4390.sph")).with_name("sw_9999.sph"))
    summary = prepared(tmp_path / "data", *find_splits(corpus))[SPLIT]
    reasons = {row["id"]: row["reason"] for row in read_jsonl(tmp_path / "data" / "rejected.jsonl")}
    assert summary["utterances"] == 7 and summary["rejected"] == len(reasons) == 6
    assert reasons == {
        "hub5e00.english.000405:14": "fewer than five columns: file, channel, speaker, start and end",
        "hub5e00.english.000405:15": "it ends at 2.0 s, not after its start at 3.0 s",
        "sw_4390-C_000300-000400": "line 16: no such channel: C",
        "sw_4390-A_000028-000114": "a second transcript of the same utterance",
        "en_4156-A_000500-000700": "the segment ends at 7.00 s, the audio at 6.00 s",
        "sw_9999": "a call without reference",
    }


def test_an_stm_that_is_no_text(corpus: Path, tmp_path: Path) -> None:
    next(corpus.rglob("*.stm")).write_bytes(b"\xff\xfe\x00\x01" * 100)
    with pytest.raises(DataError, match=r"no usable utterance in test-eval2000.*not UTF-8"):
        prepared(tmp_path / "data", *find_splits(corpus))


def test_one_call_twice(corpus: Path) -> None:
    audio = next(corpus.rglob("sw_4390.sph"))
    shutil.copy(audio, audio.parent.parent / "SW_4390.SPH")
    [rejection] = listing(find_splits(corpus)[0]).rejections
    assert rejection.reason.startswith("a second file of this call")


def test_prep_json_is_json(corpus: Path, tmp_path: Path) -> None:
    prepared(tmp_path / "data", *find_splits(corpus))
    summary = read_json(tmp_path / "data" / "prep.json")["splits"][SPLIT]
    assert set(summary["outputs"]) == {
        f"cuts_{SPLIT}.jsonl.gz",
        f"text_{SPLIT}.txt",
        f"score/{SPLIT}.stm",
        f"score/{SPLIT}.glm",
    }
    assert json.dumps(summary)
