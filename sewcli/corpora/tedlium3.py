"""TED-LIUM 3: talks of 10 to 20 minutes, one SPHERE file and one STM file each, cut as Kaldi's egs/tedlium/s5_r3 cuts them.

Paper: Hernandez et al. 2018; the `legacy` splits, which keep dev and test of the releases before. Rules of the recipe:
local/prepare_data.sh (ids, ignored time, padding of train) and utils/data/extend_segment_times.py (how padding ends at
neighbours). lhotse's recipe knows neither padding nor faults: one missing file stops it.
"""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path

from sewcli.base.errors import DataError, UsageError, nearest
from sewcli.corpora.places import is_miniature, require_folder
from sewcli.corpora.preparation import ParsedTranscripts, Published, RawUtterance, Rejection, Split
from sewcli.corpora.stm import IGNORED, Segment, read_stm
from sewcli.text.normalize import outside
from sewcli.text.rules import normalise
from sewcli.text.tedlium3 import LM_RULES, RULES

NAME = "TEDLIUM_release-3"
LEGACY = "legacy"
PUBLISHED = {  # utterances: Kaldi's data directories; speakers: talks (s5_r3 counts 2351 in data/, dev and test have 19)
    "train": Published(268263, 452.0, 2351, hours_tolerance=19.0),  # without the padding, which adds up to 18.6 hours
    "dev": Published(507, 1.6, 8),
    "test": Published(1155, 2.6, 11),
}
PADDING = {"train": (0.15, 0.10)}  # seconds before and after; s5_r3: "seems to not have enough silence padding"
DICTIONARY = "TEDLIUM.152k.dic"
GENDERS = {"male": "male", "female": "female", "F0_M": "male", "F0_F": "female"}  # by a part of the label

UNSCORED = f"not to be scored: {IGNORED}"
WORDLESS = "nothing but <unk>, noise or silence"
SWALLOWED = "no time left between the neighbours it overlaps"


def find_corpus(folder: Path | None) -> Path:
    """The folder that holds legacy/: the one given, or `$SEW_CORPORA/TEDLIUM_release-3`, or `download/...`.

    Raises:
        UsageError: no such folder, or it is a level off.
    """
    if folder is None:
        folder = Path(os.environ.get("SEW_CORPORA") or "download") / NAME
        if not folder.is_dir():
            raise UsageError(
                "corpus-not-found",
                "TED-LIUM 3 is not here, and no folder was given",
                where=folder,
                hint="fetch TEDLIUM_release-3.tgz from https://www.openslr.org/51 (CC BY-NC-ND 3.0), unpack it and give "
                f"its folder: sew prep tedlium3 DIR/{NAME}, or sew prep tedlium3 --mini for a synthetic miniature",
            )
    require_folder(folder)
    if _is_corpus(folder):
        return folder
    for below in sorted(folder.glob("*/")):
        if _is_corpus(below):
            raise UsageError(
                "corpus-folder-too-high", "the corpus is one level below", where=folder, hint=f"give {below}"
            )
    for above in list(folder.absolute().parents)[:3]:  # from legacy/train/stm
        if _is_corpus(above):
            raise UsageError(
                "corpus-folder-too-deep",
                "this is a part of the corpus",
                where=folder,
                hint=f"give {above}, and --part for a split",
            )
    raise UsageError(
        "not-this-corpus",
        "not in the layout of TED-LIUM 3: no legacy/train/stm, legacy/dev/stm or legacy/test/stm",
        where=folder,
        hint=f"give the folder that {NAME}.tgz unpacks to (releases 1 and 2 have no legacy/)",
    )


def find_splits(corpus: Path, wanted: Sequence[str] | None) -> list[Split]:
    """The legacy splits to prepare: those `wanted`, or all that are there.

    Raises:
        UsageError: no such split, or one whose sph or stm folder is missing.
    """
    there = [name for name in PUBLISHED if (corpus / LEGACY / name).is_dir()]
    for name in wanted or ():
        if name not in there:
            raise UsageError(
                "no-such-split",
                f"no split {name!r}{nearest(name, there)}",
                where=corpus,
                hint=f"there are: {', '.join(there)}",
            )
    splits = list(dict.fromkeys(wanted or there))
    for name in splits:
        for kind in ("sph", "stm"):
            _require_folder(corpus / LEGACY / name / kind)
    published = {} if is_miniature(corpus) else PUBLISHED
    return [
        Split(name, corpus / LEGACY / name, partial(read_split, padding=PADDING.get(name)), published.get(name))
        for name in splits
    ]


def read_split(folder: Path, padding: tuple[float, float] | None = None) -> ParsedTranscripts:
    """Read all talks of a split.

    Args:
        folder: holds sph/ and stm/.
        padding: seconds to add before and after every segment, at most half-way to its neighbours.
    """
    listing = ParsedTranscripts()
    talks: dict[str, list[Segment]] = {}
    told: set[str] = set()  # talks of which a fault or a segment is on record
    for stm in sorted((folder / "stm").glob("*.stm")):
        told.add(stm.stem)
        try:
            segments, faults = read_stm(stm)
        except DataError as error:
            listing.rejections.append(Rejection(stm.stem, stm, error.what))
            continue
        listing.rejections.extend(
            Rejection(f"{stm.stem}:{fault.line}", stm, f"line {fault.line}: {fault.reason}") for fault in faults
        )
        if not segments and not faults:
            listing.rejections.append(Rejection(stm.stem, stm, "holds no segment"))
        for segment in segments:
            talks.setdefault(segment.file, []).append(segment)
    for talk, segments in sorted(talks.items()):
        _read_talk(folder / "sph" / f"{talk}.sph", segments, padding, listing)
    for sph in sorted((folder / "sph").glob("*.sph")):
        if sph.stem not in talks and sph.stem not in told:
            listing.rejections.append(Rejection(sph.stem, sph, "audio without a transcript"))
    return listing


