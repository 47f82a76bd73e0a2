"""TED-LIUM 3 from its folders to cuts: Kaldi's ids and times, lhotse's where that is right, and every fault by name."""

import gzip
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from support.refusals import refused
from tiny_corpus import TALKS, digests

from sewcli.audio.io import probe, read_wave
from sewcli.base.errors import UsageError
from sewcli.base.files import read_jsonl
from sewcli.base.sample_rate import SAMPLE_RATE
from sewcli.corpora import tedlium3
from sewcli.corpora.miniatures.sentences import part_of
from sewcli.corpora.miniatures.tedlium3 import LM_FILES, Plan, cast_talks, write_miniature
from sewcli.corpora.preparation import prepare
from sewcli.corpora.stm import Segment, read_stm
from sewcli.corpora.tedlium3 import find_corpus, find_splits, identity, padded, read_split
from sewcli.data.utterances import Utterance
from sewcli.data.utterances import read_split as read_cuts
from sewcli.text.normalize import outside


@pytest.fixture
def corpus(spoken_talks: Path, tmp_path: Path) -> Path:
    """A copy of it, to break."""
    return Path(shutil.copytree(spoken_talks, tmp_path / tedlium3.NAME, symlinks=True))


def _prepare(corpus: Path, out: Path, *parts: str) -> dict[str, dict[str, Any]]:
    return prepare(out, "tedlium3", find_splits(corpus, parts or None), jobs=2)


def _rejected(out: Path) -> dict[str, str]:
    return {row["id"]: row["reason"] for row in read_jsonl(out / "rejected.jsonl")}


def _talk(corpus: Path, part: str, index: int = 0) -> tuple[Path, Path]:
    """The sph and the stm file of a talk."""
    stm = sorted((corpus / "legacy" / part / "stm").glob("*.stm"))[index]
    return stm.parent.parent / "sph" / f"{stm.stem}.sph", stm


def _segments(stm: Path) -> list[Segment]:
    segments, faults = read_stm(stm)
    assert not faults
    return [segment for segment in segments if not segment.ignored]


def _by_talk(out: Path, split: str) -> dict[str, list[Utterance]]:
    talks: dict[str, list[Utterance]] = {}
    for utterance in read_cuts(out, split):
        talks.setdefault(utterance.speaker, []).append(utterance)
    return talks


def _one_talk(folder: Path, lines: list[str], seconds: float = 20.0) -> Path:
    """A corpus whose train has one talk, of noise, with these lines (`{}` is its name)."""
    for kind in ("sph", "stm"):
        (folder / "legacy/train" / kind).mkdir(parents=True)
    name = "Ada_2009"
    noise = np.random.default_rng(0).integers(-900, 900, int(seconds * SAMPLE_RATE)).astype(np.int16)
    soundfile.write(folder / f"legacy/train/sph/{name}.sph", noise, SAMPLE_RATE, format="NIST", subtype="PCM_16")
    text = "".join(line.replace("{}", name) + "\n" for line in lines)
    (folder / f"legacy/train/stm/{name}.stm").write_text(text, encoding="utf-8")
    return folder


# The miniature has the form of the real corpus.


def test_layout(spoken_talks: Path) -> None:
    assert {path.name for path in spoken_talks.iterdir()} == {
        *("README", "TEDLIUM.152k.dic", "LM", "data", "legacy", "MINIATURE.json")
    }
    for kind in ("sph", "stm"):
        assert (spoken_talks / "legacy/train" / kind).readlink() == Path(f"../../data/{kind}")
        assert not (spoken_talks / "legacy/dev" / kind).is_symlink()
    for part in TALKS.parts:
        stms = sorted((spoken_talks / "legacy" / part.name / "stm").iterdir())
        assert len(stms) == part.talks
        for stm in stms:
            header = soundfile.info(stm.parent.parent / "sph" / f"{stm.stem}.sph")
            assert (header.samplerate, header.channels, header.format, header.subtype) == (16000, 1, "NIST", "PCM_16")
            segments = _segments(stm)
            assert len(segments) == part.segments
            assert all(segment.file == stm.stem and segment.end <= header.duration for segment in segments)
            assert re.fullmatch(r"[A-Za-z0-9]+_\d{4}[GPUWXZ]?", stm.stem)
    assert sorted(path.name for path in (spoken_talks / "LM").iterdir()) == [f"{name}.en.gz" for name in LM_FILES]
    first = gzip.decompress((spoken_talks / f"LM/{LM_FILES[0]}.en.gz").read_bytes()).decode().splitlines()
    assert len(first) == 5 and all(line.endswith(" </s>") and line == line.lower() for line in first)
    dictionary = (spoken_talks / "TEDLIUM.152k.dic").read_text().splitlines()
    assert all(re.fullmatch(r"[a-z']+(\(\d\))?( [A-Z]{1,2})+", line) for line in dictionary)
    assert "the(2) DH IY" in dictionary and dictionary == sorted(dictionary)


