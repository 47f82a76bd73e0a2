"""LibriSpeech, and any corpus in its layout: PART/SPEAKER/CHAPTER/{S-C-NNNN.flac, S-C.trans.txt}.

The audio may be of any form that is read, .wav or .mp3 as well as .flac. Paper: Panayotov et al. 2015, table 1. The cuts equal
those of lhotse's own recipe on a corpus without faults (a test holds them together); that recipe stops at the first broken
file and passes over missing ones, so this reads by itself.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from pathlib import Path

from sewcli.base.errors import DataError, UsageError, nearest
from sewcli.base.files import os_errors_as_usage_errors
from sewcli.base.log import info
from sewcli.base.texts import read_lines
from sewcli.corpora.places import is_miniature, require_folder
from sewcli.corpora.preparation import ParsedTranscripts, Published, RawUtterance, Rejection, Split
from sewcli.text import normalize

PUBLISHED = {
    "train-clean-100": Published(28539, 100.6, 251),
    "train-clean-360": Published(104014, 363.6, 921),
    "train-other-500": Published(148688, 496.7, 1166),
    "dev-clean": Published(2703, 5.4, 40),
    "dev-other": Published(2864, 5.3, 33),
    "test-clean": Published(2620, 5.4, 40),
    "test-other": Published(2939, 5.1, 33),
    "train-clean-5": Published(1519, 5.3, 28),
}
PARTS = (*PUBLISHED, "dev-clean-2")  # the last two are mini LibriSpeech (OpenSLR 31)
NAME = "LibriSpeech"
TRANSCRIPT = ".trans.txt"
SOUNDS = (  # in capitals too
    *(
        ".flac",
        ".wav",
        ".mp3",
        ".ogg",
        ".oga",
        ".opus",
        ".aif",
        ".aiff",
        ".aifc",
        ".au",
        ".snd",
        ".caf",
        ".w64",
        ".rf64",
    ),
    *(".sph", ".nist", ".m4a", ".mp4", ".aac", ".webm", ".wma", ".amr", ".mka", ".mkv", ".ac3", ".ape", ".wv"),
)
CORPORA = "SEW_CORPORA"


def find_corpus(folder: Path | None) -> Path:
    """The folder that holds the parts: the one given, or `$SEW_CORPORA/LibriSpeech`, or `download/LibriSpeech`.

    Raises:
        UsageError: no such folder, or it is one level off.
    """
    if folder is None:
        folder = default_folder()
        if not folder.is_dir():
            raise UsageError(
                "corpus-not-found",
                "LibriSpeech is not here, and no folder was given",
                where=folder,
                hint="sew prep librispeech DIR (the folder that holds train-clean-100/ and others), "
                "or sew prep librispeech --download --part train-clean-5 --part dev-clean-2, "
                "or sew prep librispeech --mini for a synthetic miniature",
            )
    require_folder(folder)
    if found_parts(folder):
        return folder
    if found_parts(folder / NAME):
        raise UsageError(
            "corpus-folder-too-high", "the corpus is one level below", where=folder, hint=f"give {folder / NAME}"
        )
    if found_parts(folder.absolute().parent) and _is_part(folder):
        raise UsageError(
            "corpus-folder-too-deep",
            "this is one part of a corpus",
            where=folder,
            hint=f"give the folder above it: {folder.absolute().parent} --part {folder.absolute().name}",
        )
    raise UsageError(
        "not-this-corpus",
        "not in the layout of LibriSpeech: no part with SPEAKER/CHAPTER/*.trans.txt",
        where=folder,
        hint="give the folder that holds train-clean-100/, dev-clean/ and so on",
    )


def default_folder() -> Path:
    """Where the corpus is looked for and downloaded to."""
    corpora = os.environ.get(CORPORA)
    return Path(corpora or "download") / NAME


def find_splits(
    corpus: Path, wanted: Sequence[str] | None, held_out: Mapping[str, Sequence[str]] | None = None
) -> list[Split]:
    """The parts to prepare: those `wanted`, or all with a name that LibriSpeech knows.

    Args:
        held_out: new splits by name, each with the speakers that leave their parts for it.

    Raises:
        UsageError: a part or a speaker is not there, or no part has a known name.
    """
    there = found_parts(corpus)
    known = [name for name in PARTS if (corpus / name).is_dir()]
    for name in wanted or ():
        if not name or Path(name).name != name or not (corpus / name).is_dir():
            raise UsageError(
                "no-such-part",
                f"no part {name!r}{nearest(name, there)}",
                where=corpus,
                hint=f"there are: {', '.join(there) or 'none'}",
            )
    if not wanted and not known:
        options = " ".join(f"--part {name}" for name in there)
        raise UsageError(
            "corpus-part-missing",
            "no part with a name of LibriSpeech's",
            where=corpus,
            hint=f"name those to use: {options}",
        )
    parts = list(dict.fromkeys(wanted or known))
    if held_out:
        return _with_held_out(corpus, parts, held_out)
    published = {} if is_miniature(corpus) else PUBLISHED
    return [Split(name, corpus / name, read_part, published.get(name), language=_language([name])) for name in parts]


def _language(parts: Sequence[str]) -> str | None:
    """LibriSpeech is English; what others have in its layout does not say."""
    return "English" if set(parts) <= set(PARTS) else None


def _with_held_out(corpus: Path, parts: Sequence[str], held_out: Mapping[str, Sequence[str]]) -> list[Split]:
    there = {path.name for part in parts for path in (corpus / part).iterdir() if path.is_dir()}
    speakers = [speaker for names in held_out.values() for speaker in names]
    for speaker in speakers:
        if speaker not in there:
            raise UsageError(
                "no-such-speaker",
                f"no speaker {speaker!r}{nearest(speaker, there)}",
                where=corpus,
                hint=f"there are: {_some(there)}",
            )
        if speakers.count(speaker) > 1:
            raise UsageError("invalid-hold-out", f"speaker {speaker} is held out twice", where=corpus)
    for name in held_out:
        if name in parts:
            raise UsageError(
                "split-exists",
                f"{name} is a part already",
                where=corpus,
                hint="hold speakers out into a split of another name",
            )
    away = frozenset(speakers)
    choice = f"without {' '.join(sorted(away))}"
    language = _language(parts)
    splits = [
        Split(part, corpus / part, partial(_read_chosen, leave=away), None, choice, language=_language([part]))
        for part in parts
    ]
    for name, names in held_out.items():
        read = partial(_read_speakers, parts=tuple(parts), keep=frozenset(names))
        choice = f"{' '.join(sorted(names))} of {' '.join(parts)}"
        splits.append(Split(name, corpus, read, None, choice, language=language))
    return splits


def _some(speakers: Collection[str], most: int = 12) -> str:
    """The first of them, and how many there are in all."""
    names = sorted(speakers, key=lambda name: (len(name), name))  # numbers in their order
    return ", ".join(names[:most]) + (f", ... ({len(names)} in all)" if len(names) > most else "")


def _read_chosen(folder: Path, leave: frozenset[str]) -> ParsedTranscripts:
    """A part without some of its speakers."""
    listing = read_part(folder)
    candidates = [candidate for candidate in listing.candidates if candidate.speaker not in leave]
    return ParsedTranscripts(
        candidates, [rejection for rejection in listing.rejections if rejection.id.split("-")[0] not in leave]
    )


def _read_speakers(corpus: Path, parts: tuple[str, ...], keep: frozenset[str]) -> ParsedTranscripts:
    """Some speakers of some parts."""
    listings = [read_part(corpus / part) for part in parts]
    candidates = [c for listing in listings for c in listing.candidates if c.speaker in keep]
    rejections = [r for listing in listings for r in listing.rejections if r.id.split("-")[0] in keep]
    return ParsedTranscripts(candidates, rejections)


def found_parts(corpus: Path) -> list[str]:
    """Names of the folders below `corpus` that are parts of a corpus in this layout."""
    if not corpus.is_dir():
        return []
    return sorted(path.name for path in corpus.iterdir() if path.name in PARTS or _is_part(path))


def read_part(folder: Path) -> ParsedTranscripts:
    """Read all transcripts of a part, and find the audio without one."""
    transcripts: list[Path] = []
    files: dict[Path, dict[str, list[str]]] = {}  # names by the place and by what stands before their ending
    for place, _, names in os.walk(folder, followlinks=True):
        transcripts += [Path(place, name) for name in names if name.endswith(TRANSCRIPT)]
        by_stem = files.setdefault(Path(place), {})
        for name in names:
            if not name.endswith(TRANSCRIPT):
                by_stem.setdefault(os.path.splitext(name)[0], []).append(name)  # noqa: PTH122 (pathlib is slow)
    candidates: dict[str, RawUtterance] = {}
    rejections: list[Rejection] = []
    unread: dict[Path, str] = {}
    known: set[Path] = set()
    for transcript in sorted(transcripts):
        try:
            lines = read_lines(transcript)
        except DataError as error:
            rejections.append(Rejection(transcript.name.removesuffix(TRANSCRIPT), transcript, error.what))
            unread.setdefault(transcript.parent, f"its transcript cannot be read: {transcript.name}, {error.what}")
            continue
        for line in filter(None, map(str.strip, lines)):
            identity, *text = line.split(maxsplit=1)
            there = files[transcript.parent].get(identity, [])
            sounds = [transcript.parent / name for name in sorted(there) if _is_sound(name)]
            known.update(sounds)
            path = next((path for path in sounds if path.suffix == ".flac"), next(iter(sounds), None))
            words = normalize.librispeech("".join(text))
            if fault := (identity not in candidates and _audio_fault(there, sounds)) or _text_fault(
                identity, words, candidates
            ):
                rejections.append(Rejection(identity, transcript, fault))
            elif path is not None:
                candidates[identity] = RawUtterance(identity, path, words, identity.split("-")[0])
    audio = {
        place / name for place, stems in files.items() for names in stems.values() for name in names if _is_sound(name)
    }
    for path in sorted(audio - known):
        rejections.append(Rejection(path.stem, path, unread.get(path.parent, "audio without a transcript")))
    return ParsedTranscripts(list(candidates.values()), rejections)


def _is_sound(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in SOUNDS  # noqa: PTH122 (pathlib is slow)


def download(folder: Path, parts: Sequence[str], *, server: str = "http://www.openslr.org/resources") -> None:
    """Download and unpack parts from OpenSLR so that `folder` (named LibriSpeech) holds them; what is there is kept.

    Raises:
        UsageError: an unknown part, no connection, or a broken archive.
    """
    import tarfile

    for part in parts:
        if part not in PARTS:
            raise UsageError(
                "no-such-part",
                f"no part {part!r} to download{nearest(part, PARTS)}",
                hint=f"there are: {', '.join(PARTS)}",
            )
    if folder.name != NAME:
        raise UsageError(
            "wrong-folder-name",
            f"the archives unpack into a folder named {NAME}",
            where=folder,
            hint=f"give {folder / NAME}",
        )
    missing = [part for part in parts if not (folder / part / ".completed").is_file()]
    if not missing:
        info(f"{folder}: downloaded already: {', '.join(parts)}")
        return
    with os_errors_as_usage_errors(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)

    from urllib.error import URLError

    from lhotse.recipes.librispeech import download_librispeech

    try:
        download_librispeech(folder.parent, dataset_parts=missing, base_url=server)
    except (URLError, ConnectionError, TimeoutError) as error:
        raise UsageError(
            "cannot-download",
            f"cannot download from {server} ({getattr(error, 'reason', None) or error})",
            hint="check the connection and run the same command again (it goes on where it stopped), "
            f"or unpack the archives yourself in {folder.parent}",
        ) from None
    except (tarfile.TarError, EOFError) as error:
        raise UsageError(
            "archive-damaged",
            f"an archive of {', '.join(missing)} is not whole ({error})",
            where=folder.parent,
            hint="run the same command again (it goes on where it stopped), or delete the archive first",
        ) from None


def _text_fault(identity: str, text: str, before: Collection[str]) -> str | None:
    """What is wrong with a line of a transcript, or None."""
    if identity in before:
        return "a second transcript of the same utterance"
    if not text:
        return "empty transcript"
    if symbols := normalize.outside(text):
        return f"symbols outside A-Z and ': {' '.join(symbols)}"
    return None


def _audio_fault(files: Sequence[str], sounds: Sequence[Path]) -> str | None:
    """What is wrong with the files that have the name of an utterance, of which some are sounds, or None."""
    if not files:
        return "transcript without audio"
    if not sounds:
        return f"its audio is of a kind that is not read: {min(files)}"
    if len(sounds) > 1 and [path.suffix for path in sounds].count(".flac") != 1:
        return f"more than one sound file: {', '.join(path.name for path in sounds)}"
    return None


def _is_part(folder: Path) -> bool:
    return folder.is_dir() and any(folder.glob(f"*/*/*{TRANSCRIPT}"))