def padded(segments: Sequence[Segment], padding: tuple[float, float]) -> list[tuple[float, float]]:
    """Start and end of each segment of a talk with `padding` seconds before and after (extend_segment_times.py).

    No start goes below 0. Where two neighbours would overlap, or did so before, they meet half-way.

    >>> [one, other] = [Segment("a", "1", "a", start, end, (), "", 1) for start, end in ((0.1, 2.0), (2.1, 3.0))]
    >>> padded([one, other], (0.15, 0.10))
    [(0.0, 2.025), (2.025, 3.1)]
    """
    before, after = padding
    order = sorted(range(len(segments)), key=lambda i: segments[i].start + segments[i].end)
    starts = [max(0.0, segment.start - before) for segment in segments]
    ends = [segment.end + after for segment in segments]
    for i, j in pairwise(order):
        if ends[i] > starts[j]:
            ends[i] = starts[j] = (ends[i] + starts[j]) / 2
    return [(round(start, 6), round(end, 6)) for start, end in zip(starts, ends, strict=True)]


def identity(segment: Segment) -> str:
    """`<talk>-0001234-0002010`, in centiseconds, cut off (not rounded) after the product as awk's `%07d` of `$4*100` does."""
    return f"{segment.file}-{int(segment.start * 100):07d}-{int(segment.end * 100):07d}"


def lm_sources(corpus: Path) -> Iterator[str] | None:
    """The sentences of LM/*.en.gz, normalised as the transcripts are; None where there are none.

    Raises:
        DataError: while iterating: a file is damaged.
    """
    files = sorted((corpus / "LM").glob("*.en.gz"))
    return _sentences(files) if files else None


def lm_vocabulary(corpus: Path) -> list[str] | None:
    """The words of the dictionary, to which Kaldi's language model is limited: normalised, sorted; None without one.

    A line is `word PH PH ...`, a second pronunciation is of `word(2)`.
    """
    path = corpus / DICTIONARY
    if not path.is_file():
        return None
    words: set[str] = set()
    with open(path, encoding="utf-8", errors="replace") as dictionary:
        for line in dictionary:
            word = line.split(maxsplit=1)[0] if line.strip() else ""
            if word and word not in ("<s>", "</s>", "<unk>"):
                words.update(normalise(word.split("(")[0], LM_RULES)[0].split())
    return sorted(word for word in words if not outside(word))


def _read_talk(
    path: Path, segments: Sequence[Segment], padding: tuple[float, float] | None, listing: ParsedTranscripts
) -> None:
    """Add what is to be used of one sound file to the listing, and count what is not."""
    kept = [segment for segment in segments if not segment.ignored]
    if ignored := len(segments) - len(kept):
        listing.left_out[UNSCORED] += ignored
    times = padded(kept, padding) if padding else [(segment.start, segment.end) for segment in kept]
    for segment, (start, end) in zip(kept, times, strict=True):
        text, changes = normalise(segment.text, RULES)
        if reason := _left_out(text, start, end):
            listing.left_out[reason] += 1
        else:
            listing.changes.update(changes)
            custom = {"original_text": segment.text, **_gender(segment)}
            listing.candidates.append(
                RawUtterance(identity(segment), path, text, segment.file, start, end, custom=custom)
            )


def _left_out(text: str, start: float, end: float) -> str | None:
    """Why the corpus' own rules, or the letters, leave a segment out; or None."""
    if not text:
        return WORDLESS
    if symbols := outside(text):
        return f"{symbols[0]!r} in the text, which is outside A-Z and '"
    return SWALLOWED if end <= start else None


def _gender(segment: Segment) -> dict[str, str]:
    return next(({"gender": GENDERS[part]} for part in segment.label if part in GENDERS), {})


def _sentences(files: Iterable[Path]) -> Iterator[str]:
    for path in files:
        number = 0
        try:
            with gzip.open(path, "rt", encoding="utf-8") as lines:
                for number, line in enumerate(lines, start=1):  # noqa: B007 (named in the error below)
                    if sentence := normalise(line, LM_RULES)[0]:
                        yield sentence
        except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
            raise DataError(
                "cannot-read",
                f"cannot be read beyond line {number} ({error})",
                where=path,
                hint="unpack the archive again",
            ) from None


def _is_corpus(folder: Path) -> bool:
    return any((folder / LEGACY / name).is_dir() for name in PUBLISHED)


def _require_folder(folder: Path) -> None:
    if not folder.is_dir():
        link = f": a link to {folder.readlink()}, which is not there" if folder.is_symlink() else ""
        raise UsageError(
            "folder-not-found",
            f"no such folder{link}",
            where=folder,
            hint=f"unpack {NAME}.tgz whole, with its links (legacy/train links to data/): tar xzf {NAME}.tgz",
        )
