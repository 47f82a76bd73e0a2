"""What is to be transcribed: files, folders, patterns and the pipe become recordings with a place for their transcripts."""

from __future__ import annotations

import errno
import os
import stat
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from glob import glob
from pathlib import Path

from sewcli.audio.kinds import SOUND_ENDINGS
from sewcli.audio.streams import PIPE, name_of
from sewcli.base.errors import DataError, UsageError
from sewcli.base.files import TEMPORARY
from sewcli.base.names import LONGEST, shortened, to_bytes, with_digest

LONGEST_PLACE = 2000  # bytes; a path has at most 4096


@dataclass(frozen=True)
class Recording:
    """A sound file or the pipe.

    Args:
        source: a path as it was given, or `-`.
        place: below the output folder, without the ending of a format; whatever the name, inside it and no other one's.
        title: no other one's: the name of its file, or its whole place where another one has that name.
        renamed: the place is not made of the name as it is: it would be too long, or another one's.
    """

    source: str
    place: Path
    title: str
    renamed: bool = False


def expand(given: Sequence[str]) -> tuple[list[Recording], list[DataError]]:
    """Find all recordings, in the order given, a folder's sorted by name; each once.

    Returns:
        The recordings, and what was given in vain or cannot be searched. A file that is not there, or may not be read, is a
        recording: opening it tells.

    Raises:
        UsageError: an empty name, which would be the folder we are in.
    """
    if "" in given:
        raise UsageError("option-empty", "a file without a name", hint="name a file; . is the folder you are in")
    found: dict[str, tuple[str, Path]] = {}  # absolute path -> source, place with the ending of the sound file
    vain: list[DataError] = []

    def take(source: str, place: Path) -> None:
        found.setdefault(PIPE if source == PIPE else os.path.abspath(source), (source, place))  # noqa: PTH100 - no links

    for name in given:
        for match in [name] if name == PIPE or os.path.lexists(name) else _matches(name):
            if match == PIPE:
                take(match, Path("stdin"))
            elif not _is_folder(match):
                take(match, Path(Path(match).name))
            else:
                unread = len(vain)
                sounds = sorted(_sounds(match, vain))
                for sound in sounds:
                    take(str(sound), sound.relative_to(match))
                if not sounds and len(vain) == unread:
                    hint = "give files by their names"
                    vain.append(
                        DataError("no-sound-files", "no sound file in this folder", where=name_of(match), hint=hint)
                    )
    places = _places(dict(found.values()))
    names = Counter(place.name for place, _ in places.values())
    return [
        Recording(source, place, place.name if names[place.name] == 1 else str(place), renamed)
        for source, (place, renamed) in places.items()
    ], vain


def _matches(pattern: str) -> list[str]:
    """Files of a pattern; the pattern itself when there are none, so that it is told of as a file that is not there."""
    return sorted(glob(pattern, recursive=True)) or [pattern]  # noqa: PTH207 - a Path has no absolute patterns


def _places(found: dict[str, Path]) -> dict[str, tuple[Path, bool]]:
    """Each its own, and whether it is another than its name: the name without ending, or with it (a.wav, a.flac), or the
    whole path (1/a.wav, 2/a.wav); with a digest where that is too long or another one's still.
    """
    stems = Counter(map(_stem, found.values()))
    names = Counter(found.values())
    places: dict[str, tuple[Path, bool]] = {}
    taken: set[Path] = set()
    for source, place in found.items():
        whole = Path(*(part for part in Path(source).parts if part not in ("..", Path(source).anchor)))
        alone, unlike = stems[_stem(place)] == 1, names[place] == 1
        chosen = _fitting(_stem(place) if alone else place if unlike else whole)
        if chosen in taken:
            chosen = chosen.with_name(with_digest(f"{chosen.name}~{source}"[-LONGEST:].replace("/", "_")))
        taken.add(chosen)
        places[source] = chosen, chosen.name not in (place.name, _stem(place).name)
    return places


def _stem(place: Path) -> Path:
    """Without the ending; `..wav` and the like, whose name would then be that of a folder, keep it."""
    return place.with_suffix("") if place.stem.strip(".") else place


def _fitting(place: Path) -> Path:
    """A place whose files can be written: no part too long, nor the whole."""
    if len(to_bytes(str(place))) > LONGEST_PLACE:
        return Path(with_digest(str(place).replace("/", "_")))
    name = shortened(place.name)
    return place.parent / (f"_{name}" if name.startswith(TEMPORARY) or not name.strip(".") else name)


def _sounds(folder: str, vain: list[DataError]) -> Iterator[Path]:
    """Sound files in a folder and below, links too; hidden ones are left alone. What may not be read goes to `vain`."""
    folders, links, seen = [folder], list[str](), set[tuple[int, int]]()
    while folders or links:
        place = (folders or links).pop()
        try:
            facts = Path(place).stat()
            if (facts.st_dev, facts.st_ino) in seen:  # by a link
                continue
            seen.add((facts.st_dev, facts.st_ino))
            with os.scandir(place) as entries:
                inside = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            vain.append(_unsearched(place, error))
            continue
        for entry in inside:
            if entry.name.startswith("."):
                continue
            try:
                is_folder = entry.is_dir()
            except OSError as error:  # of what a link leads to
                is_folder = False
                if error.errno != errno.ELOOP:
                    vain.append(_unsearched(entry.path, error))
                    continue
            if is_folder:
                (links if entry.is_symlink() else folders).append(entry.path)
            elif Path(entry.name).suffix.lower() in SOUND_ENDINGS:
                if _is_other(entry):
                    what, hint = "a named pipe, a socket or a device in a folder", "give it by its name"
                    vain.append(DataError("cannot-read", what, where=name_of(entry.path), hint=hint))
                else:
                    yield Path(entry.path)


def _unsearched(place: str, error: OSError) -> DataError:
    hint = "see that it may be read, or leave it out"
    return DataError(
        "cannot-read", f"this folder cannot be searched ({error.strerror})", where=name_of(place), hint=hint
    )


def _is_folder(path: str) -> bool:
    """Not so where nobody may look, which raises of a Path."""
    return os.path.isdir(path)  # noqa: PTH112


def _is_other(entry: os.DirEntry[str]) -> bool:
    """Whether it is there and no file (a pipe, a socket, a device). A dangling link tells when it is opened."""
    try:
        return not stat.S_ISREG(entry.stat().st_mode)
    except OSError:
        return False
