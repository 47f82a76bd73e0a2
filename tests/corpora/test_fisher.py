"""Fisher English: both layouts of its discs, speakers by PIN, what Kaldi leaves out, and each fault by name."""

import json
from pathlib import Path

import pytest
import soundfile
from telephone_corpus import TONES, pitch, write, write_call, write_call_table, write_fisher

from sewcli.base.errors import PartialError, UsageError
from sewcli.cli.prep import prep
from sewcli.corpora.calls import EMPTY, NOTHING
from sewcli.corpora.fisher import UNCLEAR, find_splits, read_calls

CALLDATA = "LDC2004T19/fe_03_p1_tran/doc/fe_03_p1_calldata.tbl"
TRANSCRIPTS = "LDC2004T19/fe_03_p1_tran/data/trans"


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return write_fisher(tmp_path / "corpus")


def test_utterances(corpus: Path) -> None:
    listing = read_calls([corpus])
    found = {c.id: (c.path.name, c.channel, c.start, c.end, c.speaker, c.text) for c in listing.candidates}
    assert found == {
        # 0.29 s is 28 centiseconds in Kaldi, which cuts 28.999999999999996 off
        "fe_03_00001-A-000028-000154": (
            *("fe_03_00001.sph", 0, 0.29, 1.54, "fisher-2602F"),
            "AND I GEN GENERALLY PREFER",
        ),
        "fe_03_00001-B-000120-000248": ("fe_03_00001.sph", 1, 1.2, 2.48, "fisher-2790M", "ON C N N"),
        "fe_03_00001-B-000450-000592": ("fe_03_00001.sph", 1, 4.5, 5.92, "fisher-2790M", "EATING AT HOME"),
        "fe_03_05851-B-000000-000121": ("fe_03_05851.sph", 1, 0.0, 1.21, "fisher-3001M", "HELLO"),
        # the PIN of a woman in the first call
        "fe_03_05851-A-000073-000193": ("fe_03_05851.sph", 0, 0.73, 1.93, "fisher-2602M", "HELLO MR SMITH"),
    }
    assert listing.left_out == {UNCLEAR: 2, EMPTY: 1, NOTHING: 1, "ends before it begins": 1}
    assert not listing.rejections
    assert listing.candidates[1].custom == {
        "call": "fe_03_00001",
        "side": "B",
        "gender": "M",
        "original": "[laugh] on c._n._n.",
    }


def test_beside_lhotse(tmp_path: Path) -> None:
    """The same times, channels and PINs; its recipe keeps the guessed lines, and one broken file stops it."""
    from lhotse.audio.backend import audio_backend
    from lhotse.recipes import prepare_fisher_english

    corpus = write_fisher(tmp_path / "corpus", coding="ulaw")  # it needs a program of NIST's for shorten
    folders = {
        "audio_dirs": ["LDC2004S13", "LDC2005S13"],
        "transcript_dirs": ["LDC2004T19/fe_03_p1_tran", "LDC2005T19/fe_03_p2_tran"],
    }
    text = corpus / TRANSCRIPTS / "000" / "fe_03_00001.txt"
    text.write_text(text.read_text().replace("4.30 4.10 A: backwards \n", ""))  # it accepts no such line
    with audio_backend("LibsndfileBackend"):
        theirs = prepare_fisher_english(corpus, tmp_path / "lhotse", **folders, absolute_paths=True)["supervisions"]
    theirs = {(s.recording_id, s.start, s.end, s.channel): s for s in theirs}
    ours = {(c.path.stem, c.start, c.end, c.channel): c for c in read_calls([corpus]).candidates}
    assert set(ours) < set(theirs)
    assert {theirs[key].text for key in set(theirs) - set(ours)} == {"who (( )) and he", "(( oh yeah ))", "[mn]", ""}
    for key, candidate in ours.items():
        assert candidate.speaker[:-1] == f"fisher-{theirs[key].speaker}"
        assert candidate.custom["original"] == theirs[key].text
    call = corpus / "LDC2004S13" / "fe_03_p1_sph1" / "audio" / "000" / "fe_03_00001.sph"
    call.write_bytes(b"NIST_1A\n   1024\n")
    with audio_backend("LibsndfileBackend"), pytest.raises(soundfile.LibsndfileError):
        prepare_fisher_english(corpus, tmp_path / "again", **folders, absolute_paths=True)
    with pytest.raises(PartialError, match="3 utterances were set aside"):
        prep("swbd_fisher", corpus, out=tmp_path / "data", jobs=1)


def test_shortened_and_plain_calls_give_the_same_audio(tmp_path: Path) -> None:
    made = []
    for coding in ("shorten", "ulaw"):
        corpus, out = write_fisher(tmp_path / coding, coding), tmp_path / f"data-{coding}"
        prep("swbd_fisher", corpus, out=out, jobs=1)
        audio = sorted((out / "audio" / "train-fisher").iterdir())
        assert [path.name for path in audio] == [
            f"fe_03_{call}-{side}.flac" for call in ("00001", "05851") for side in "AB"
        ]
        made.append([path.read_bytes() for path in audio])
    assert made[0] == made[1]


def test_cuts_hold_their_own_side(corpus: Path, tmp_path: Path) -> None:
    from lhotse import CutSet

    prep("swbd_fisher", corpus, out=tmp_path / "data", jobs=1)
    cuts = list(CutSet.from_file(tmp_path / "data" / "cuts_train-fisher.jsonl.gz"))
    assert len(cuts) == 5
    for cut in cuts:
        wave = cut.load_audio()
        assert wave.shape == (1, round(cut.duration * 16000))
        assert pitch(wave[0]) == pytest.approx(TONES[cut.supervisions[0].custom["side"]], abs=2)


