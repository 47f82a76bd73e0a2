"""RT-03S: sides called 1 and 2, gaps between segments, several STM files, and the rest of the disc left alone."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from hub5_corpus import HUB5_GLM, RT03_STMS, listing, prepared, write_hub5, write_rt03
from telephone_corpus import TONES, pitch

from sewcli.base.errors import UsageError
from sewcli.base.files import read_jsonl
from sewcli.corpora import eval2000
from sewcli.corpora.hub5 import GAP, IGNORED
from sewcli.corpora.rt03 import PUBLISHED, SPLIT, find_splits
from sewcli.data.utterances import read_split

UTTERANCES = {
    "fsh_60262-A_000050-000125": "HELLO I'M HERE",
    "fsh_60262-B_000100-000200": "WHO IS TH THERE",
    "sw_45097-B_000010-000590": "OKAY",
}


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    write_rt03(tmp_path / "LDC")
    return tmp_path / "LDC"


def test_channels_are_sides_and_gaps_are_left_out(corpus: Path) -> None:
    [split] = find_splits(corpus)
    found = listing(split)
    assert {candidate.id: candidate.text for candidate in found.candidates} == UTTERANCES
    assert found.rejections == [] and found.left_out == {GAP: 2, IGNORED: 1}
    sides = {c.id: (c.speaker, c.channel, c.custom["side"], c.custom["stm"]) for c in found.candidates}
    assert sides["fsh_60262-A_000050-000125"] == ("fsh_60262-A", 0, "A", ["fsh_60262", "1"])
    assert sides["sw_45097-B_000010-000590"] == ("sw_45097-B", 1, "B", ["sw_45097", "2"])


def test_cuts_and_what_they_are_scored_against(corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "data"
    summary = prepared(out, *find_splits(corpus))[SPLIT]
    assert (summary["utterances"], summary["speakers"], summary["rejected"]) == (3, 3, 0)
    assert (out / "score" / f"{SPLIT}.stm").read_text() == "".join(RT03_STMS.values())
    assert (out / "score" / f"{SPLIT}.glm").read_text() == HUB5_GLM
    for utterance in read_split(out, SPLIT):
        wave = utterance.wave()
        assert utterance.rate == 16_000 and len(wave) == utterance.samples
        assert abs(pitch(wave) - TONES[utterance.id.split("-")[1][0]]) < 5
        assert np.abs(wave).max() > 0.2


@pytest.mark.parametrize("folder", ["LDC2007S10", "rt03s", "NIST/LDC2007S10_d1", "a/b/rt-03"])
def test_the_disc_is_found_by_its_name(tmp_path: Path, folder: str) -> None:
    write_rt03(tmp_path, folder)
    assert len(listing(find_splits(tmp_path)[0]).candidates) == len(UTTERANCES)


def test_both_tests_in_one_folder(corpus: Path) -> None:
    write_hub5(corpus)
    [dev], [test] = find_splits(corpus), eval2000.find_splits(corpus)
    assert {c.path.stem for c in listing(dev).candidates} == {"fsh_60262", "sw_45097"}
    assert {c.path.stem for c in listing(test).candidates} == {"sw_4390", "en_4156"}
    assert listing(dev).rejections == listing(test).rejections == []


def test_nothing_and_half_of_it(corpus: Path) -> None:
    assert find_splits(corpus / "LDC2007S10" / "data" / "trans_rules") == []
    shutil.rmtree(corpus / "LDC2007S10" / "data" / "references" / "eval03" / "english" / "cts")
    with pytest.raises(UsageError, match=r"only the audio can be found[\s\S]*data/references/eval03/english/cts"):
        find_splits(corpus)


def test_one_broken_stm_is_listed_and_the_rest_done(corpus: Path, tmp_path: Path) -> None:
    next(corpus.rglob("fsh_60262.stm")).write_bytes(b"\xff\xfe")
    summary = prepared(tmp_path / "data", *find_splits(corpus))[SPLIT]
    assert (summary["utterances"], summary["rejected"]) == (1, 1)
    [row] = read_jsonl(tmp_path / "data" / "rejected.jsonl")
    assert row["id"] == "fsh_60262" and "not UTF-8" in row["reason"]


def test_a_call_that_is_not_on_the_disc(corpus: Path, tmp_path: Path) -> None:
    next(corpus.rglob("sw_45097.sph")).unlink()
    summary = prepared(tmp_path / "data", *find_splits(corpus))[SPLIT]
    assert (summary["utterances"], summary["rejected"]) == (2, 1)
    [row] = read_jsonl(tmp_path / "data" / "rejected.jsonl")
    assert (row["id"], row["reason"]) == ("sw_45097-B_000010-000590", "no sound file of this call (sw_45097.sph)")


def test_published_parts_add_up() -> None:
    assert sum(PUBLISHED.parts.values()) == PUBLISHED.utterances