def test_the_miniature_has_the_quirks() -> None:
    """Of the plan that `--mini` uses, without speaking it."""
    talks = cast_talks(Plan())
    assert len({talk.name for talk in talks}) == len(talks) == 80
    assert talks[0].name.startswith("911Callers_")  # a name that begins with a digit, as 911Mothers_2010W
    labels = Counter((talk.part.name, talk.label) for talk in talks)
    assert set(labels) == {
        *(
            ("train", "<NA>"),
            ("train", "<o,f0,male>"),
            ("train", "<o,f0,female>"),
            ("dev", "<F0_M>"),
            ("dev", "<F0_F>"),
        ),
        *(("test", "<o,f0,male>"), ("test", "<o,f0,female>")),
    }
    assert all(talk.person != talk.name for talk in talks if talk.part.name != "train")


def test_quirks_are_spoken(spoken_talks: Path) -> None:
    stms = [stm for part in TALKS.parts for stm in sorted((spoken_talks / "legacy" / part.name / "stm").iterdir())]
    text = "".join(stm.read_text() for stm in stms)
    for quirk in ("<unk> ", " {NOISE}", " 's ", "<NA>", "<F0_F>", "<o,f0,", "-S1)\n", "inter_segment_gap", "scoring\n"):
        assert quirk in text, quirk
    assert any(one.end > other.start for stm in stms for one, other in pairwise(_segments(stm))), "no overlap"
    for stm in stms:
        for segment in _segments(stm):
            assert outside(segment.text.upper().replace("<UNK>", "").replace("{NOISE}", "").split(" (")[0]) == []


def test_parts_are_disjoint(spoken_talks: Path, tmp_path: Path) -> None:
    _prepare(spoken_talks, tmp_path)
    speakers = {part: set(_by_talk(tmp_path, part)) for part in ("train", "dev", "test")}
    assert not speakers["train"] & speakers["dev"] and not speakers["train"] & speakers["test"]
    for part in ("train", "dev", "test"):
        for utterance in read_cuts(tmp_path, part):
            sentence = re.sub(r"^(LET'S|WE'LL|I'D|YOU'RE TO) ", "", utterance.text)
            assert part_of(sentence) == part


def test_bytes_do_not_depend_on_the_processes(spoken_talks: Path, tmp_path: Path) -> None:
    assert write_miniature(tmp_path / "again", TALKS, jobs=1)
    assert digests(tmp_path / "again") == digests(spoken_talks)
    assert not write_miniature(tmp_path / "again", TALKS, jobs=2)


# What comes out.


def test_every_segment_has_kaldis_id_and_is_a_cut(spoken_talks: Path, tmp_path: Path) -> None:
    summaries = _prepare(spoken_talks, tmp_path)
    for part in TALKS.parts:
        utterances = {utterance.id: utterance for utterance in read_cuts(tmp_path, part.name)}
        stms = sorted((spoken_talks / "legacy" / part.name / "stm").iterdir())
        expected = [segment for stm in stms for segment in _segments(stm)]
        assert sorted(utterances) == sorted(identity(segment) for segment in expected)
        assert summaries[part.name]["utterances"] == part.talks * part.segments == len(expected)
        assert summaries[part.name]["speakers"] == part.talks and summaries[part.name]["rejected"] == 0
        gaps = sum(segment.ignored for stm in stms for segment in read_stm(stm)[0])
        assert summaries[part.name]["left_out"] == ({tedlium3.UNSCORED: gaps} if gaps else {})
        for segment in expected:
            utterance = utterances[identity(segment)]
            assert utterance.speaker == segment.file and not outside(utterance.text)
            sound = read_wave(spoken_talks / "legacy" / part.name / "sph" / f"{segment.file}.sph")
            assert np.array_equal(utterance.wave(), sound[utterance.start : utterance.start + utterance.samples])
    assert _rejected(tmp_path) == {}


