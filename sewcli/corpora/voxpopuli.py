"""VoxPopuli, English with transcripts: the clips of the official tool, or the raw sessions and their annotations.

Paper: Wang et al. 2021, section 3; layout and the cutting of clips: get_asr_data.py of facebookresearch/voxpopuli. A clip is
the stretches of speech (`vad`) of a session, joined, each from sample int(start * rate) to int(end * rate); both layouts
give the same utterances, under the clips' names. lhotse's recipe looks for sessions in another folder, takes all between
`start_time` and `end_time`, counts through the utterances for ids of its own, and asks the web for the annotations.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from sewcli.base.errors import UsageError, nearest
from sewcli.base.files import sha256
from sewcli.base.log import info
from sewcli.base.sample_rate import SAMPLE_RATE
from sewcli.corpora.delimited import Row, read_rows
from sewcli.corpora.europarl import read_sentences
from sewcli.corpora.places import is_miniature, require_folder
from sewcli.corpora.preparation import ParsedTranscripts, Published, RawUtterance, Rejection, Split
from sewcli.text.normalize import outside
from sewcli.text.rules import normalise
from sewcli.text.voxpopuli import TRANSCRIPT

NAME = "voxpopuli"
CLIPS, SESSIONS, ANNOTATIONS = Path("transcribed_data/en"), Path("raw_audios/original"), "asr_en.tsv.gz"
LM_DATA = Path("lm_data/en")
URL = f"https://dl.fbaipublicfiles.com/voxpopuli/annotations/asr/{ANNOTATIONS}"
FETCH = "python -m voxpopuli.download_audios --root DIR --subset asr (github.com/facebookresearch/voxpopuli)"
# Hours: the SEW paper. Utterances: 182,482 in train (from memory, and in the README of an ESPnet recipe, which counts 16
# without a transcript among them), 1,753 in dev, 1,842 in test. Speakers are published for all three together: 1,313.
PUBLISHED = {
    "train": Published(182_482 - 16, 522, None, hours_tolerance=1),
    "dev": Published(1753, 5, None, hours_tolerance=0.5),
    "test": Published(1842, 5, None, hours_tolerance=0.5),
}
NOT_KNOWN = frozenset({"", "None"})  # how the tables write it
NO_TRANSCRIPT = "no transcript in the corpus"

_NUMBER = r"\d+(?:\.\d*)?(?:[eE][+-]?\d+)?"
_PAIR = rf"[\[(]\s*({_NUMBER})\s*,\s*({_NUMBER})\s*[\])]"
_PAIRS = re.compile(rf"[\[(]\s*{_PAIR}(?:\s*,\s*{_PAIR})*\s*,?\s*[\])]")


def find_corpus(folder: Path | None) -> Path:
    """The root of the corpus: the folder given, or `$SEW_CORPORA/voxpopuli`, or `download/voxpopuli`.

    Raises:
        UsageError: no such folder, or it is one level off.
    """
    if folder is None:
        folder = Path(os.environ.get("SEW_CORPORA") or "download") / NAME
        if not folder.is_dir():
            raise UsageError(
                "corpus-not-found",
                "VoxPopuli is not here, and no folder was given",
                where=folder,
                hint=f"fetch the sessions with {FETCH} and the transcripts {URL} into DIR/{CLIPS}/, "
                "then: sew prep voxpopuli DIR; or sew prep voxpopuli --mini for a synthetic miniature",
            )
    require_folder(folder)
    if _is_root(folder):
        return folder
    if below := next((path for path in sorted(folder.glob("*/")) if _is_root(path)), None):
        raise UsageError("corpus-folder-too-high", "the corpus is one level below", where=folder, hint=f"give {below}")
    if above := next((path for path in folder.absolute().parents if _is_root(path)), None):
        raise UsageError(
            "corpus-folder-too-deep", "this is a part of the corpus", where=folder, hint=f"give its root: {above}"
        )
    raise UsageError(
        "not-this-corpus",
        f"not in the layout of VoxPopuli: neither {CLIPS}/asr_*.tsv nor {SESSIONS}/",
        where=folder,
        hint=f"give the folder that was DIR in {FETCH}",
    )


def find_splits(corpus: Path, wanted: Sequence[str] | None) -> list[Split]:
    """The splits to prepare: those `wanted`, or all that are there; from clips where they are cut, else from sessions.

    Raises:
        UsageError: an unknown split, or sessions without annotations.
    """
    for name in wanted or ():
        if name not in PUBLISHED:
            raise UsageError(
                "no-such-split",
                f"no split {name!r}{nearest(name, PUBLISHED)}",
                hint=f"there are: {', '.join(PUBLISHED)}",
            )
    annotations = find_annotations(corpus)
    found = {name: _split(corpus, name, annotations) for name in wanted or PUBLISHED}
    splits = [split for split in found.values() if split]
    if not splits or (wanted and len(splits) < len(found)):
        name = next(name for name, split in found.items() if split is None)
        raise UsageError(
            "corpus-part-missing",
            f"no transcripts of {name}: neither clips with their asr_{name}.tsv nor sessions with {ANNOTATIONS}",
            where=corpus / CLIPS,
            hint=f"fetch {URL} into this folder (the sessions then do), or cut the clips with voxpopuli.get_asr_data",
        )
    for split in splits:
        info(f"{split.name}: from {split.folder.relative_to(corpus)}")
    return splits


def find_annotations(corpus: Path) -> Path | None:
    """The annotations of the sessions: where the official tool keeps them, or at the root, or beside the sessions."""
    places = (CLIPS, Path(), SESSIONS.parent, SESSIONS)
    return next((path for place in places if (path := corpus / place / ANNOTATIONS).is_file()), None)


def lm_sources(corpus: Path) -> Iterator[str] | None:
    """Sentences of Europarl below `lm_data/en`, where the official get_lm_data keeps it; None when it is not there."""
    folder = corpus / LM_DATA
    files = sorted([*folder.glob("txt/en/*.txt"), *folder.glob("europarl*.en")])
    return read_sentences(files) if files else None


def read_clips(folder: Path, split: str) -> ParsedTranscripts:
    """The clips of a split: `asr_<split>.tsv`, and `YYYY/<id>.ogg` beside it.

    Raises:
        DataError: the table cannot be read, or is none.
    """
    source = folder / f"asr_{split}.tsv"
    reader = _Reader(source)
    for row in read_rows(source, "\t", ("id", "normalized_text", "speaker_id")):
        if row.fault:
            reader.reject(row.text.split("\t")[0] or f"line {row.number}", row.fault)
        else:
            reader.add(row.values, folder / row.values["id"][:4] / f"{row.values['id']}.ogg")
    return reader.listing


def read_sessions(folder: Path, annotations: Path, split: str) -> ParsedTranscripts:
    """The utterances of a split in the sessions `YYYY/<session>_original.ogg` below `folder`.

    Raises:
        DataError: the annotations cannot be read, or are none.
    """
    reader = _Reader(annotations)
    for row in read_rows(annotations, "|", ("session_id", "id_", "normed_text", "speaker_id", "split", "vad")):
        if row.fault:
            if _split_of(row) == split:
                reader.reject(f"line {row.number}", row.fault)
            continue
        values = row.values
        if values["split"] != split:
            continue
        session, identity = values["session_id"], f"{values['session_id']}-{values['id_']}"
        if spans := stretches(values["vad"]):
            clip = {
                "id": identity,
                "raw_text": values.get("original_text", ""),
                "normalized_text": values["normed_text"],
            }
            reader.add({**values, **clip}, folder / session[:4] / f"{session}_original.ogg", spans)
        else:
            reader.reject(identity, f"line {row.number}: no stretches of speech in its vad: {values['vad'][:40]!r}")
    return reader.listing


def stretches(vad: str) -> tuple[tuple[float, float], ...]:
    """`[(1.5, 3.25), (4, 5.1)]` -> its pairs in seconds, on the samples at which the official tool cuts.

    Stretches without a sample are left out, as there. Empty when this is not a list of pairs.
    """
    if not _PAIRS.fullmatch(vad.strip()):
        return ()
    pairs = [(int(float(start) * SAMPLE_RATE), int(float(end) * SAMPLE_RATE)) for start, end in re.findall(_PAIR, vad)]
    return tuple((start / SAMPLE_RATE, end / SAMPLE_RATE) for start, end in pairs if end > start)


class _Reader:
    """Gathers the rows of one table, in the columns of the clips."""

    def __init__(self, source: Path) -> None:
        self.listing = ParsedTranscripts()
        self._source = source
        self._seen: set[str] = set()

    def reject(self, identity: str, reason: str) -> None:
        self.listing.rejections.append(Rejection(identity, self._source, reason))

    def add(self, row: Mapping[str, str], path: Path, spans: tuple[tuple[float, float], ...] = ()) -> None:
        identity = row["id"]
        if identity in self._seen:
            self.reject(identity, "a second row of the same utterance")
            return
        self._seen.add(identity)
        if not identity or Path(identity).name != identity:
            self.reject(identity, "an id that cannot be a file name")
            return
        if not row["normalized_text"].strip():
            self.listing.left_out[NO_TRANSCRIPT] += 1
            return
        text, changes = normalise(row["normalized_text"], TRANSCRIPT)
        self.listing.changes.update(changes)
        if symbols := outside(text):
            self.listing.left_out[f"a transcript with {' '.join(symbols)}"] += 1
        elif not text:
            self.listing.left_out["a transcript without a word"] += 1
        else:
            self.listing.candidates.append(
                RawUtterance(identity, path, text, _speaker(row), spans=spans, custom=_custom(row))
            )


def _speaker(row: Mapping[str, str]) -> str:
    """Where it is not known who speaks, it is at least one person during a speech: `<session>-en_<time>` of the id."""
    name = row["speaker_id"].strip()
    return f"unknown-{row['id'].rpartition('_')[0]}" if name in NOT_KNOWN else name


def _custom(row: Mapping[str, str]) -> dict[str, str | bool | None]:
    """What else is known of an utterance, the same for both layouts; earlier tables lack the last columns."""
    gender, accent = (row.get(name, "None").strip() for name in ("gender", "accent"))
    return {
        "original_text": row.get("raw_text", ""),
        "gender": None if gender in NOT_KNOWN else gender,
        "is_gold_transcript": row.get("is_gold_transcript", "False").strip() == "True",
        "accent": None if accent in NOT_KNOWN else accent,
    }


def _split(corpus: Path, name: str, annotations: Path | None) -> Split | None:
    published = None if is_miniature(corpus) else PUBLISHED[name]
    clips, sessions = corpus / CLIPS, corpus / SESSIONS
    if (clips / f"asr_{name}.tsv").is_file() and (any(clips.glob("[0-9]*/")) or not sessions.is_dir()):
        return Split(name, clips, partial(read_clips, split=name), published, name)
    if sessions.is_dir() and annotations:
        read = partial(read_sessions, annotations=annotations, split=name)
        return Split(name, sessions, read, published, f"{name} of the annotations {sha256(annotations)}")
    return None


def _split_of(row: Row) -> str:
    """The split that a broken row seems to be of: the one it names, or the first."""
    named = [name for name in PUBLISHED if name in row.text.split("|")]
    return named[0] if len(named) == 1 else next(iter(PUBLISHED))


def _is_root(folder: Path) -> bool:
    return (folder / SESSIONS).is_dir() or any((folder / CLIPS).glob("asr_*.tsv"))
