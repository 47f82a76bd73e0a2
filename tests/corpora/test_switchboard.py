"""Switchboard-1: both sides of a call, utterances named as Kaldi's, and each fault of a disc by name."""

import json
from collections import Counter
from pathlib import Path

import pytest
from telephone_corpus import TONES, pitch, write, write_call, write_side, write_switchboard

from sewcli.base.errors import PartialError, UsageError
from sewcli.cli.prep import prep
from sewcli.corpora.calls import EMPTY, NOTHING
from sewcli.corpora.switchboard import find_splits, read_calls


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return write_switchboard(tmp_path / "corpus")


def test_utterances(corpus: Path) -> None:
    listing = read_calls([corpus])
    found = {c.id: (c.path.name, c.channel, c.start, c.end, c.speaker, c.text) for c in listing.candidates}
    assert found == {
        "sw02001-A_000098-000256": (
            *("sw02001.sph", 0, 0.977625, 2.561375, "sw02001-A"),
            "HI UM YEAH I'D LIKE TO TALK ABOUT",
        ),
        "sw02001-A_000400-000600": ("sw02001.sph", 0, 4.0, 6.0, "sw02001-A", "T V'S AND TH"),
        "sw02001-B_000240-000320": ("sw02001.sph", 1, 2.4, 3.2, "sw02001-B", "UH HUH"),
        "sw02005-A_000000-000600": ("sw02005.sph", 0, 0.0, 6.0, "sw02005-A", "WELL YUPPIEDOM"),
        "sw02005-B_000050-000501": ("sw02005.sph", 1, 0.5, 5.005, "sw02005-B", "THEM IT'N"),
    }
    assert listing.left_out == {EMPTY: 3, NOTHING: 1}
    assert not listing.rejections
    assert listing.changes["capitals"] == 5 and listing.changes["laughed words: [laughter-yeah] to yeah"] == 1
    assert listing.candidates[0].custom == {
        "call": "sw02001",
        "side": "A",
        "original": "hi um yeah i'd like to [laughter-talk] about",
    }


def test_beside_lhotse(corpus: Path) -> None:
    """The same segments of the same channels; its recipe gives the speaker of side A to both sides."""
    from lhotse.audio.backend import audio_backend
    from lhotse.recipes import prepare_switchboard

    folders = (corpus / "LDC97S62", corpus / "swb_ms98_transcriptions")
    with audio_backend("LibsndfileBackend"):  # its own way needs a program of NIST's
        theirs = prepare_switchboard(*folders, absolute_paths=True)
    segments = {(s.start, s.end, s.channel) for s in theirs["supervisions"]}
    ours = read_calls([corpus]).candidates
    noise = (2.561375, 4.0, 0)
    assert segments - {noise} == {(c.start, c.end, c.channel) for c in ours}
    assert Counter(s.speaker for s in theirs["supervisions"]) == {"sw02001A": 4, "sw02005A": 2}
    assert Counter(c.speaker for c in ours) == {"sw02001-A": 2, "sw02001-B": 1, "sw02005-A": 1, "sw02005-B": 1}
    write_call(corpus / "LDC97S62" / "sw03000.sph")
    with pytest.raises(KeyError):
        prepare_switchboard(*folders, absolute_paths=True)


def test_cuts_hold_their_own_side(corpus: Path, tmp_path: Path) -> None:
    from lhotse import CutSet

    out = tmp_path / "data"
    prep("swbd_fisher", corpus, out=out, jobs=1)
    cuts = list(CutSet.from_file(out / "cuts_train-swbd.jsonl.gz"))
    assert len(cuts) == 5
    for cut in cuts:
        wave = cut.load_audio()
        assert wave.shape == (1, round(cut.duration * 16000)) and cut.sampling_rate == 16000
        (supervision,) = cut.supervisions
        assert supervision.custom["side"] == cut.id[8] == cut.recording_id[-1]
        assert pitch(wave[0]) == pytest.approx(TONES[cut.id[8]], abs=2)
    text = (out / "text_train-swbd.txt").read_text().splitlines()
    assert "T V'S AND TH" in text
    summary = json.loads((out / "prep.json").read_text())["splits"]["train-swbd"]
    assert summary["published"]["hours"] == 313.38 and "published 313.38" in summary["differences"][0]
    assert summary["left_out"] == {EMPTY: 3, NOTHING: 1}


def test_callers_where_the_tables_are_at_hand(corpus: Path) -> None:
    docs = corpus / "LDC97S62" / "docs"
    rows = ['2001, "A", 1632, "x", 5, 300, "", "Y"', '2001, "B", 1519, "x", 5, 300, "", "Y"', '2005, "A", 1519, "x", 5']
    write(docs / "call_con_tab.csv", [*rows, '2005, "B", UNK, "x"'])
    write(docs / "caller_tab.csv", ['1519, 99, "Y", "FEMALE", 1954, "NYC"', '1632, 98, "N", "MALE", 1940, "WESTERN"'])
    people = {(c.id[:9], c.speaker, c.custom.get("gender")) for c in read_calls([corpus]).candidates}
    assert people == {
        ("sw02001-A", "swbd-1632", "M"),
        ("sw02001-B", "swbd-1519", "F"),
        ("sw02005-A", "swbd-1519", "F"),
        ("sw02005-B", "sw02005-B", None),
    }