def test_dev_and_test_are_not_padded_and_train_is(spoken_talks: Path, tmp_path: Path) -> None:
    _prepare(spoken_talks, tmp_path)
    for part in TALKS.parts:
        for stm in (spoken_talks / "legacy" / part.name / "stm").iterdir():
            cuts = {utterance.id: utterance for utterance in read_cuts(tmp_path, part.name)}
            for segment in _segments(stm):
                cut = cuts[identity(segment)]
                before = segment.start - cut.start / SAMPLE_RATE
                after = (cut.start + cut.samples) / SAMPLE_RATE - segment.end
                if part.name == "train":
                    assert before <= 0.15 + 1e-4 and after <= 0.10 + 1e-4
                else:
                    assert abs(before) < 1e-4 and abs(after) < 1e-4
    train = read_cuts(tmp_path, "train")
    raw = sum(s.end - s.start for stm in (spoken_talks / "legacy/train/stm").iterdir() for s in _segments(stm))
    assert sum(cut.seconds for cut in train) > raw + 0.1 * len(train)
    for cuts in _by_talk(tmp_path, "train").values():  # and yet no sample is in two of them
        ordered = sorted(cuts, key=lambda cut: cut.start)
        assert all(one.start + one.samples <= other.start for one, other in pairwise(ordered))
        assert ordered[0].start >= 0


def test_beside_lhotse(spoken_talks: Path, tmp_path: Path) -> None:
    """dev and test are where and when lhotse has them; their texts differ only where lhotse's are wrong."""
    from lhotse import CutSet
    from lhotse.audio.backend import LibsndfileBackend, set_current_audio_backend
    from lhotse.recipes import prepare_tedlium

    raw = {
        stm.stem: stm.read_text() for part in ("dev", "test") for stm in (spoken_talks / "legacy" / part).glob("stm/*")
    }
    set_current_audio_backend(LibsndfileBackend())  # without sph2pipe
    try:
        theirs = prepare_tedlium(spoken_talks, normalize_text="kaldi")
        _prepare(spoken_talks, tmp_path)
        for part in ("dev", "test"):
            cuts = CutSet.from_file(tmp_path / f"cuts_{part}.jsonl.gz").to_eager()
            assert len(cuts) == len(theirs[part]["supervisions"])
            ours = {(cut.recording_id, round(cut.start, 4)): cut for cut in cuts}
            for supervision in theirs[part]["supervisions"]:
                cut = ours[supervision.recording_id, round(supervision.start, 4)]
                recording = theirs[part]["recordings"][supervision.recording_id]
                assert cut.duration == pytest.approx(supervision.duration, abs=1e-4)
                assert cut.recording.num_samples == recording.num_samples
                assert cut.supervisions[0].speaker == supervision.speaker == supervision.recording_id
                assert cut.load_audio().shape == (1, cut.num_samples)
                cleaned = re.sub(r"\[NOISE\]|\(\S*\)$", "", supervision.text).upper()
                assert cut.supervisions[0].text == " ".join(cleaned.split())
                custom = cut.supervisions[0].custom
                assert custom["gender"] in ("male", "female") and custom["original_text"] in raw[cut.recording_id]
        padded_cuts = CutSet.from_file(tmp_path / "cuts_train.jsonl.gz").to_eager()
        assert sum(cut.duration for cut in padded_cuts) > sum(s.duration for s in theirs["train"]["supervisions"])
        with pytest.raises(FileNotFoundError):  # lhotse's does not make its output folder
            prepare_tedlium(spoken_talks, output_dir=tmp_path / "absent", dataset_parts="dev")
    finally:
        set_current_audio_backend("default")
    assert _prepare(spoken_talks, tmp_path / "not" / "there" / "yet", "dev")["dev"]["utterances"] == 16


# Times and ids.


