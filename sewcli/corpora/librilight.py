"""Libri-Light: the labelled sets of 10 minutes, 1 hour and 10 hours, and 60,000 hours of audio books without transcripts.

Paper: Kahn et al. 2020, sections 3.1 and 3.2. The labelled sets come from `librispeech_finetuning.tgz`
(`1h/{0..5}/{clean,other}/SPEAKER/CHAPTER`, `9h/{clean,other}/SPEAKER/CHAPTER`), or from LibriSpeech itself and the
authors' lists `1h.lst` and `10h.lst`; the unlabelled ones from `small`, `medium` and `large`, any of them.
"""

from __future__ import annotations

import itertools
import math
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from sewcli.artifacts.digest import digest
from sewcli.audio.io import probe
from sewcli.base.errors import DataError, UsageError, nearest
from sewcli.base.files import read_object
from sewcli.corpora import librispeech
from sewcli.corpora.places import is_miniature, require_folder
from sewcli.corpora.preparation import ParsedTranscripts, Published, RawUtterance, Rejection, Split

NAME = "LibriLight"
DATA = "librispeech"  # prepared beside LibriSpeech, whose dev and test splits these sets are used with
LABELLED = "librispeech_finetuning"  # the folder in the archive of the labelled sets
UNLABELLED = ("small", "medium", "large")
SPEAKERS = "SPEAKERS.TXT"

PUBLISHED = {
    "1h": Published(286, 1.041, 24, hours_tolerance=0.001),
    "10h": Published(2763, 9.747, 24, hours_tolerance=0.001),
}
FOLD = Published(None, 0.174, 4, hours_tolerance=0.01)  # a sixth of an hour, give or take half a minute

LONGEST = 30.0
"""Seconds of an unlabelled cut: twice the longest crop of pre-training, so that epochs see different parts of it, and
below the 40 s that training takes. Also what the corpus's own `cut_by_vad.py` aims at where nothing else is asked."""
PAUSE = 2.0
"""Seconds of silence that end an unlabelled cut."""


def find_corpus(folder: Path | None) -> Path:
    """The folder of the sets, or LibriSpeech: the one given, or below `$SEW_CORPORA` (or `download`).

    Raises:
        UsageError: no such folder, or it is one level off.
    """
    if folder is None:
        places = [librispeech.default_folder().with_name(name) for name in (NAME, LABELLED)]
        folder = next((place for place in places if place.is_dir()), None)
        if folder is None:
            raise UsageError(
                "corpus-not-found",
                "Libri-Light is not here, and no folder was given",
                where=places[0],
                hint="unpack https://dl.fbaipublicfiles.com/librilight/data/librispeech_finetuning.tgz (0.6 GB) or "
                "small.tar (35 GB) there, or sew prep librilight DIR, or sew prep librilight --mini for a synthetic "
                "miniature, or take the sets out of LibriSpeech: "
                "sew prep librilight LIBRISPEECH_DIR --part 1h=1h.lst --part 10h=10h.lst",
            )
    require_folder(folder)
    if _labelled(folder) or _unlabelled(folder):
        return folder
    above = folder.absolute().parent
    for level, part in ((above, folder.absolute().name), (above.parent, f"10min-{folder.absolute().name}")):
        if part in _available(level):
            raise UsageError(
                "corpus-folder-too-deep",
                "this is one part of a corpus",
                where=folder,
                hint=f"give {level} --part {part}",
            )
    if found_here := librispeech.found_parts(folder):
        if found_here[0] not in ("clean", "other"):
            return folder
        raise UsageError("corpus-folder-too-deep", "this is one part of a corpus", where=folder, hint=f"give {above}")
    if _labelled(folder / NAME) or _unlabelled(folder / NAME):
        raise UsageError(
            "corpus-folder-too-high", "the corpus is one level below", where=folder, hint=f"give {folder / NAME}"
        )
    raise UsageError(
        "not-this-corpus",
        "not in the layout of Libri-Light: no 1h/0/clean/SPEAKER/CHAPTER/*.trans.txt and no small/SPEAKER/BOOK/*.flac",
        where=folder,
        hint=f"give the folder that holds 1h/ and 9h/ ({LABELLED}), or small/, medium/ or large/, or LibriSpeech itself "
        "with --part 1h=1h.lst",
    )


