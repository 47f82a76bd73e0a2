"""What is to be transcribed: files, folders, patterns and the pipe become recordings with a place for their transcripts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from glob import glob
from pathlib import Path

from sewcli.audio.streams import PIPE
from sewcli.base.errors import DataError, UsageError
from sewcli.base.files import TEMPORARY

ENDINGS = ".aif .aifc .aiff .au .caf .flac .mp3 .oga .ogg .opus .rf64 .snd .sph .w64 .wav .wave .wv1 .wv2"
SOUND_ENDINGS = frozenset(ENDINGS.split())  # of the files that a folder is searched for


@dataclass(frozen=True)
class Recording:
    """A sound file or the pipe.

    Args:
        source: a path as it was given, or `-`.
        place: below the output folder, without the ending of a format.
        title: no other one's: the name of its file, or its whole place where another one has that name.
    """

    source: str
    place: Path
    title: str


def expand(given: Sequence[str]) -> tuple[list[Recording], list[DataError]]:
    """Find all recordings, in the order given, a folder's sorted by name; each once.

    Returns:
        The recordings, and what was given in vain. A file that is not there is a recording: opening it tells.

    Raises:
        UsageError: an empty name, which would be the folder we are in.
    """
    if "" in given:
        raise UsageError("a file without a name", mend="name a file; . is the folder you are in")
    found: dict[str, Path] = {}  # source -> place, with the ending of the sound file
    vain = []
    for name in given:
        for match in [name] if name == PIPE or Path(name).exists() else _matches(name):
            path = Path(match)
            if match == PIPE:
                found.setdefault(match, Path("stdin"))
            elif not path.is_dir():
                found.setdefault(match, Path(path.name))
            elif sounds := _sounds(path):
                for sound in sounds:
                    found.setdefault(str(sound), sound.relative_to(path))
            else:
                vain.append(DataError("no sound file in this folder", where=path, mend="give files by their names"))
    places = _places(found)
    names = Counter(place.name for place in places.values())
    return [
        Recording(source, place, place.name if names[place.name] == 1 else str(place))
        for source, place in places.items()
    ], vain


def _matches(pattern: str) -> list[str]:
    """Files of a pattern; the pattern itself when there are none, so that it is told of as a file that is not there."""
    return sorted(glob(pattern, recursive=True)) or [pattern]  # noqa: PTH207 - a Path has no absolute patterns


def _places(found: dict[str, Path]) -> dict[str, Path]:
    """Each its own: the name without ending, or with it (a.wav, a.flac), or the whole path (1/a.wav, 2/a.wav)."""
    stems = Counter(place.with_suffix("") for place in found.values())
    names = Counter(found.values())
    places = {}
    for source, place in found.items():
        whole = Path(*(part for part in Path(source).parts if part not in ("..", Path(source).anchor)))
        alone, unlike = stems[place.with_suffix("")] == 1, names[place] == 1
        places[source] = place.with_suffix("") if alone else place if unlike else whole
    return places


def _sounds(folder: Path) -> list[Path]:
    """Sound files in a folder and below; hidden ones are somebody's own affair."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in SOUND_ENDINGS
        and not any(part.startswith((".", TEMPORARY)) for part in path.relative_to(folder).parts)
        and path.is_file()
    )
