"""One's own speech in the layout of LibriSpeech: other kinds of sound files, transcripts in other encodings, languages."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sewcli.base.files import read_json, read_jsonl
from sewcli.corpora.librispeech import read_part
from sewcli.data.utterances import read_split

WORDS = ("PLAY HAPPY MUSIC", "IN THE OFFICE", "STOP")


def layout(
    folder: Path, part: str = "train", kind: str = ".wav", encoding: str = "utf-8", first: str = WORDS[0]
) -> Path:
    """PART/7/1 with three utterances."""
    chapter = folder / part / "7" / "1"
    chapter.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for n in range(len(WORDS)):
        wave = rng.normal(0, 0.1, 16_000)
        soundfile.write(chapter / f"7-1-000{n}.tmp", wave, 16_000, format=kind[1:].upper())
        (chapter / f"7-1-000{n}.tmp").rename(chapter / f"7-1-000{n}{kind}")
    lines = [f"7-1-000{n} {words}\n" for n, words in enumerate((first, *WORDS[1:]))]
    (chapter / "7-1.trans.txt").write_bytes("".join(lines).encode(encoding))
    return folder


@pytest.mark.fault("report-55")
@pytest.mark.parametrize("kind", [".wav", ".mp3", ".FLAC", ".ogg", ".flac", ".Wav", ".aiff"])
def test_other_kinds_of_sound_files_are_read(kind: str, tmp_path: Path, sew_here) -> None:
    layout(tmp_path / "corpus", kind=kind)
    done = sew_here("prep", "librispeech", tmp_path / "corpus", "--part", "train", "--out", tmp_path / "data")
    assert done.returncode == 0, done.stderr
    found = read_split(tmp_path / "data", "train")
    assert [(u.text, Path(u.path).suffix) for u in found] == [(words, kind) for words in WORDS]
    assert all(abs(len(u.wave()) - 16_000) < 2000 for u in found)


@pytest.mark.fault("report-55")
def test_a_file_of_another_kind_is_named_as_there(tmp_path: Path) -> None:
    chapter = layout(tmp_path, kind=".wav") / "train/7/1"
    (chapter / "7-1-0000.wav").rename(chapter / "7-1-0000.xyz")
    (chapter / "7-1-0001.wav").unlink()
    (chapter / "7-1-0002.mp3").write_bytes(b"")
    (chapter / "notes.pdf").write_bytes(b"")
    (chapter / "7-1-0009.wav").write_bytes((chapter / "7-1-0002.wav").read_bytes())
    listing = read_part(tmp_path / "train")
    assert not listing.candidates
    assert {r.id: r.reason for r in listing.rejections} == {
        "7-1-0000": "its audio is of a kind that is not read: 7-1-0000.xyz",
        "7-1-0001": "transcript without audio",
        "7-1-0002": "more than one sound file: 7-1-0002.mp3, 7-1-0002.wav",
        "7-1-0009": "audio without a transcript",
    }
    (chapter / "7-1-0002.mp3").rename(chapter / "7-1-0002.flac")
    (only,) = read_part(tmp_path / "train").candidates  # LibriSpeech's own kind comes first
    assert only.path.name == "7-1-0002.flac"


@pytest.mark.fault("input-37", "report-55")
@pytest.mark.parametrize(("encoding", "named"), [("latin-1", "Latin-1"), ("utf-16", "UTF-16"), ("utf-16-le", "UTF-16")])
def test_a_transcript_in_another_encoding_is_the_reason_that_is_told(
    encoding: str, named: str, tmp_path: Path, sew_here
) -> None:
    layout(tmp_path / "corpus", encoding=encoding, first="UN CAFÉ AU LAIT")
    done = sew_here("prep", "librispeech", tmp_path / "corpus", "--part", "train", "--out", tmp_path / "data")
    said = " ".join(done.stderr.split())
    assert done.returncode == 3 and named in said and "without a transcript" not in said, said
    reasons = Counter(row["reason"].partition(":")[0] for row in read_jsonl(tmp_path / "data" / "rejected.jsonl"))
    assert reasons["its transcript cannot be read"] == 3 and len(list(reasons.elements())) == 4
    assert all(named in row["reason"] for row in read_jsonl(tmp_path / "data" / "rejected.jsonl"))


@pytest.mark.fault("report-26")
@pytest.mark.parametrize(("part", "language"), [("train-clean-100", "English"), ("train-fr", None)])
def test_the_language_is_only_said_where_it_is_known(part: str, language: str | None, tmp_path: Path, sew_here) -> None:
    layout(tmp_path / "corpus", part=part)
    done = sew_here("prep", "librispeech", tmp_path / "corpus", "--part", part, "--out", tmp_path / "data")
    assert done.returncode == 0, done.stderr
    rows = list(read_jsonl(tmp_path / "data" / f"cuts_{part}.jsonl.gz"))
    assert {row["supervisions"][0].get("language") for row in rows} == {language}
    assert read_json(tmp_path / "data" / "prep.json")["splits"][part]["utterances"] == 3