def find_splits(corpus: Path, wanted: Sequence[str] | None) -> list[Split]:
    """The sets to prepare.

    Args:
        corpus: as `find_corpus` gave it.
        wanted: names (10min, 10min-0 to 10min-5, 1h, 10h, small, medium, large), None for all that are there; of
            LibriSpeech NAME=LIST, where LIST is libri-light's 1h.lst or 10h.lst.

    Raises:
        UsageError: a set is not there, or a list cannot be read.
    """
    available = _available(corpus)
    if not available:
        return _listed_splits(corpus, wanted or ())
    for name in wanted or ():
        if name not in available:
            plain = name.partition("=")[0]
            what = f"no set {name!r}{nearest(plain, available)}" if plain == name else "lists select from LibriSpeech"
            hint = f"there are: {', '.join(available)}"
            raise UsageError(
                "corpus-part-missing", what, where=corpus, hint=hint if plain == name else f"--part {plain}; {hint}"
            )
    return [available[name] for name in dict.fromkeys(wanted or available)]


def lm_sources(corpus: Path) -> None:
    """No text beside the transcripts: LibriSpeech's own models serve (`sew lm official`)."""


def _available(corpus: Path) -> dict[str, Split]:
    """All sets in a folder, by name."""
    found: dict[str, Split] = {}
    if labelled := _labelled(corpus):
        hour, nine = labelled / "1h", labelled / "9h"
        folds = sorted(path.name for path in hour.glob("[0-9]") if path.is_dir())
        mini = is_miniature(labelled) or is_miniature(corpus)
        if "0" in folds:
            found["10min"] = Split("10min", hour / "0", librispeech.read_part, None if mini else FOLD)
        for fold in folds:
            name = f"10min-{fold}"
            found[name] = Split(name, hour / fold, librispeech.read_part, None if mini else FOLD)
        if hour.is_dir():
            found["1h"] = Split("1h", hour, librispeech.read_part, None if mini else PUBLISHED["1h"])
        if hour.is_dir() and nine.is_dir():
            published = None if mini else PUBLISHED["10h"]
            found["10h"] = Split("10h", labelled, _read_ten_hours, published, "1h and 9h")
    for name in _unlabelled(corpus):
        found[name] = Split(name, corpus / name, read_unlabelled, None)
    return found


def _labelled(folder: Path) -> Path | None:
    """The folder that holds 1h and 9h."""
    for place in (folder, folder / LABELLED):
        if any(place.glob(f"1h/[0-9]/*/*/*/*{librispeech.TRANSCRIPT}")) or (
            any(place.glob(f"9h/*/*/*/*{librispeech.TRANSCRIPT}"))
        ):
            return place
    return None


def _unlabelled(folder: Path) -> list[str]:
    return [name for name in UNLABELLED if any((folder / name).glob("*/*/*.flac"))]


def _read_ten_hours(folder: Path) -> ParsedTranscripts:
    """Both halves: the transcripts of a chapter that is in both are two files of one name, each with its own lines."""
    halves = [librispeech.read_part(folder / half) for half in ("1h", "9h")]
    return ParsedTranscripts(
        [c for half in halves for c in half.candidates], [r for half in halves for r in half.rejections]
    )


