"""Libri-Light's sets: both halves of a chapter, lists against the archive, long recordings; every wrong folder named."""

import itertools
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from lhotse import CutSet
from lhotse.recipes import prepare_librilight, prepare_librispeech
from tiny_corpus import digests, flacs

from sewcli.base.errors import UsageError
from sewcli.base.files import read_json, read_jsonl
from sewcli.cli.prep import prep
from sewcli.corpora.librilight import (
    FOLD,
    LONGEST,
    PAUSE,
    PUBLISHED,
    find_corpus,
    find_splits,
    fold_speakers,
    read_list,
    stretches,
)
from sewcli.corpora.miniatures import librispeech as librispeech_miniature
from sewcli.corpora.miniatures.librilight import Plan, cast_folds, voice_activity, write_miniature
from sewcli.corpora.miniatures.librispeech import Part
from sewcli.corpora.preparation import prepare
from sewcli.data.utterances import read_split
from sewcli.training import finetune, pretrain
from sewcli.training.config import FinetuneConfig, PretrainConfig
from sewcli.training.recipes import compose

Sew = Callable[..., subprocess.CompletedProcess[str]]
BASE = librispeech_miniature.Plan(
    parts=(Part("train-clean-100", 6, 13), Part("train-other-500", 4, 13), Part("dev-clean", 2, 3)), seed=7
)
TINY = Plan(base=BASE, folds=2, in_hour=4, books=2, sentences=20)
SETS = ["10min", "10min-0", "10min-1", "1h", "10h", "small"]
REAL = Path(os.environ.get("SEW_REAL") or Path(__file__).absolute().parents[3] / "shared" / "real")
with_lists = pytest.mark.skipif(
    not (REAL / "libri_light_lists").is_dir(), reason=f"no libri_light_lists in {REAL} (set SEW_REAL)"
)