def test_faults_are_listed_and_the_rest_is_read(corpus: Path) -> None:
    texts, disc = corpus / "swb_ms98_transcriptions", corpus / "LDC97S62" / "swb1_d1" / "data"
    write_side(texts, 2010, "A", (0, 1, "nobody hears this"))
    write_side(texts, 2011, "A", (0, 1, "one"), (1, 2, "two"), (1, 2, "two again"), (3, 3, "backwards"), (4, 5, "a [b"))
    with open(texts / "20" / "2011" / "sw2011A-ms98-a-trans.text", "a") as file:
        file.write("sw2011A-ms98-a-0009 five 6 x\nsw2999A-ms98-a-0010 5 6 x\n\nsw2011A-ms98-a-0011 5.5 6\n")
    write_call(disc / "sw02011.sph")
    write_call(disc / "sw02012.sph")
    second = write_call(disc / "more" / "sw02001.sph")
    listing = read_calls([corpus])
    assert len(listing.candidates) == 5 + 2
    assert listing.left_out["ends before it begins"] == 1 and listing.left_out[EMPTY] == 4
    assert {(rejection.id, rejection.reason) for rejection in listing.rejections} == {
        ("sw02010-A", "transcript without audio"),
        ("sw02011-A_000100-000200", "a second transcript of the same utterance"),
        ("sw02011-A_000400-000500", "symbols outside A-Z and ': ["),
        ("sw02011-A", "line 7 is not `sw2011A-ms98-a-NNNN START END WORDS`"),
        ("sw02011-A", "line 6 is not `sw2011A-ms98-a-NNNN START END WORDS`"),
        ("sw02011-B", "no transcript of side B"),
        ("sw02012", "audio without a transcript"),
        ("sw02001", f"a second file of this call; {disc / 'sw02001.sph'} is used"),
    }
    assert [r.file for r in listing.rejections if r.id == "sw02001"] == [second]


@pytest.mark.parametrize("coding", ["ulaw", "pcm", "shorten"])
def test_a_truncated_call_costs_that_call_alone(
    corpus: Path, tmp_path: Path, coding: str, capsys: pytest.CaptureFixture[str]
) -> None:
    call = write_call(corpus / "LDC97S62" / "swb1_d1" / "data" / "sw02001.sph", coding=coding)
    call.write_bytes(call.read_bytes()[: call.stat().st_size * 2 // 3])
    out = tmp_path / "data"
    with pytest.raises(PartialError, match="3 utterances were set aside"):
        prep("swbd_fisher", corpus, out=out, jobs=1, json=True)
    rows = [json.loads(line) for line in (out / "rejected.jsonl").read_text().splitlines()]
    assert {row["id"][:7] for row in rows} == {"sw02001"} and len(rows) == 3
    assert all(row["file"] == str(call) for row in rows)
    (summary,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert summary["utterances"] == 2 and summary["rejected"] == 3


def test_segments_beyond_the_end_of_a_call(corpus: Path, tmp_path: Path) -> None:
    """A last turn may reach half a second beyond the audio, as in Kaldi, and is then cut; one further off is no turn."""
    texts = corpus / "swb_ms98_transcriptions"
    write_side(texts, 2005, "A", (5, 6.4, "a little over"), (6.2, 9, "beyond"))
    with pytest.raises(PartialError, match="1 utterances were set aside"):
        prep("swbd_fisher", corpus, out=tmp_path / "data", jobs=1)
    from lhotse import CutSet

    cuts = {cut.id: cut for cut in CutSet.from_file(tmp_path / "data" / "cuts_train-swbd.jsonl.gz")}
    assert cuts["sw02005-A_000500-000640"].end == 6.0 and "sw02005-A_000620-000900" not in cuts


def test_without_the_dictionary_acronyms_stay_whole(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (corpus / "swb_ms98_transcriptions" / "sw-ms98-dict.text").unlink()
    assert "TVS AND TH" in {c.text for c in read_calls([corpus]).candidates}
    assert "no sw-ms98-dict.text" in capsys.readouterr().err


def test_one_half_alone(corpus: Path, tmp_path: Path) -> None:
    assert find_splits(tmp_path / "corpus" / "LDC97S62" / "swb1_d1" / "nothing") == []
    (corpus / "swb_ms98_transcriptions").rename(tmp_path / "away")
    with pytest.raises(UsageError, match=r"audio is here and its transcripts are not .*\n.*OpenSLR 5"):
        find_splits(corpus)
    (tmp_path / "away").rename(corpus / "swb_ms98_transcriptions")
    (corpus / "LDC97S62").rename(tmp_path / "discs")
    with pytest.raises(UsageError, match=r"transcripts are here and its audio is not .*\n.*LDC97S62"):
        find_splits(corpus)