def read_unlabelled(folder: Path) -> ParsedTranscripts:
    """Cut the recordings of small, medium or large into stretches of speech.

    A recording without its `.json`, or whose `.json` tells of no voice activity, is cut into equal pieces.
    """
    listing = ParsedTranscripts()
    recordings = [
        Path(place, name)
        for place, _, names in os.walk(folder, followlinks=True)
        for name in names
        if name.endswith(".flac")
    ]
    for path in sorted(recordings):
        try:
            facts = _facts(path.with_suffix(".json"))
            cuts = _cuts(path, facts)
        except DataError as error:
            listing.rejections.append(Rejection(path.stem, path, error.what))
            continue
        if not cuts:
            listing.left_out["recordings in which no voice was found"] += 1
        speaker, book = str(facts.get("speaker") or path.parent.parent.name), path.parent.name
        for number, (start, end) in enumerate(cuts):
            identity = f"{speaker}-{book}-{path.stem}_{number:04d}"
            listing.candidates.append(RawUtterance(identity, path, "", speaker, start, end))
    return listing


def stretches(activity: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Join neighbouring stretches of speech, with the pauses between them, as far as `LONGEST` and `PAUSE` allow.

    A stretch that is longer by itself is cut into equal pieces.
    """
    joined: list[tuple[float, float]] = []
    for start, end in sorted(activity):
        if joined and end - joined[-1][0] <= LONGEST and start - joined[-1][1] <= PAUSE:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined += _pieces(start, end)
    return joined


def _pieces(start: float, end: float) -> list[tuple[float, float]]:
    count = max(1, math.ceil((end - start) / LONGEST))
    edges = [start + (end - start) * i / count for i in range(count)] + [end]
    return list(itertools.pairwise(edges))


def _cuts(path: Path, facts: Mapping[str, Any]) -> list[tuple[float, float | None]]:
    """The stretches of a recording; one without an end where it cannot be opened, which the check will explain."""
    activity = facts.get("voice_activity")
    if activity is None:
        try:
            return list(_pieces(0.0, probe(path).seconds))
        except DataError:
            return [(0.0, None)]
    try:
        found = [(float(start), float(end)) for start, end in activity]
    except (TypeError, ValueError):
        raise DataError(
            "invalid-voice-activity", "the voice activity in its .json is not a list of pairs of seconds", where=path
        ) from None
    if not all(0 <= start < end < math.inf for start, end in found):
        raise DataError(
            "invalid-voice-activity",
            "the voice activity in its .json has a stretch that ends before it begins",
            where=path,
        )
    return list(stretches(found))


def _facts(path: Path) -> dict[str, Any]:
    """What the `.json` beside a recording says; nothing when there is none."""
    try:
        return read_object(path) if path.exists() else {}
    except DataError as error:
        raise DataError(error.code, f"its .json cannot be read ({error.what})", where=path) from None


# The labelled sets out of LibriSpeech, by the authors' lists.


def _listed_splits(corpus: Path, wanted: Sequence[str]) -> list[Split]:
    if not wanted:
        raise UsageError(
            "corpus-lists-missing",
            "this is LibriSpeech: which of its utterances make the labelled sets is in libri-light's lists",
            where=corpus,
            hint="--part 10min=1h.lst --part 1h=1h.lst --part 10h=10h.lst, from baselines/TDS/data of "
            "https://github.com/facebookresearch/libri-light",
        )
    return [_listed_split(corpus, *_name_and_list(corpus, setting)) for setting in wanted]


def _name_and_list(corpus: Path, setting: str) -> tuple[str, Path]:
    name, equals, path = setting.partition("=")
    if not equals or not path or Path(name).name != name or name.startswith(("train", "dev", "test")):
        raise UsageError(
            "invalid-part",
            f"--part {setting!r} is not of the form NAME=LIST",
            where=corpus,
            hint="for example --part 1h=1h.lst; train, dev and test are for splits that do not overlap with others",
        )
    return name, Path(path)


def _listed_split(corpus: Path, name: str, path: Path) -> Split:
    wanted = read_list(path)
    choice, published = f"list {digest(*sorted(wanted))[:16]}", PUBLISHED.get(name)
    if fold := re.fullmatch(r"10min(?:-(\d))?", name):
        chosen = fold_speakers(corpus, {identity.split("-")[0] for identity in wanted}, int(fold[1] or 0))
        wanted = [identity for identity in wanted if identity.split("-")[0] in chosen]
        choice, published = f"{choice} speakers {' '.join(chosen)}", FOLD
    published = None if is_miniature(corpus) else published
    return Split(name, corpus, partial(_read_listed, wanted=frozenset(wanted)), published, choice)


def read_list(path: Path) -> list[str]:
    """The utterances of a list: what stands first on each line.

    Raises:
        UsageError: it cannot be read, or is no such list.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise UsageError("cannot-read", f"cannot read the list of utterances ({reason})", where=path) from None
    wanted = [line.split()[0] for line in lines if line.strip()]
    strange = next((identity for identity in wanted if not re.fullmatch(r"\d+-\d+-\d+", identity)), None)
    if strange or not wanted:
        what = f"{strange!r} is no utterance of LibriSpeech" if strange else "an empty list"
        raise UsageError(
            "invalid-utterance-list",
            what,
            where=path,
            hint="each line begins with SPEAKER-CHAPTER-NUMBER, as in libri-light's 1h.lst",
        )
    return wanted


def fold_speakers(corpus: Path, speakers: Iterable[str], fold: int) -> list[str]:
    """The four speakers of a fold of ten minutes: a woman and a man from the clean and from the other part.

    The authors' own folds cannot be told from the lists (they came of the order of a Python set), so this is a choice of
    ours: of each of the four groups the speaker with the `fold`-th lowest number.

    Raises:
        UsageError: no table of speakers, or a group has not as many.
    """
    groups: dict[tuple[str, str], list[str]] = {(sex, part): [] for sex in "FM" for part in ("clean", "other")}
    table = corpus / SPEAKERS
    try:
        rows = [
            line.split("|") for line in table.read_text(encoding="utf-8-sig").splitlines() if not line.startswith(";")
        ]
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise UsageError(
            "cannot-read",
            f"cannot read who is a woman or a man ({reason})",
            where=table,
            hint="copy it from LibriSpeech's archive",
        ) from None
    wanted = set(speakers)
    for number, sex, subset in ([field.strip() for field in row[:3]] for row in rows if len(row) > 3):
        group = groups.get((sex, "other" if "other" in subset else "clean"))
        if number in wanted and group is not None:
            group.append(number)
    short = [f"{sex} {part}" for (sex, part), group in groups.items() if len(group) <= fold]
    if short:
        raise UsageError(
            "fold-without-speakers",
            f"fold {fold} has no speaker of {', '.join(short)}",
            where=table,
            hint="use libri-light's 1h.lst, folds 0 to 5",
        )
    return [sorted(group, key=int)[fold] for group in groups.values()]


def _read_listed(corpus: Path, wanted: frozenset[str]) -> ParsedTranscripts:
    """The utterances of a list, wherever in the corpus their chapter is."""
    known = [part for part in librispeech.PARTS if (corpus / part).is_dir()]
    parts = list(dict.fromkeys([*known, *librispeech.found_parts(corpus)]))
    listing = ParsedTranscripts()
    chapters = Counter(identity.rpartition("-")[0] for identity in wanted)
    for chapter in sorted(chapters):
        places = [corpus / part / chapter.replace("-", "/") for part in parts]
        place = next((place for place in places if place.is_dir()), None)
        found = librispeech.read_part(place) if place else ParsedTranscripts()
        listing.candidates.extend(c for c in found.candidates if c.id in wanted)
        listing.rejections.extend(r for r in found.rejections if r.id in wanted or r.id == chapter)
    accounted = {c.id for c in listing.candidates} | {r.id for r in listing.rejections}
    listing.rejections.extend(
        Rejection(identity, corpus, "in the list, but not in this corpus") for identity in sorted(wanted - accounted)
    )
    return listing