@pytest.fixture(scope="session")
def light(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny miniature of Libri-Light. Not to be written to."""
    corpus = tmp_path_factory.mktemp("light") / "LibriLight"
    assert write_miniature(corpus, TINY, jobs=2)
    return corpus


@pytest.fixture(scope="session")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The miniature of LibriSpeech that it comes from. Not to be written to."""
    corpus = tmp_path_factory.mktemp("speech") / "LibriSpeech"
    librispeech_miniature.write_miniature(corpus, BASE, jobs=2)
    return corpus


@pytest.fixture(scope="session")
def prepared_light(light: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("prepared-light")
    prepare(out, "librilight", find_splits(find_corpus(light), None), jobs=2)
    return out


@pytest.fixture
def lists(light: Path, tmp_path: Path) -> Path:
    """1h.lst and 10h.lst of the miniature, in the form of libri-light's."""
    for name, halves in (("1h", ["1h"]), ("10h", ["1h", "9h"])):
        lines = [
            f"{line.split()[0]} </path/to>/{name}/{line.split()[0]}.flac 4075 {line.split(maxsplit=1)[1].lower()}"
            for half in halves
            for path in sorted((light / "librispeech_finetuning" / half).rglob("*.trans.txt"))
            for line in path.read_text().splitlines()
        ]
        (tmp_path / f"{name}.lst").write_text("".join(f"{line}\n" for line in lines))
    return tmp_path


def texts(corpus: Path) -> dict[str, str]:
    lines = [line for path in sorted(corpus.rglob("*.trans.txt")) for line in path.read_text().splitlines()]
    return dict(line.split(" ", 1) for line in lines)


def test_every_set_has_its_utterances(prepared_light: Path) -> None:
    summaries = read_json(prepared_light / "prep.json")["splits"]
    assert sorted(summaries) == sorted(SETS)
    for name, (utterances, speakers) in {
        "10min": (16, 4),
        "10min-0": (16, 4),
        "10min-1": (16, 4),
        "1h": (32, 8),
        "10h": (8 * 13, 8),
    }.items():
        assert (summaries[name]["utterances"], summaries[name]["speakers"]) == (utterances, speakers), name
        assert summaries[name]["published"] is None and summaries[name]["rejected"] == 0
    ids = {name: {u.id for u in read_split(prepared_light, name)} for name in SETS}
    assert ids["10min"] == ids["10min-0"] and not ids["10min-0"] & ids["10min-1"]
    assert ids["10min-0"] | ids["10min-1"] == ids["1h"] < ids["10h"]
    cuts = CutSet.from_file(prepared_light / "cuts_10h.jsonl.gz")
    assert all(cut.load_audio().shape == (1, cut.num_samples) for cut in cuts)


def test_a_chapter_in_both_halves_keeps_the_transcripts_of_both(
    light: Path, speech: Path, prepared_light: Path, tmp_path: Path
) -> None:
    finetuning = light / "librispeech_finetuning"
    halves = [{path.name for path in (finetuning / half).rglob("*.trans.txt")} for half in ("1h", "9h")]
    assert len(halves[0] & halves[1]) == 8, "the miniature has the trap"
    known = texts(speech)
    ten = read_split(prepared_light, "10h")
    assert {u.id: u.text for u in ten} == {u.id: known[u.id] for u in ten} and len(ten) == 8 * 13
    sounds = {path.stem: path.read_bytes() for path in flacs(speech)}
    assert all(u.path.read_bytes() == sounds[u.id] for u in ten)

    for half in ("1h/0", "1h/1", "9h"):  # the way of merging that loses a half
        shutil.copytree(finetuning / half, tmp_path / "merged", dirs_exist_ok=True)
    merged = prepare_librispeech(tmp_path / "merged", dataset_parts=["clean", "other"])
    assert sum(len(part["supervisions"]) for part in merged.values()) == 8 * 13 - 32


def test_the_lists_and_librispeech_give_what_the_archive_gives(
    speech: Path, lists: Path, prepared_light: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    corpus = find_corpus(speech)
    wanted = [f"1h={lists / '1h.lst'}", f"10h={lists / '10h.lst'}", f"10min-1={lists / '1h.lst'}"]
    summaries = prepare(out, "librilight", find_splits(corpus, wanted), jobs=2)
    for name in ("1h", "10h"):
        assert (out / f"text_{name}.txt").read_bytes() == (prepared_light / f"text_{name}.txt").read_bytes()
        here, there = (read_split(folder, name) for folder in (out, prepared_light))
        assert [(u.id, u.speaker, u.samples) for u in here] == [(u.id, u.speaker, u.samples) for u in there]
        assert summaries[name]["rejected"] == 0
    assert summaries["10min-1"]["utterances"] == 16 and summaries["10min-1"]["speakers"] == 4
    table = {row[0]: row[1:3] for row in _rows(speech / "SPEAKERS.TXT")}
    groups = {tuple(table[u.speaker]) for u in read_split(out, "10min-1")}
    assert groups == {(sex, part) for sex in "FM" for part in ("train-clean-100", "train-other-500")}


def test_another_list_is_prepared_anew(speech: Path, lists: Path, tmp_path: Path, capsys) -> None:
    out, path = tmp_path / "out", lists / "1h.lst"
    for _ in range(2):
        prepare(out, "librilight", find_splits(speech, [f"1h={path}"]), jobs=2)
    assert "1h: prepared already" in capsys.readouterr().err
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:5]))
    assert prepare(out, "librilight", find_splits(speech, [f"1h={path}"]), jobs=2)["1h"]["utterances"] == 5


def test_utterances_of_a_list_that_are_absent_are_listed(sew: Sew, speech: Path, lists: Path, tmp_path: Path) -> None:
    corpus = shutil.copytree(speech, tmp_path / "LibriSpeech")
    wanted = read_list(lists / "1h.lst")
    speaker = wanted[0].split("-")[0]
    shutil.rmtree(next(corpus.glob(f"*/{speaker}")))
    lost = {identity for identity in wanted if identity.startswith(f"{speaker}-")}
    broken = next(identity for identity in wanted if identity not in lost)
    path = next(corpus.rglob(f"{broken}.flac"))
    path.write_bytes(path.read_bytes()[:3000])
    done = sew("prep", "librilight", corpus, "--out", tmp_path / "out", "--part", f"1h={lists / '1h.lst'}")
    assert done.returncode == 4, done.stderr
    rejected = {row["id"]: row["reason"] for row in read_jsonl(tmp_path / "out" / "rejected.jsonl")}
    assert rejected.keys() == lost | {broken}
    assert {rejected[identity] for identity in lost} == {"in the list, but not in this corpus"}
    assert {u.id for u in read_split(tmp_path / "out", "1h")} == set(wanted) - rejected.keys()


