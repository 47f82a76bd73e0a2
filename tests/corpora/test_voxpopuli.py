"""VoxPopuli: both layouts give the same utterances, the right ones, and each fault is listed while the rest is done."""

import csv
import gzip
import itertools
import re
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from support.refusals import refused
from tiny_corpus import digests

from sewcli.base.errors import DataError, PartialError, UsageError
from sewcli.base.files import read_json, read_jsonl
from sewcli.cli.prep import prep
from sewcli.corpora.miniatures.voxpopuli import COLUMNS, Part, Plan, write_miniature
from sewcli.corpora.voxpopuli import PUBLISHED, find_corpus, find_splits, lm_sources, stretches
from sewcli.data.utterances import Utterance, read_split

TINY = Plan(
    parts=(Part("train", 4, 3, 7), Part("dev", 2, 1, 3), Part("test", 2, 2, 2)), sessions=3, europarl=12, seed=7
)
SPLITS = [part.name for part in TINY.parts]
CLIPS = Path("transcribed_data/en")


@pytest.fixture(scope="module")
def mini(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny miniature of both layouts, to look at."""
    corpus = tmp_path_factory.mktemp("spoken") / "voxpopuli"
    assert write_miniature(corpus, TINY, jobs=2)
    return corpus


@pytest.fixture
def corpus(mini: Path, tmp_path: Path) -> Path:
    """A copy of it, to break."""
    return Path(shutil.copytree(mini, tmp_path / "voxpopuli"))


@pytest.fixture
def raw(corpus: Path) -> Path:
    """A copy as it is before the official tool has cut the clips."""
    return _without_clips(corpus)


@pytest.fixture(scope="module")
def prepared(mini: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Both layouts after `sew prep`."""
    out = tmp_path_factory.mktemp("prepared")
    sessions = _without_clips(Path(shutil.copytree(mini, out / "voxpopuli")))
    _prep(mini, out / "clips")
    _prep(sessions, out / "sessions")
    return {"clips": out / "clips", "sessions": out / "sessions"}


def _without_clips(corpus: Path) -> Path:
    for path in (corpus / CLIPS).iterdir():
        if path.name != "asr_en.tsv.gz":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    return corpus


def _prep(corpus: Path, out: Path, **options: Any) -> None:
    prep("voxpopuli", corpus, out=out, jobs=2, **options)


def _rows(corpus: Path) -> list[dict[str, str]]:
    with gzip.open(corpus / CLIPS / "asr_en.tsv.gz", "rt", encoding="utf-8") as file:
        head, *lines = [line.rstrip("\n").split("|") for line in file]
    return [dict(zip(head, line, strict=True)) for line in lines]


def _rewrite(corpus: Path, change: Callable[[list[str]], None]) -> None:
    """Change the lines of the annotations (the head is line 0)."""
    path = corpus / CLIPS / "asr_en.tsv.gz"
    with gzip.open(path, "rt", encoding="utf-8") as file:
        lines = file.read().splitlines()
    change(lines)
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")


def _rejected(out: Path) -> dict[str, str]:
    return {row["id"]: row["reason"] for row in read_jsonl(out / "rejected.jsonl")}


def _utterances(out: Path) -> dict[str, Utterance]:
    return {utterance.id: utterance for split in SPLITS for utterance in read_split(out, split)}


# The miniature


def test_layout_of_the_miniature(mini: Path) -> None:
    rows = _rows(mini)
    assert len(rows) == 4 * 3 * 7 + 2 * 3 + 2 * 2 * 2
    assert list(rows[0])[:6] == ["session_id", "id_", "original_text", "normed_text", "speaker_id", "split"]
    sounds = {str(path.relative_to(mini)) for path in mini.rglob("*.ogg")}
    sessions = {f"raw_audios/original/{row['session_id'][:4]}/{row['session_id']}_original.ogg" for row in rows}
    clips = {f"{CLIPS}/{row['session_id'][:4]}/{row['session_id']}-{row['id_']}.ogg" for row in rows}
    assert sounds == sessions | clips and len(clips) == len(rows) and len(sessions) == 3
    for row in rows:
        assert re.fullmatch(r"20(09|1\d|20)\d{4}-0900-PLENARY-\d+", row["session_id"])
        assert re.fullmatch(r"en_\d{8}-\d\d:\d\d:\d\d_\d+", row["id_"])
    for name in sounds:
        sound = soundfile.info(mini / name)
        assert (sound.samplerate, sound.channels, sound.format, sound.subtype) == (16000, 1, "OGG", "VORBIS")
    for split in SPLITS:
        head, *lines = (mini / CLIPS / f"asr_{split}.tsv").read_text().splitlines()
        assert tuple(head.split("\t")) == COLUMNS
        assert len(lines) == sum(row["split"] == split for row in rows)


def test_sessions_of_the_miniature_are_debates(mini: Path) -> None:
    by_session: dict[str, list[dict[str, str]]] = {}
    for row in _rows(mini):
        by_session.setdefault(row["session_id"], []).append(row)
    assert any(len({row["split"] for row in rows}) > 1 for rows in by_session.values())
    for rows in by_session.values():
        assert len({row["speaker_id"] for row in rows}) > 2
        times = [pair for row in rows for pair in stretches(row["vad"])]
        assert all(before[1] < after[0] for before, after in itertools.pairwise(times))
    assert any(len(stretches(row["vad"])) > 1 for row in _rows(mini))


def test_parts_of_the_miniature_are_disjoint(prepared: dict[str, Path]) -> None:
    splits = [read_split(prepared["clips"], split) for split in SPLITS]
    speakers = [{u.speaker for u in split if not u.speaker.startswith("unknown")} for split in splits]
    texts = [{u.text for u in split} for split in splits]
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert not speakers[one] & speakers[other] and not texts[one] & texts[other]


def test_bytes_do_not_depend_on_the_processes(mini: Path, tmp_path: Path) -> None:
    assert write_miniature(tmp_path / "again", TINY, jobs=1)
    assert digests(tmp_path / "again") == digests(mini)
    assert not write_miniature(tmp_path / "again", TINY, jobs=1)  # it is there


@pytest.mark.long
def test_the_default_miniature(tmp_path: Path) -> None:
    write_miniature(tmp_path / "voxpopuli")
    _prep(tmp_path / "voxpopuli", tmp_path / "out")
    hours = {name: split["hours"] for name, split in read_json(tmp_path / "out" / "prep.json")["splits"].items()}
    assert 40 <= 60 * hours["train"] <= 60 and 1 <= 60 * hours["dev"] <= 2 and 3.5 <= 60 * hours["test"] <= 5


# Both layouts


def test_both_layouts_give_the_same_utterances(mini: Path, prepared: dict[str, Path]) -> None:
    clips, sessions = (_utterances(prepared[layout]) for layout in ("clips", "sessions"))
    rows = {f"{row['session_id']}-{row['id_']}": row for row in _rows(mini)}
    usable = {name for name, row in rows.items() if row["normed_text"] and "€" not in row["normed_text"]}
    assert list(clips) == list(sessions) and set(clips) == usable < set(rows)
    for name, clip in clips.items():
        session = sessions[name]
        assert (clip.text, clip.speaker) == (session.text, session.speaker)
        assert (
            clip.seconds
            == session.seconds
            == pytest.approx(sum(end - start for start, end in stretches(rows[name]["vad"])), abs=1e-9)
        )
        likeness = np.corrcoef(clip.wave(), session.wave())[0, 1]
        assert likeness > 0.95  # the clip went through Vorbis once more


def test_what_is_kept_of_an_utterance(mini: Path, prepared: dict[str, Path]) -> None:
    from lhotse import CutSet

    rows = {f"{row['session_id']}-{row['id_']}": row for row in _rows(mini)}
    unknown = 0
    for split in SPLITS:
        both = [CutSet.from_file(out / f"cuts_{split}.jsonl.gz") for out in prepared.values()]
        for one, other in zip(*both, strict=True):
            [supervision], row = one.supervisions, rows[one.id]
            assert supervision.custom == other.supervisions[0].custom
            assert supervision.custom == {
                "original_text": row["original_text"],
                "gender": None if row["gender"] == "None" else row["gender"],
                "is_gold_transcript": row["is_gold_transcript"] == "True",
                "accent": None,
            }
            if row["speaker_id"] == "None":
                unknown += 1
                assert supervision.speaker == f"unknown-{one.id.rsplit('_', 1)[0]}"
            else:
                assert supervision.speaker == row["speaker_id"]
            assert one.load_audio().shape == other.load_audio().shape == (1, one.num_samples)
    assert unknown


def test_a_joined_utterance_is_what_the_official_tool_cuts(mini: Path, prepared: dict[str, Path]) -> None:
    utterances, joined = _utterances(prepared["sessions"]), 0
    sessions = {path.stem: soundfile.read(path) for path in (mini / "raw_audios").rglob("*.ogg")}
    for row in _rows(mini):
        utterance = utterances.get(f"{row['session_id']}-{row['id_']}")
        if utterance is None:
            continue
        wave, rate = sessions[f"{row['session_id']}_original"]
        pairs = [tuple(map(float, pair)) for pair in re.findall(r"\((.+?), (.+?)\)", row["vad"])]
        expected = np.concatenate([wave[int(s * rate) : min(int(t * rate), len(wave))] for s, t in pairs])
        assert np.abs(utterance.wave() - expected).max() < 2**-15  # FLAC of 16 bits
        joined += len(pairs) > 1
    assert joined > 5


def test_quirks_of_transcripts(mini: Path, prepared: dict[str, Path]) -> None:
    for out in prepared.values():
        summary = read_json(out / "prep.json")["splits"]["train"]
        assert summary["left_out"] == {"a transcript with €": 1, "no transcript in the corpus": 1}
        assert summary["changes"]["capitals"] == summary["utterances"] + 1
        assert {"digits made words", "punctuation removed", "remarks in brackets removed"} <= summary["changes"].keys()
        assert summary["rejected"] == 0
    clean = {f"{row['session_id']}-{row['id_']}": row["original_text"] for row in _rows(mini)}
    texts = {name: u.text for name, u in _utterances(prepared["clips"]).items() if clean[name]}
    plain = {name: re.sub(r'"(.*)" he said', r"\1", text).replace(".", "").upper() for name, text in clean.items()}
    assert texts == {name: plain[name] for name in texts}  # the rules undo every quirk


def test_clips_are_taken_where_they_are_cut(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (corpus / CLIPS / "asr_dev.tsv").unlink()
    folders = {split.name: split.folder for split in find_splits(corpus, None)}
    assert folders == {"train": corpus / CLIPS, "dev": corpus / "raw_audios/original", "test": corpus / CLIPS}
    assert "dev: from raw_audios/original" in capsys.readouterr().err
    shutil.rmtree(corpus / "raw_audios")
    assert [split.name for split in find_splits(corpus, None)] == ["train", "test"]
    with pytest.raises(UsageError, match=r"no transcripts of dev[\s\S]*fetch https://.*asr_en.tsv.gz into this folder"):
        find_splits(corpus, ["dev"])


def test_tables_without_clips_leave_the_work_to_the_sessions(corpus: Path) -> None:
    for year in (corpus / CLIPS).glob("2*"):
        shutil.rmtree(year)
    assert {split.folder for split in find_splits(corpus, None)} == {corpus / "raw_audios/original"}


def test_earlier_tables_have_fewer_columns(corpus: Path, tmp_path: Path, prepared: dict[str, Path]) -> None:
    table = corpus / CLIPS / "asr_dev.tsv"
    table.write_text("".join("\t".join(line.split("\t")[:5]) + "\n" for line in table.read_text().splitlines()))
    _prep(corpus, tmp_path / "out", part=["dev"])
    assert [u.text for u in read_split(tmp_path / "out", "dev")] == [
        u.text for u in read_split(prepared["clips"], "dev")
    ]


# Where lhotse's recipe is wrong


def test_lhotse_does_not_find_the_official_layout(mini: Path, tmp_path: Path) -> None:
    from lhotse.recipes import prepare_voxpopuli

    shutil.copy(mini / CLIPS / "asr_en.tsv.gz", tmp_path)  # it would ask the web otherwise
    with pytest.raises(Exception, match=r"No recordings left|must be non-empty"):
        prepare_voxpopuli(mini, tmp_path, lang="en")


def test_lhotse_counts_pauses_in_and_has_ids_of_its_own(raw: Path, tmp_path: Path, prepared: dict[str, Path]) -> None:
    from lhotse.recipes import prepare_voxpopuli

    (tmp_path / "lhotse").mkdir()
    shutil.copy(raw / CLIPS / "asr_en.tsv.gz", tmp_path / "lhotse")
    (raw / "raw_audios" / "en").symlink_to(raw / "raw_audios" / "original")
    theirs = {s.id: s for s in prepare_voxpopuli(raw, tmp_path / "lhotse", lang="en")["train"]["supervisions"]}
    ours = {u.id: u for u in read_split(prepared["sessions"], "train")}
    rows = [row for row in _rows(raw) if row["split"] == "train"]
    assert not set(theirs) & {f"{row['session_id']}-{row['id_']}" for row in rows}
    longer = 0
    for row in rows:
        ours_too = ours.get(f"{row['session_id']}-{row['id_']}")
        span = float(row["end_time"]) - float(row["start_time"])
        match = [
            s for s in theirs.values() if s.recording_id == row["session_id"] and s.duration == pytest.approx(span)
        ]
        assert match
        longer += ours_too is not None and ours_too.seconds < span - 0.3
    assert longer > 5
    assert any(re.search("[a-z.€(]", s.text) for s in theirs.values())  # and texts as they stand


def test_nothing_asks_the_web(raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    connect = socket.socket.connect

    def refuse(self: socket.socket, address: Any) -> None:
        assert self.family == socket.AF_UNIX, f"a connection to {address}"  # between processes
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", refuse)
    _prep(raw, tmp_path / "out", part=["dev"])
    (raw / CLIPS / "asr_en.tsv.gz").rename(raw / "asr_en.tsv.gz")  # another place that people keep it in
    _prep(raw, tmp_path / "other", part=["dev"])
    assert digests(tmp_path / "other" / "audio") == digests(tmp_path / "out" / "audio")
    (raw / "asr_en.tsv.gz").unlink()
    with pytest.raises(UsageError, match=r"no transcripts of train[\s\S]*asr_en.tsv.gz"):
        _prep(raw, tmp_path / "out")


# Faults


def test_faults_of_sessions_are_listed_and_the_rest_done(raw: Path, tmp_path: Path, prepared: dict[str, Path]) -> None:
    gone, short, _ = sorted((raw / "raw_audios/original").rglob("*.ogg"))
    gone.unlink()
    short.write_bytes(short.read_bytes()[: short.stat().st_size // 2])
    lost = {path.name.removesuffix("_original.ogg"): path for path in (gone, short)}
    everything = {u.id: u for u in read_split(prepared["sessions"], "train")}
    with refused(PartialError, "utterances-failed") as raised:
        _prep(raw, tmp_path / "out", part=["train"])
    assert raised.value.exit_code == 4
    reasons = _rejected(tmp_path / "out")
    assert set(reasons) == {name for name in everything if name.partition("-en_")[0] in lost}
    for name, reason in reasons.items():
        expected = "no such sound file" if lost[name.partition("-en_")[0]] == gone else "truncated: the page at byte"
        assert reason.startswith(expected)
    left = {u.id for u in read_split(tmp_path / "out", "train")}
    assert left == set(everything) - set(reasons) and left


def test_faults_of_rows_are_listed_and_the_rest_done(raw: Path, tmp_path: Path, prepared: dict[str, Path]) -> None:
    rows = _rows(raw)
    train = [
        i
        for i, row in enumerate(rows, start=1)
        if row["split"] == "train" and re.match("[a-z' ]+$", row["normed_text"])
    ]
    few, many, doubled, no_vad, odd_vad, beyond = train[:6]

    def change(lines: list[str]) -> None:
        lines[few] = lines[few].rsplit("|", 2)[0]
        lines[many] += "|None"
        lines[no_vad] = lines[no_vad].replace(rows[no_vad - 1]["vad"], "[]")
        lines[odd_vad] = lines[odd_vad].replace(rows[odd_vad - 1]["vad"], "__import__('os').abort()")
        lines[beyond] = lines[beyond].replace(rows[beyond - 1]["vad"], "[(1.0, 2.0), (99999.5, 99999.9)]")
        lines.append(lines[doubled].replace(rows[doubled - 1]["normed_text"], "another text"))

    _rewrite(raw, change)
    with pytest.raises(PartialError, match="6 utterances were set aside"):
        _prep(raw, tmp_path / "out")
    reasons = _rejected(tmp_path / "out")
    name = {i: f"{rows[i - 1]['session_id']}-{rows[i - 1]['id_']}" for i in train[:6]}
    assert reasons.pop(f"line {few + 1}") == f"line {few + 1}: 10 columns, not 12"
    assert reasons.pop(f"line {many + 1}") == f"line {many + 1}: 13 columns, not 12"
    assert reasons.pop(name[doubled]) == "a second row of the same utterance"
    assert "no stretches of speech in its vad: '[]'" in reasons.pop(name[no_vad])
    assert "no stretches of speech in its vad: \"__import__('os')" in reasons.pop(name[odd_vad])
    assert reasons.pop(name[beyond]).startswith("a stretch from 99999.5 to 99999.9 s of ")
    assert not reasons
    after, before = _utterances(tmp_path / "out"), _utterances(prepared["sessions"])
    assert set(after) == set(before) - {name[i] for i in (few, many, no_vad, odd_vad, beyond)}
    assert after[name[doubled]].text == before[name[doubled]].text


def test_faults_of_clips_are_listed_and_the_rest_done(corpus: Path, tmp_path: Path, prepared: dict[str, Path]) -> None:
    table = corpus / CLIPS / "asr_test.tsv"
    head, *lines = table.read_bytes().splitlines()
    names = [line.split(b"\t")[0].decode() for line in lines]
    clip = {name: corpus / CLIPS / name[:4] / f"{name}.ogg" for name in names}
    gone, short, wrong, shifted, foreign = names[:5]
    clip[gone].unlink()
    clip[short].write_bytes(clip[short].read_bytes()[:-100])
    soundfile.write(clip[wrong], np.zeros(8000), 8000)
    lines[3] += b"\tNone"
    lines[4] = lines[4].replace(b"\tNone", b"\t\xe9")
    table.write_bytes(b"\n".join([head, *lines, lines[5]]) + b"\n")
    with pytest.raises(PartialError, match="6 utterances were set aside"):
        _prep(corpus, tmp_path / "out", part=["test"])
    reasons = _rejected(tmp_path / "out")
    assert reasons[gone] == "no such sound file"
    assert reasons[short].startswith("truncated: the page at byte")
    assert reasons[wrong] == "the sample rate is 8000 Hz, not 16000 Hz"
    assert reasons[shifted] == "line 5: 9 columns, not 8"
    assert reasons[foreign] == "line 6: not UTF-8 text"
    assert reasons[names[5]] == "a second row of the same utterance"
    left = [u.id for u in read_split(tmp_path / "out", "test")]
    assert left == [u.id for u in read_split(prepared["clips"], "test") if u.id not in names[:5]]


def test_an_id_that_leads_elsewhere(raw: Path, tmp_path: Path) -> None:
    row = next(row for row in _rows(raw) if row["split"] == "dev")

    def change(lines: list[str]) -> None:
        lines[:] = [line.replace(f"|{row['id_']}|", "|/../../../evil|") for line in lines]

    _rewrite(raw, change)
    with pytest.raises(PartialError, match="1 utterances were set aside"):
        _prep(raw, tmp_path / "out", part=["dev"])
    assert list(_rejected(tmp_path / "out").values()) == ["an id that cannot be a file name"]
    assert not list(tmp_path.rglob("evil*"))


def test_annotations_that_are_cut_off(raw: Path, tmp_path: Path) -> None:
    path = raw / CLIPS / "asr_en.tsv.gz"
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(DataError, match=r"asr_en.tsv.gz: cannot be read to its end .*\n.*download it again"):
        _prep(raw, tmp_path / "out")


@pytest.mark.parametrize(
    ("vad", "expected"),
    [
        ("[(1.5, 3.25), (4, 5.125)]", ((1.5, 3.25), (4.0, 5.125))),
        ("[[0.0, 1e1]]", ((0.0, 10.0),)),
        (" [(1.,2.),] ", ((1.0, 2.0),)),
        ("((0.5, 1.0), (1.0, 1.5))", ((0.5, 1.0), (1.0, 1.5))),
        ("[(0.00007, 1.00009)]", ((1 / 16000, 16001 / 16000),)),  # cut at int(seconds * rate)
        ("[(2.0, 2.0), (3.0, 2.5), (4.0, 4.5)]", ((4.0, 4.5),)),  # the others have no sample
        ("[]", ()),
        ("", ()),
        ("[(1.0, 2.0), (3.0)]", ()),
        ("[(1.0, 2.0)] + [(3, 4)]", ()),
        ("[(-1.0, 2.0)]", ()),
        ("[(nan, inf)]", ()),
        ("exit()", ()),
    ],
)
def test_vad_is_read_not_run(vad: str, expected: tuple[tuple[float, float], ...]) -> None:
    assert stretches(vad) == expected


# Finding it


def test_nothing_given_and_nothing_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SEW_CORPORA", raising=False)
    with pytest.raises(
        UsageError, match=r"^download/voxpopuli: .*not here[\s\S]*--subset asr[\s\S]*asr_en.tsv.gz[\s\S]*--mini"
    ):
        prep("voxpopuli")
    assert not any(tmp_path.iterdir())


def test_one_level_off(mini: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEW_CORPORA", str(mini.parent))
    assert find_corpus(None) == find_corpus(mini) == mini
    with pytest.raises(UsageError, match=f"one level below .*\n.*give {mini}"):
        find_corpus(mini.parent)
    for part in (
        CLIPS,
        CLIPS / "2009",
        "transcribed_data",
        "raw_audios",
        "raw_audios/original",
        "raw_audios/original/2009",
    ):
        with pytest.raises(UsageError, match=f"part of the corpus .*\n.*give its root: {mini}$"):
            find_corpus(mini / part)
    with pytest.raises(UsageError, match=r"voxpopulli: no such folder - did you mean 'voxpopuli'\?"):
        find_corpus(mini.parent / "voxpopulli")
    with pytest.raises(UsageError, match=r"not in the layout of VoxPopuli[\s\S]*download_audios"):
        find_corpus(tmp_path)
    with pytest.raises(UsageError, match=r"no split 'tset' - did you mean 'test'"):
        find_splits(mini, ["tset"])


def test_counts_are_held_against_the_published(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert all(split.published is None for split in find_splits(corpus, None))
    (corpus / "MINIATURE.json").unlink()  # now it claims to be VoxPopuli
    assert {split.name: split.published for split in find_splits(corpus, None)} == PUBLISHED
    _prep(corpus, tmp_path / "out", part=["dev"])
    assert "dev is not as published: 6 utterances, published 1,753 (-1,747)" in capsys.readouterr().err
    assert PUBLISHED["train"].utterances == 182_466


def test_the_tables_are_what_the_official_tool_writes(mini: Path) -> None:
    rows = _rows(mini)
    for split in SPLITS:
        with open(mini / CLIPS / f"asr_{split}.tsv", encoding="utf-8") as file:
            clips = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
        expected = [row for row in rows if row["split"] == split]
        assert [clip["id"] for clip in clips] == [f"{row['session_id']}-{row['id_']}" for row in expected]
        assert [clip["normalized_text"] for clip in clips] == [row["normed_text"] for row in expected]
        assert [clip["raw_text"] for clip in clips] == [row["original_text"] for row in expected]


def test_sentences_of_europarl_beside_the_corpus(corpus: Path) -> None:
    texts = list(lm_sources(corpus) or ())
    assert len(texts) == len(set(texts)) > 12
    assert texts[0] == "OPENING OF THE SITTING"
    assert all(re.fullmatch("[A-Z' ]+", text) for text in texts)
    shutil.rmtree(corpus / "lm_data")
    assert lm_sources(corpus) is None