def test_speakers_without_the_table_of_calls(corpus: Path) -> None:
    (corpus / CALLDATA).unlink()
    people = {(c.id[:13], c.speaker, c.custom.get("gender")) for c in read_calls([corpus]).candidates}
    assert people >= {("fe_03_00001-A", "fe_03_00001-A", "F"), ("fe_03_00001-B", "fe_03_00001-B", "M")}
    (corpus / "LDC2004S13" / "fe_03_p1_sph1" / "filetable.txt").unlink()
    people = {(c.id[:13], c.speaker, c.custom.get("gender")) for c in read_calls([corpus]).candidates}
    assert people >= {("fe_03_00001-A", "fe_03_00001-A", None), ("fe_03_05851-A", "fisher-2602M", "M")}
    write((corpus / CALLDATA).with_name("fe_03_p1_filelist.tbl"), ["fe_03_p1_sph1\t00001\tmf\tLDC"])
    people = {(c.id[:13], c.speaker, c.custom.get("gender")) for c in read_calls([corpus]).candidates}
    assert people >= {("fe_03_00001-A", "fe_03_00001-A", "M"), ("fe_03_00001-B", "fe_03_00001-B", "F")}


def test_calls_known_to_be_bad_and_a_time_known_to_be_mistyped(corpus: Path) -> None:
    for call, line in (
        ("00446", "1.00 2.00 A: hiss"),
        ("11487", "31.09 234.06 A: yes"),
        ("11488", "31.09 234.06 A: yes"),
    ):
        write_call(corpus / "LDC2005S13" / "more" / f"fe_03_{call}.sph", seconds=0.1)
        write(corpus / TRANSCRIPTS / call[:3] / f"fe_03_{call}.txt", [f"# fe_03_{call}.sph", "", line])
    listing = read_calls([corpus])
    found = {c.id for c in listing.candidates if "yes" in c.custom["original"]}
    assert found == {"fe_03_11487-A-023109-023406", "fe_03_11488-A-003109-023406"}
    assert listing.left_out["calls whose audio is known to be bad"] == 1 and not listing.rejections


def test_faults_are_listed_and_the_rest_is_read(corpus: Path) -> None:
    first = corpus / TRANSCRIPTS / "000"
    audio = corpus / "LDC2004S13" / "fe_03_p1_sph1" / "audio" / "000"
    with open(first / "fe_03_00001.txt", "a") as file:
        file.write("\n5.9 6.0 C: who is this\n4.50 5.92 B: eating again\n5.93 5.99 A: \x82t\xe9\n")
    (first / "fe_03_00001.txt").write_bytes((first / "fe_03_00001.txt").read_bytes().decode().encode("latin-1"))
    write(first / "fe_03_00002.txt", ["# fe_03_00002.sph", "", "1.00 2.00 A: nobody hears this"])
    write(first / "fe_03_00003.txt", ["# fe_03_00004.sph", "", "1.00 2.00 A: of another call"])
    for call in (3, 5):
        write_call(audio / f"fe_03_0000{call}.sph", seconds=0.1)
    write(corpus / "LDC2004T19" / "fe_03_p1_tran" / "bbn_orig" / "000" / "originals" / "fe_03_00006.txt", ["L: Hi."])
    listing = read_calls([corpus])
    assert len(listing.candidates) == 5
    assert {(rejection.id, rejection.reason) for rejection in listing.rejections} == {
        ("fe_03_00001", "line 20 is not `START END A: WORDS`"),
        ("fe_03_00001-B-000450-000592", "a second transcript of the same utterance"),
        ("fe_03_00001-A-000593-000599", "symbols outside A-Z and ': \ufffd"),
        ("fe_03_00002", "transcript without audio"),
        ("fe_03_00003", "its first line names another call: fe_03_00004.sph"),
        ("fe_03_00005", "audio without a transcript"),
    }


def test_what_came_of_it_is_counted(corpus: Path, tmp_path: Path) -> None:
    prep("swbd_fisher", corpus, out=tmp_path / "data", jobs=1)
    summary = json.loads((tmp_path / "data" / "prep.json").read_text())["splits"]["train-fisher"]
    assert summary["utterances"] == 5 and summary["speakers"] == 4 and summary["rejected"] == 0
    assert summary["left_out"][UNCLEAR] == 2 and "published 1,915" in summary["differences"][0]
    report = (tmp_path / "data" / "vocabulary.md").read_text()
    assert f"| {UNCLEAR} | 2 |" in report and "| acronyms in letters: c._n._n. to c n n | 1 |" in report


def test_a_second_row_about_a_call_is_a_later_word(corpus: Path) -> None:
    write_call_table(corpus / CALLDATA, "00001,x,ENG01,4,4,,f.a,x,1,2,2790,,y,1,2", "", "short")
    people = {(c.id[:13], c.speaker) for c in read_calls([corpus]).candidates}
    assert people >= {("fe_03_00001-A", "fe_03_00001-A"), ("fe_03_00001-B", "fisher-2790")}


def test_one_half_alone(corpus: Path, tmp_path: Path) -> None:
    for part in ("LDC2004T19", "LDC2005T19"):
        (corpus / part).rename(tmp_path / part)
    with pytest.raises(UsageError, match=r"audio is here and its transcripts are not .*\n.*LDC2004T19 and LDC2005T19"):
        find_splits(corpus)
    for part in ("T19", "S13"):
        for year in ("LDC2004", "LDC2005"):
            source, target = (tmp_path, corpus) if part == "T19" else (corpus, tmp_path)
            (source / f"{year}{part}").rename(target / f"{year}{part}")
    with pytest.raises(UsageError, match=r"transcripts are here and its audio is not .*\n.*LDC2004S13 and LDC2005S13"):
        find_splits(corpus)