def test_a_list_of_which_nothing_is_there(sew: Sew, speech: Path, tmp_path: Path) -> None:
    (tmp_path / "1h.lst").write_text("6506-10073-0000 </path>/6506-10073-0000.flac 4075 chapter nineteen\n")
    done = sew("prep", "librilight", speech, "--out", tmp_path / "out", "--part", f"1h={tmp_path / '1h.lst'}")
    assert done.returncode == 3 and "in the list, but not in this corpus" in done.stderr


@pytest.mark.parametrize("content", [b"\xff\xfe", b"", b"\n", b"1h/0/clean\n", b"<html>\n"])
def test_lists_that_are_none(content: bytes, speech: Path, tmp_path: Path) -> None:
    (tmp_path / "1h.lst").write_bytes(content)
    with pytest.raises(UsageError, match=r"UTF-8|empty list|no utterance of LibriSpeech") as caught:
        find_splits(speech, [f"1h={tmp_path / '1h.lst'}"])
    assert caught.value.where == tmp_path / "1h.lst"
    with pytest.raises(UsageError, match=r"cannot read the list of utterances \(No such file"):
        find_splits(speech, [f"1h={tmp_path / 'none.lst'}"])


def test_ten_minutes_need_the_table_of_speakers(speech: Path, lists: Path, tmp_path: Path) -> None:
    speakers = {identity.split("-")[0] for identity in read_list(lists / "1h.lst")}
    folds = [fold_speakers(speech, speakers, fold) for fold in (0, 1)]
    assert set(folds[0]) | set(folds[1]) == speakers and len(folds[0]) == len(folds[1]) == 4
    assert all(int(first) < int(second) for first, second in zip(*folds, strict=True))
    with pytest.raises(UsageError, match="fold 2 has no speaker of F clean, F other, M clean, M other"):
        find_splits(speech, [f"10min-2={lists / '1h.lst'}"])
    corpus = shutil.copytree(speech, tmp_path / "LibriSpeech")
    (corpus / "SPEAKERS.TXT").unlink()
    with pytest.raises(UsageError, match=r"SPEAKERS\.TXT: cannot read who is a woman or a man"):
        find_splits(corpus, [f"10min={lists / '1h.lst'}"])


@with_lists
def test_the_true_lists_have_the_published_counts() -> None:
    chosen = {name: read_list(REAL / "libri_light_lists" / f"{name}.lst") for name in ("1h", "10h")}
    assert set(chosen["1h"]) < set(chosen["10h"])
    for name, wanted in chosen.items():
        published = PUBLISHED[name]
        milliseconds = [
            float(line.split()[2]) for line in (REAL / "libri_light_lists" / f"{name}.lst").read_text().splitlines()
        ]
        assert len(wanted) == len(set(wanted)) == published.utterances
        assert len({identity.split("-")[0] for identity in wanted}) == published.speakers
        assert sum(milliseconds) / 3.6e6 == pytest.approx(published.hours, abs=published.hours_tolerance)


@with_lists
@pytest.mark.skipif(not (REAL / "LibriSpeech" / "SPEAKERS.TXT").is_file(), reason=f"no LibriSpeech in {REAL}")
def test_the_true_speakers_make_six_folds() -> None:
    path = REAL / "libri_light_lists" / "1h.lst"
    seconds: dict[str, float] = {}
    for line in path.read_text().splitlines():
        identity, _, length, *_ = line.split()
        speaker = identity.split("-")[0]
        seconds[speaker] = seconds.get(speaker, 0.0) + float(length) / 1000
    folds = [fold_speakers(REAL / "LibriSpeech", seconds, fold) for fold in range(6)]
    assert sorted(itertools.chain(*folds)) == sorted(seconds)
    for fold in folds:
        assert sum(seconds[s] for s in fold) / 3600 == pytest.approx(FOLD.hours, abs=FOLD.hours_tolerance)


