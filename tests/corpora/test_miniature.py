"""The miniature has the layout of LibriSpeech, disjoint parts, and bytes that are a function of its plan."""

import itertools
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import soundfile
from support.refusals import refused
from tiny_corpus import TINY, digests, flacs

from sewcli.base.errors import UsageError
from sewcli.corpora.miniatures import speech
from sewcli.corpora.miniatures.casting import VARIANTS
from sewcli.corpora.miniatures.librispeech import LONGEST, SHORTEST, Part, Plan, cast_readers, write_miniature
from sewcli.corpora.miniatures.sentences import part_of, sentences
from sewcli.corpora.places import MINIATURE
from sewcli.text.normalize import librispeech, outside


def _texts(part: Path) -> dict[str, str]:
    lines = [line for path in part.rglob("*.trans.txt") for line in path.read_text().splitlines()]
    return dict(line.split(" ", 1) for line in lines)


def test_layout(spoken: Path) -> None:
    tables = {"README.TXT", "LICENSE.TXT", "SPEAKERS.TXT", "CHAPTERS.TXT", "BOOKS.TXT"}
    assert {path.name for path in spoken.iterdir()} == tables | {MINIATURE} | {part.name for part in TINY.parts}
    for part in TINY.parts:
        texts = _texts(spoken / part.name)
        sounds = flacs(spoken / part.name)
        assert len(texts) == len(sounds) == part.speakers * part.utterances
        for path in sounds:
            speaker, chapter, _ = path.stem.split("-")
            assert path.parts[-4:-1] == (part.name, speaker, chapter)
            assert re.fullmatch(r"\d+-\d+-\d{4}", path.stem)
            sound = soundfile.info(path)
            assert (sound.samplerate, sound.channels, sound.subtype, sound.format) == (16000, 1, "PCM_16", "FLAC")
            assert SHORTEST <= sound.duration <= LONGEST
            text = texts[path.stem]
            assert text == librispeech(text) and not outside(text)
    assert len(list((spoken / "train-clean-100").glob("*/*"))) == 3 * 2  # 13 utterances are two chapters


def test_tables_name_every_speaker_and_chapter(spoken: Path) -> None:
    def rows(name: str) -> list[list[str]]:
        lines = (spoken / name).read_text().splitlines()
        return [[field.strip() for field in line.split("|")] for line in lines if not line.startswith(";")]

    speakers = {(path.parent.name, path.name) for path in spoken.glob("*-*/*")}
    assert {(row[2], row[0]) for row in rows("SPEAKERS.TXT")} == speakers
    assert {row[1] for row in rows("SPEAKERS.TXT")} == {"F", "M"}
    minutes = sum(soundfile.info(path).duration for path in flacs(spoken)) / 60
    assert sum(float(row[3]) for row in rows("SPEAKERS.TXT")) == pytest.approx(minutes, abs=0.005 * len(speakers))
    chapters = {(path.parent.name, path.name) for path in spoken.glob("*-*/*/*")}
    assert {(row[1], row[0]) for row in rows("CHAPTERS.TXT")} == chapters


def test_parts_are_disjoint(spoken: Path) -> None:
    parts = [spoken / part.name for part in TINY.parts]
    speakers = [{path.name for path in part.iterdir()} for part in parts]
    texts = [set(_texts(part).values()) for part in parts]
    for one, other in itertools.combinations(range(3), 2):
        assert not speakers[one] & speakers[other]
        assert not texts[one] & texts[other]