def _segment(start: float, end: float, **other: Any) -> Segment:
    return Segment(
        **{"file": "a", "channel": "1", "speaker": "a", "label": (), "text": "", "line": 1, **other},
        start=start,
        end=end,
    )


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([(5.0, 6.0)], [(4.85, 6.1)]),
        ([(0.1, 1.0)], [(0.0, 1.1)]),  # never before the file
        ([(1.0, 2.0), (2.5, 3.0)], [(0.85, 2.1), (2.35, 3.1)]),
        ([(1.0, 2.0), (2.1, 3.0)], [(0.85, 2.025), (2.025, 3.1)]),  # they meet half-way
        ([(1.0, 16.19), (16.12, 25.0)], [(0.85, 16.13), (16.13, 25.1)]),  # they overlapped before
        ([(2.1, 3.0), (1.0, 2.0)], [(2.025, 3.1), (0.85, 2.025)]),  # whatever their order in the file
        ([(1.0, 2.0), (2.0, 2.05), (2.05, 3.0)], [(0.85, 1.975), (1.975, 2.025), (2.025, 3.1)]),
    ],
)
def test_padding(times: list[tuple[float, float]], expected: list[tuple[float, float]]) -> None:
    found = padded([_segment(*pair) for pair in times], (0.15, 0.10))
    assert np.allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (17.82, 28.81, "a-0001782-0002881"),
        (0.0, 9.5, "a-0000000-0000950"),
        (0.29, 1.13, "a-0000028-0000112"),  # 0.29 * 100 is 28.999999999999996 in awk too
        (1003.35, 1011.16, "a-0100335-0101116"),
    ],
)
def test_ids_are_kaldis(start: float, end: float, expected: str) -> None:
    assert identity(_segment(start, end)) == expected
    awk = 'BEGIN { printf "a-%07d-%07d", S * 100, E * 100 }'
    done = subprocess.run(
        ["awk", "-v", f"S={start}", "-v", f"E={end}", awk], capture_output=True, text=True, check=True
    )
    assert done.stdout == expected


def test_what_is_left_out_is_counted_by_reason(tmp_path: Path) -> None:
    lines = [
        ";; a comment",
        "{} 1 inter_segment_gap 0 1 <o,,unknown> ignore_time_segment_in_scoring",
        "{} 1 {} 1 2 <NA> <unk>",
        "{} 1 {} 2 3 <NA> {NOISE} <sil>",
        "{} 1 {} 3 4 <NA> in the 60s",
        "{} 1 {} 5 9 <NA> a long one",
        "{} 1 {} 6.9 7.1 <NA> inside it",
        "{} 1 {} 10 11 <NA> 'cause it 's kept",
    ]
    listing = read_split(_one_talk(tmp_path, lines) / "legacy/train")
    assert [candidate.text for candidate in listing.candidates] == ["A LONG ONE", "INSIDE IT", "'CAUSE IT'S KEPT"]
    assert listing.rejections == []
    assert listing.left_out == {
        tedlium3.UNSCORED: 1,
        tedlium3.WORDLESS: 2,
        "'6' in the text, which is outside A-Z and '": 1,
    }
    padded_listing = read_split(tmp_path / "legacy/train", padding=(0.15, 0.1))
    assert padded_listing.left_out == {
        **listing.left_out,
        tedlium3.SWALLOWED: 1,
    }  # as extend_segment_times.py ignores it
    assert [(candidate.text, candidate.start, candidate.end) for candidate in padded_listing.candidates] == [
        ("A LONG ONE", 4.85, 7.925),
        ("'CAUSE IT'S KEPT", 9.85, 11.1),
    ]


def test_published_figures_are_held_against_a_real_corpus_only(spoken_talks: Path, corpus: Path) -> None:
    assert all(split.published is None for split in find_splits(spoken_talks, None))
    (corpus / "MINIATURE.json").unlink()
    figures = {split.name: split.published.figures() for split in find_splits(corpus, None) if split.published}
    assert {name: (f["utterances"], f["speakers"]) for name, f in figures.items()} == {
        "train": (268263, 2351),
        "dev": (507, 8),
        "test": (1155, 11),
    }