# The recordings without transcripts.

PAIRS = st.lists(st.tuples(st.floats(0, 300), st.floats(0.5, 120)), max_size=40)


@settings(deadline=None)
@given(PAIRS)
def test_the_laws_of_stretches(gaps_and_lengths: list[tuple[float, float]]) -> None:
    activity, at = [], 0.0
    for gap, length in gaps_and_lengths:
        activity.append((at + gap / 100, at + gap / 100 + length))
        at = activity[-1][1]
    cuts = stretches(activity)
    assert all(0 < end - start <= LONGEST + 1e-6 for start, end in cuts)
    assert all(one[1] <= other[0] + 1e-9 for one, other in itertools.pairwise(cuts))
    for start, end in activity:  # all speech is in some cut
        covered = sum(max(0.0, min(end, e) - max(start, s)) for s, e in cuts)
        assert covered == pytest.approx(end - start, abs=1e-6)
    for (_, end), (start, _) in itertools.pairwise(activity):
        if start - end > PAUSE:
            assert not any(s < end and e > start for s, e in cuts), "a long pause is in no cut"


def test_neighbours_are_joined_as_far_as_they_fit() -> None:
    assert stretches([(0.4, 12.32), (13.0, 20.0), (21.0, 30.4), (30.9, 31.5)]) == [(0.4, 30.4), (30.9, 31.5)]
    assert stretches([(0.0, 4.0), (6.5, 8.0)]) == [(0.0, 4.0), (6.5, 8.0)]
    assert stretches([(10.0, 100.0)]) == [(10.0, 40.0), (40.0, 70.0), (70.0, 100.0)]
    assert stretches([]) == []


def test_long_recordings_become_cuts_without_text(light: Path, prepared_light: Path) -> None:
    cuts = read_split(prepared_light, "small")
    assert {u.text for u in cuts} == {""} and {u.path for u in cuts} == set(flacs(light / "small"))
    assert all(u.seconds <= LONGEST for u in cuts)
    for path in flacs(light / "small"):
        own = [u for u in cuts if u.path == path]
        assert len(own) >= 2 and {u.speaker for u in own} == {path.parent.parent.name}
        whole = soundfile.read(path, dtype="float32")[0]
        assert all(np.array_equal(u.wave(), whole[u.start : u.start + u.samples]) for u in own)
        spoken = sum(end - start for start, end in read_json(path.with_suffix(".json"))["voice_activity"])
        assert sum(u.seconds for u in own) >= spoken - 0.1


def test_any_of_the_three_is_enough_where_lhotse_asks_for_all(light: Path, tmp_path: Path) -> None:
    corpus = tmp_path / "flac archive"  # lhotse looks for the .json in a folder named `json archive`
    shutil.copytree(light / "small", corpus / "small")
    with pytest.raises((AssertionError, FileNotFoundError)):
        prepare_librilight(corpus)
    assert [split.name for split in find_splits(find_corpus(corpus), None)] == ["small"]
    summary = prepare(tmp_path / "out", "librilight", find_splits(corpus, ["small"]), jobs=2)["small"]
    assert summary["speakers"] == 2 and summary["rejected"] == 0
    (corpus / "small").rename(corpus / "large")
    assert [split.name for split in find_splits(find_corpus(corpus), None)] == ["large"]