def test_bytes_do_not_depend_on_the_processes(spoken: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    assert write_miniature(again, TINY, jobs=1)
    assert digests(again) == digests(spoken)


def test_the_seed_changes_voices_and_words(spoken: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    write_miniature(other, replace(TINY, seed=8), jobs=2)
    assert not {path.stem for path in flacs(other)} & {path.stem for path in flacs(spoken)}
    assert set(_texts(other).values()) != set(_texts(spoken).values())


def test_what_is_there_is_kept_and_another_plan_replaces_it(tmp_path: Path) -> None:
    corpus = tmp_path / "LibriSpeech"
    plan = Plan(parts=(Part("dev-clean", 1, 2),))
    assert write_miniature(corpus, plan, jobs=1)
    before = digests(corpus)
    assert not write_miniature(corpus, plan, jobs=1)
    assert digests(corpus) == before
    assert write_miniature(corpus, replace(plan, seed=2), jobs=1)
    assert len(flacs(corpus)) == 2 and digests(corpus) != before


def test_a_real_corpus_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "precious.flac").write_text("sound")
    with refused(UsageError, "folder-not-empty"):
        write_miniature(tmp_path, TINY)
    assert (tmp_path / "precious.flac").read_text() == "sound"


def test_the_default_cast_has_no_voice_twice() -> None:
    readers = cast_readers(Plan())
    speakers = [reader.speaker for reader in readers]
    for values in (
        [s.number for s in speakers],
        [s.voice.name for s in speakers],
        [chapter for reader in readers for chapter in reader.chapters],
    ):
        assert len(values) == len(set(values))
    assert len(speakers) == 130 and sum(s.sex == "F" for s in speakers) == 65
    assert all(s.voice.name.split("+")[1] in VARIANTS[s.sex].split() for s in speakers)


def test_more_speakers_than_voices() -> None:
    with pytest.raises(UsageError, match="more than the 150 voices"):
        cast_readers(Plan(parts=(Part("train-clean-100", 151, 1),)))


def test_sentences_stay_in_their_part() -> None:
    drawn = {
        part: {s for speaker in range(30) for s in itertools.islice(sentences(part, 1, speaker), 20)}
        for part in ("train", "dev", "test")
    }
    for part, spoken_there in drawn.items():
        assert {part_of(sentence) for sentence in spoken_there} == {part}
    words = {word for sentence in drawn["train"] for word in sentence.split()}
    assert set("".join(words)) == set("ABCDEFGHIJKLMNOPQRSTUVWXYZ'")
    assert {word for sentence in drawn["test"] for word in sentence.split()} <= words  # no test word is unheard of
    assert 80 <= len(words) <= 89


def test_an_unknown_voice_is_an_error_not_the_voice_before() -> None:
    with pytest.raises(UsageError, match="no voice 'en-gb\\+nobody'"):
        speech.Synthesizer(speech.Voice("en-gb+nobody", 160, 50, 50))


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(UsageError, match=r"pip install 'sewcli\[mini\]'"):
        write_miniature(tmp_path / "LibriSpeech", TINY)
    assert not (tmp_path / "LibriSpeech").exists()


@pytest.mark.long
def test_the_default_miniature(tmp_path: Path) -> None:
    write_miniature(tmp_path / "LibriSpeech")
    minutes = {
        part.name: sum(soundfile.info(path).duration for path in flacs(tmp_path / "LibriSpeech" / part.name)) / 60
        for part in Plan().parts
    }
    assert 70 <= minutes["train-clean-100"] <= 77
    assert 2 <= minutes["dev-clean"] <= 3
    assert 8 <= minutes["test-clean"] <= 9


CHILD = """
import sys
sys.path.insert(0, sys.argv[2])
from tiny_corpus import TINY
from sewcli.corpora.miniatures.librispeech import write_miniature
if __name__ == "__main__":
    write_miniature(sys.argv[1], TINY, jobs=1)
"""


def test_killed_in_the_middle_and_run_again(spoken: Path, tmp_path: Path) -> None:
    corpus = tmp_path / "here" / "LibriSpeech"
    command = [sys.executable, "-c", CHILD, str(corpus), str(Path(__file__).parent)]
    child = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not flacs(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.002)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    assert flacs(tmp_path) and not corpus.exists()  # some of it was spoken, and none of it looks finished
    time.sleep(1)  # the orphaned speaker, if any, ends by itself
    assert write_miniature(corpus, TINY, jobs=2)
    assert digests(corpus) == digests(spoken)
    assert [path.name for path in corpus.parent.iterdir()] == ["LibriSpeech"]  # and no leftovers