# Faults.


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (lambda sph: sph.unlink(), "no such sound file"),
        (lambda sph: sph.write_bytes(b""), "an empty file"),
        (lambda sph: sph.write_bytes(sph.read_bytes()[: sph.stat().st_size // 2]), "truncated: "),
        (lambda sph: sph.write_bytes(sph.read_bytes()[:700]), "truncated in its SPHERE header"),
        (lambda sph: sph.write_bytes(b"RIFF" + sph.read_bytes()[4:]), "cannot be read as sound"),
        (
            lambda sph: soundfile.write(sph, np.zeros(80000, np.int16), 8000, format="NIST", subtype="ULAW"),
            "the sample rate is 8000 Hz, not 16000 Hz",
        ),
        (
            lambda sph: soundfile.write(sph, np.zeros((80000, 2), np.int16), 16000, format="NIST", subtype="PCM_16"),
            "2 channels, not 1",
        ),
    ],
)
@pytest.mark.parametrize("part", ["train", "test"])
def test_a_broken_talk_is_set_aside_and_all_others_are_done(
    spoken_talks: Path, corpus: Path, tmp_path: Path, harm, reason: str, part: str
) -> None:
    sph, stm = _talk(corpus, part, 1)
    harm(sph)
    summaries = _prepare(corpus, tmp_path / "out", part)
    gone = {identity(segment) for segment in _segments(stm)}
    rejected = _rejected(tmp_path / "out")
    assert set(rejected) == gone and all(reason in why for why in rejected.values())
    assert summaries[part]["rejected"] == len(gone)
    _prepare(spoken_talks, tmp_path / "whole", part)
    whole = [utterance.id for utterance in read_cuts(tmp_path / "whole", part)]
    assert [u.id for u in read_cuts(tmp_path / "out", part)] == [name for name in whole if name not in gone]


def test_audio_without_stm_and_stm_without_segments(corpus: Path, tmp_path: Path) -> None:
    sph, stm = _talk(corpus, "test", 0)
    stm.unlink()
    other_sph, other_stm = _talk(corpus, "dev", 0)
    other_stm.write_text(";; nothing\n")
    _prepare(corpus, tmp_path / "out", "dev", "test")
    assert _rejected(tmp_path / "out") == {sph.stem: "audio without a transcript", other_sph.stem: "holds no segment"}


def test_lines_that_cannot_be_used_are_named(corpus: Path, tmp_path: Path) -> None:
    sph, stm = _talk(corpus, "test", 0)
    lines = stm.read_text().splitlines()
    seconds = probe(sph).seconds
    name, last = stm.stem, len(lines)
    lines += [
        f"{name} 1 {name} 5.0",
        f"{name} 1 {name} 7.0 6.0 <NA> backwards",
        f"{name} 1 {name} {seconds - 1:.2f} {seconds + 0.3:.2f} <NA> a little beyond",
        f"{name} 1 {name} {seconds - 1:.2f} {seconds + 0.8:.2f} <NA> too far beyond",
        f"{name} 1 {name} {seconds + 3:.2f} {seconds + 4:.2f} <NA> all of it beyond",
        lines[-1],
    ]
    stm.write_text("\n".join(lines) + "\n")
    summaries = _prepare(corpus, tmp_path / "out", "test")
    rejected = _rejected(tmp_path / "out")
    assert rejected.pop(f"{name}:{last + 1}").startswith(f"line {last + 1}: fewer than five columns")
    assert rejected.pop(f"{name}:{last + 2}").startswith(f"line {last + 2}: it ends at 6.0 s")
    assert rejected.pop(identity(_segments_of(lines[-1])[0])) == "a second utterance of the same id"
    assert sorted(reason.split(" s, the audio")[0] for reason in rejected.values()) == sorted(
        [f"the segment ends at {seconds + 0.8:.2f}", f"the segment ends at {seconds + 4:.2f}"]
    )
    assert summaries["test"]["rejected"] == 5
    cut = next(u for u in read_cuts(tmp_path / "out", "test") if u.text == "A LITTLE BEYOND")
    assert cut.start + cut.samples == probe(sph).samples and len(cut.wave()) == cut.samples


def _segments_of(line: str) -> list[Segment]:
    from sewcli.corpora.stm import parse_stm

    return parse_stm([line])[0]


def test_an_stm_file_that_is_not_text(corpus: Path, tmp_path: Path) -> None:
    _, stm = _talk(corpus, "dev", 0)
    stm.write_bytes(stm.read_bytes().replace(b" 's", " é".encode("latin-1"), 1) + b"\xe9\n")
    _prepare(corpus, tmp_path / "out", "dev")
    rejected = _rejected(tmp_path / "out")
    assert list(rejected) == [stm.stem] and "not UTF-8 text" in rejected[stm.stem]


def test_padding_stays_inside_the_file(tmp_path: Path) -> None:
    corpus = _one_talk(tmp_path, ["{} 1 {} 0.05 1 <NA> first", "{} 1 {} 19 20 <NA> last"])
    _prepare(corpus, tmp_path / "out")
    first, last = read_cuts(tmp_path / "out", "train")
    assert (first.start, first.samples) == (0, round(1.1 * SAMPLE_RATE))
    assert (last.start, last.start + last.samples) == (round(18.85 * SAMPLE_RATE), 20 * SAMPLE_RATE)
    assert len(last.wave()) == last.samples


@pytest.mark.parametrize("name", ["JoséAbreu_2009", "O'Neil-Smith_2012X", "日本_2011"])
def test_odd_names_and_paths_with_spaces(corpus: Path, tmp_path: Path, name: str) -> None:
    moved = corpus.rename(corpus.parent / "my corpora é")
    sph, stm = _talk(moved, "test", 0)
    stm.with_name(f"{name}.stm").write_text(stm.read_text().replace(stm.stem, name), encoding="utf-8")
    stm.unlink()
    sph.rename(sph.with_name(f"{name}.sph"))
    summaries = _prepare(moved, tmp_path / "out", "test")
    assert summaries["test"]["rejected"] == 0 and summaries["test"]["utterances"] == 12
    assert all(len(u.wave()) == u.samples for u in _by_talk(tmp_path / "out", "test")[name])


# Where the corpus is.


def test_a_folder_that_is_levels_off_names_the_right_one(spoken_talks: Path) -> None:
    assert find_corpus(spoken_talks) == spoken_talks
    with refused(UsageError, "corpus-folder-too-high") as error:
        find_corpus(spoken_talks.parent)
    assert error.value.hint == f"give {spoken_talks}"
    for inner in ("legacy", "legacy/train", "legacy/train/stm", "data/sph", "LM"):
        with refused(UsageError, "corpus-folder-too-deep") as error:
            find_corpus(spoken_talks / inner)
        assert f"give {spoken_talks}," in str(error.value.hint)


def test_folders_that_are_something_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"no such folder - did you mean 'TEDLIUM'\?"):
        (tmp_path / "TEDLIUM").mkdir()
        find_corpus(tmp_path / "TEDLIUN")
    with pytest.raises(UsageError, match="not in the layout of TED-LIUM 3"):
        find_corpus(tmp_path / "TEDLIUM")
    monkeypatch.setenv("SEW_CORPORA", str(tmp_path))
    with pytest.raises(UsageError, match="TED-LIUM 3 is not here") as error:
        find_corpus(None)
    assert error.value.where == tmp_path / tedlium3.NAME
    assert "openslr.org/51" in str(error.value.hint) and "--mini" in str(error.value.hint)