def test_recordings_without_voice_activity(light: Path, tmp_path: Path) -> None:
    corpus = tmp_path / "LibriLight"
    shutil.copytree(light / "small", corpus / "small")
    first, second = flacs(corpus)
    first.with_suffix(".json").unlink()
    facts = read_json(second.with_suffix(".json"))
    second.with_suffix(".json").write_text(json.dumps({**facts, "voice_activity": []}))
    summary = prepare(tmp_path / "out", "librilight", find_splits(corpus, None), jobs=2)["small"]
    assert summary["left_out"] == {"recordings in which no voice was found": 1} and summary["rejected"] == 0
    cuts = read_split(tmp_path / "out", "small")
    assert sum(u.samples for u in cuts) == soundfile.info(first).frames and max(u.seconds for u in cuts) <= LONGEST
    assert len({round(u.seconds, 3) for u in cuts}) == 1


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (b"{", "its .json cannot be read"),
        (b"[]", "an object with names was expected"),
        (b'{"voice_activity": [[3.0, 1.0]]}', "a stretch that ends before it begins"),
        (b'{"voice_activity": [3.0]}', "not a list of pairs of seconds"),
        (None, "cannot be read as sound"),
    ],
)
def test_a_broken_recording_is_listed_and_the_rest_done(
    light: Path, tmp_path: Path, broken: bytes | None, reason: str
) -> None:
    corpus = tmp_path / "LibriLight"
    shutil.copytree(light / "small", corpus / "small")
    first, second = flacs(corpus)
    if broken is None:
        first.write_bytes(first.read_bytes()[:-20_000])
    else:
        first.with_suffix(".json").write_bytes(broken)
    summary = prepare(tmp_path / "out", "librilight", find_splits(corpus, None), jobs=2)["small"]
    assert summary["rejected"] > 0  # the command then exits with 4
    rows = list(read_jsonl(tmp_path / "out" / "rejected.jsonl"))
    assert rows and all(reason in row["reason"] and row["file"] == str(first) for row in rows)
    assert {u.path for u in read_split(tmp_path / "out", "small")} == {second}


