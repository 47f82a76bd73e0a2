"""The law of the readers: the same words and sound give the same cuts, whatever the form that they come in."""

from pathlib import Path

import numpy as np
import pytest
from own_corpus import CORPUS, RATE, WRITERS, cuts, rejected

from sewcli.audio.io import read_wave
from sewcli.audio.resample import to_16k
from sewcli.base.files import read_jsonl
from sewcli.text.form import one_form

EXPECTED = {
    said.id: {
        "split": said.split,
        "text": one_form(said.text),
        "speaker": said.speaker,
        "language": "ka",
        "seconds": round(len(said.wave) / RATE, 3),
    }
    for said in CORPUS
}


@pytest.mark.parametrize("reader", WRITERS)
def test_the_same_words_give_the_same_cuts(reader: str, tmp_path: Path, sew_here) -> None:
    arguments = WRITERS[reader](tmp_path / "data")
    done = sew_here("prep", reader, *arguments, "--out", tmp_path / "out", "--text-rules", "as-is", "-j", 2)
    assert (done.returncode, rejected(tmp_path / "out")) == (0, {}), done.stderr
    found = cuts(tmp_path / "out")
    by_text = {(cut["speaker"], cut["text"]): cut for cut in found.values()}
    assert by_text == {(cut["speaker"], cut["text"]): cut for cut in EXPECTED.values()}
    _require_sound(tmp_path / "out")


def _require_sound(out: Path) -> None:
    """Each cut is the sound of its utterance: at least as like it as coding and resampling in one piece leave it."""
    waves = {(said.speaker, one_form(said.text)): to_16k(said.wave, RATE) for said in CORPUS}
    for path in out.glob("cuts_*.jsonl.gz"):
        for row in read_jsonl(path):
            (supervision,) = row["supervisions"]
            source = row["recording"]["sources"][0]["source"]
            wave = read_wave(source, start=round(row["start"] * 16000), samples=round(row["duration"] * 16000))
            expected = waves[supervision["speaker"], supervision["text"]]
            middle = slice(500, len(expected) - 500)  # neighbours reach into the ends through the resampler
            assert np.corrcoef(wave[middle], expected[middle])[0, 1] > 0.99