def test_it_is_found_by_the_environment(spoken_talks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEW_CORPORA", str(spoken_talks.parent))
    assert find_corpus(None) == spoken_talks


def test_unpacked_without_its_links(corpus: Path) -> None:
    shutil.rmtree(corpus / "data")
    with pytest.raises(UsageError, match=r"a link to \.\./\.\./data/sph, which is not there") as error:
        find_splits(corpus, None)
    assert "with its links" in str(error.value.hint)
    assert [split.name for split in find_splits(corpus, ["test", "dev", "test"])] == ["test", "dev"]
    with pytest.raises(UsageError, match=r"no split 'tests' - did you mean 'test'\?"):
        find_splits(corpus, ["tests"])


# Killed, and run again.

CHILD = """
import sys
from pathlib import Path
from sewcli.corpora.preparation import prepare
from sewcli.corpora.tedlium3 import find_splits
prepare(Path(sys.argv[2]), "tedlium3", find_splits(Path(sys.argv[1]), None), jobs=1)
"""


@pytest.mark.parametrize("moment", [".checked/train.1of1.jsonl", "cuts_train.jsonl.gz"])
def test_killed_and_run_again(spoken_talks: Path, tmp_path: Path, moment: str) -> None:
    out = tmp_path / "killed"
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(spoken_talks), str(out)], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not (out / moment).exists() and time.monotonic() < deadline:
        time.sleep(0.001)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL and not (out / "vocabulary.md").exists()
    _prepare(spoken_talks, out)
    _prepare(spoken_talks, tmp_path / "whole")
    assert digests(out) == digests(tmp_path / "whole")