def test_they_are_what_training_takes(
    light: Path, speech: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    prep("librispeech", speech, part=["dev-clean"])
    prep("librilight", light, part=["10h", "small"])
    assert {"dev-clean", "10h", "small"} == set(read_json(Path("data/librispeech/prep.json"))["splits"])
    small = ["batch.seconds=8", "batch.micro_seconds=8", "data.min_seconds=0.5", "tensorboard=false"]
    flags = {"model": "sew-micro", "updates": 1}
    pretrain.run(compose(PretrainConfig, "pretrain", None, flags, ["data.train=small", *small]), Path("exp"), "cpu")
    flags["model"] = "exp/model"
    finetune.run(compose(FinetuneConfig, "finetune", "10h", flags, ["data.train=10h", *small]), Path("exp-ft"), "cpu")
    assert Path("exp-ft/model/config.json").is_file()


# Finding it.


def test_nothing_given_and_nothing_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, light: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SEW_CORPORA", raising=False)
    with pytest.raises(
        UsageError, match=r"^download/LibriLight: .*not here[\s\S]*finetuning\.tgz[\s\S]*--mini[\s\S]*1h\.lst"
    ):
        find_corpus(None)
    monkeypatch.setenv("SEW_CORPORA", str(light.parent))
    assert find_corpus(None) == light
    monkeypatch.setenv("SEW_CORPORA", str(light))
    assert find_corpus(None) == light / "librispeech_finetuning"


def test_wrong_folders_name_the_right_one(light: Path, speech: Path, tmp_path: Path) -> None:
    finetuning = light / "librispeech_finetuning"
    for folder, hint in {
        light.parent: f"give {light}",
        finetuning / "1h": f"give {finetuning} --part 1h",
        finetuning / "9h": f"give {finetuning}",
        finetuning / "1h" / "0": f"give {finetuning} --part 10min-0",
        light / "small": f"give {light} --part small",
        tmp_path: "give the folder that holds 1h/ and 9h/",
    }.items():
        with pytest.raises(UsageError) as caught:
            find_corpus(folder)
        assert hint in str(caught.value), folder
    assert find_corpus(light) == light and find_corpus(finetuning) == finetuning and find_corpus(speech) == speech
    with pytest.raises(UsageError, match="no such folder - did you mean 'LibriLight'"):
        find_corpus(light.parent / "LibriLigth")


def test_wrong_parts_name_the_right_ones(light: Path, speech: Path) -> None:
    for corpus, wanted, said in (
        (light, ["10min-7"], r"no set '10min-7' - did you mean '10min-\d'[\s\S]*there are: 10min, 10min-0"),
        (light, ["1h=1h.lst"], r"lists select from LibriSpeech[\s\S]*--part 1h"),
        (light / "librispeech_finetuning", ["small"], "no set 'small'"),
        (speech, None, r"libri-light's lists[\s\S]*--part 10min=1h\.lst --part 1h=1h\.lst"),
        (speech, ["1h"], "not of the form NAME=LIST"),
        (speech, ["train-1h=1h.lst"], "not of the form NAME=LIST"),
        (speech, ["../1h=1h.lst"], "not of the form NAME=LIST"),
    ):
        with pytest.raises(UsageError, match=said):
            find_splits(corpus, wanted)


def test_a_half_of_the_archive_gives_its_sets(light: Path, tmp_path: Path) -> None:
    shutil.copytree(light / "librispeech_finetuning" / "1h", tmp_path / "1h")
    assert [split.name for split in find_splits(find_corpus(tmp_path), None)] == ["10min", "10min-0", "10min-1", "1h"]
    published = {split.name: split.published for split in find_splits(tmp_path, None)}
    assert published == {"10min": FOLD, "10min-0": FOLD, "10min-1": FOLD, "1h": PUBLISHED["1h"]}


# The miniature.


def test_layout(light: Path) -> None:
    assert {p.name for p in light.iterdir()} == {"librispeech_finetuning", "small", "README.txt", "MINIATURE.json"}
    finetuning = light / "librispeech_finetuning"
    assert sorted(p.name for p in (finetuning / "1h").iterdir()) == ["0", "1"]
    for fold in ("1h/0", "1h/1"):
        for part in ("clean", "other"):
            assert len(list((finetuning / fold / part).iterdir())) == 2
    for path in flacs(finetuning):
        speaker, chapter, _ = path.stem.split("-")
        assert path.parts[-3:-1] == (speaker, chapter) and path.parts[-4] in ("clean", "other")
        assert f"{path.stem} " in (path.parent / f"{speaker}-{chapter}.trans.txt").read_text()
    for path in flacs(light / "small"):
        sound = soundfile.info(path)
        assert (sound.samplerate, sound.channels, sound.subtype) == (16000, 1, "PCM_16") and sound.duration > LONGEST
        facts = read_json(path.with_suffix(".json"))
        assert facts.keys() == {"speaker", "book_meta", "snr", "voice_activity"}
        assert path.stem.endswith("_64kb") and path.parent.parent.name == facts["speaker"]
        assert facts["voice_activity"][-1][1] <= sound.duration


def test_its_speakers_are_of_train_and_of_one_set() -> None:
    assigned, others = cast_folds(Plan())
    numbers = [a.reader.number for a in assigned] + [reader.number for reader in others]
    assert len(assigned) == 24 and len(others) == 8 and len(set(numbers)) == 32
    assert {a.reader.part.name for a in assigned} == {"train-clean-100"}
    assert {(a.fold, a.part, a.reader.speaker.sex) for a in assigned} == {
        (fold, part, sex) for fold in range(6) for part in ("clean", "other") for sex in "FM"
    }


def test_voice_activity_is_on_its_grid() -> None:
    found = voice_activity([(0, 16_000), (18_000, 32_000), (48_000, 64_000)])
    assert found == [[0.0, 2.0], [3.04, 4.0]]


def test_bytes_do_not_depend_on_the_processes(light: Path, tmp_path: Path) -> None:
    assert write_miniature(tmp_path / "again", TINY, jobs=1)
    assert digests(tmp_path / "again") == digests(light)
    assert not write_miniature(tmp_path / "again", TINY, jobs=1)


def _rows(table: Path) -> list[list[str]]:
    lines = [line for line in table.read_text().splitlines() if not line.startswith(";")]
    return [[field.strip() for field in line.split("|")] for line in lines]
