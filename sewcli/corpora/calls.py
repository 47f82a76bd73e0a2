"""What telephone corpora of the LDC share: folders named by their LDC number, calls of two sides, and turns to utterances.

Discs are kept in many ways: `LDC97S62`, `swbd/LDC97S62_d1`, links to other file systems. So a folder is known by its name or
by the names of the files in it, at most three levels down, and what it holds by file names at any depth below.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sewcli.corpora.utterances import ParsedTranscripts, RawUtterance, Rejection
from sewcli.text.normalize import outside
from sewcli.text.rules import Rule, normalise

DEPTH = 3  # levels below the folder of the corpus
SIDES = "AB"  # channels 0 and 1
NOTHING = "nothing but noise or laughter"
EMPTY = "nothing said ([silence] or an empty line)"


@dataclass(frozen=True)
class Marks:
    """How the folders of a corpus are known, in either case: by part of their own names, or by a file that lies in them."""

    folder: str
    """A regular expression, searched for in the name of the folder."""
    file: str
    """One that matches the whole name of a file."""

    @classmethod
    def either(cls, *marks: Marks) -> Marks:
        """Those of any of several corpora."""
        return cls("|".join(mark.folder for mark in marks), "|".join(mark.file for mark in marks))

    def name(self, folder: Path) -> bool:
        """Whether the name of a folder is one of this corpus."""
        return re.search(self.folder, folder.name, re.IGNORECASE) is not None

    def hold(self, names: Iterable[str]) -> bool:
        """Whether one of the files of a folder is of this corpus."""
        return any(re.fullmatch(self.file, name, re.IGNORECASE) for name in names)


def find_folders(corpus: Path, marks: Marks, depth: int = DEPTH) -> list[Path]:
    """The folders of a corpus at most `depth` levels below `corpus`, or that folder itself; none lies in another.

    A folder that is there twice, by links, is listed once. Folders that cannot be read are passed over.
    """
    found: dict[Path, Path] = {}
    level = [corpus]
    for _ in range(depth + 1):
        below: list[Path] = []
        for folder in level:
            try:
                entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
            except OSError:
                continue
            if marks.name(folder) or marks.hold(entry.name for entry in entries):
                found.setdefault(folder.resolve(), folder)
            else:
                below += [
                    path for entry in entries if (path := Path(entry.path)).is_dir()
                ]  # entry.is_dir() raises on loops
        level = below
    return sorted(found.values())


def files_below(folders: Iterable[Path], pattern: re.Pattern[str]) -> Iterator[tuple[re.Match[str], Path]]:
    """All files below `folders` with a name that `pattern` matches as a whole, in order, links followed."""
    seen: set[str] = set()
    for top in folders:
        for place, below, names in os.walk(top, followlinks=True):
            real = os.path.realpath(place)
            if real in seen:  # a link back up, or a second way here
                below.clear()
                continue
            seen.add(real)
            below.sort()
            for name in sorted(names):
                if match := pattern.fullmatch(name):
                    yield match, Path(place, name)


def commonest(folders: Sequence[Path]) -> Path:
    """The deepest folder that holds all of `folders`."""
    return Path(os.path.commonpath(folders))


def read_lines(path: Path) -> list[str]:
    """The lines of an old text file: a byte that is not UTF-8 becomes U+FFFD, which no letter model can write."""
    return path.read_bytes().decode("utf-8-sig", errors="replace").splitlines()


class Turns:
    """Collects the turns of calls into the listing of a split, and keeps account of those that are not in it.

    Args:
        rules: of the transcripts.
        keep_empty: keep turns of which the rules leave nothing: in a test they are decoded all the same.
    """

    def __init__(self, rules: Sequence[Rule], *, keep_empty: bool = False) -> None:
        self._rules, self._keep_empty = rules, keep_empty
        self._candidates: dict[str, RawUtterance] = {}
        self._rejections: list[Rejection] = []
        self.left_out: Counter[str] = Counter()
        self.changes: Counter[str] = Counter()

    def add(
        self,
        identity: str,
        transcript: Path,
        audio: Path,
        said: str,
        *,
        side: str,
        times: tuple[float, float],
        speaker: str,
        custom: Mapping[str, Any],
    ) -> None:
        """One turn: what was `said` on `side` (A or B) of the call in `audio` between two `times` in seconds."""
        text, changed = normalise(said, self._rules)
        start, end = times
        if end <= start:
            self.left_out["ends before it begins"] += 1
        elif identity in self._candidates:
            self.reject(identity, transcript, "a second transcript of the same utterance")
        elif symbols := outside(text):
            self.reject(identity, transcript, f"symbols outside A-Z and ': {' '.join(symbols)}")
        elif not text and not self._keep_empty:
            self.left_out[NOTHING] += 1
        else:
            self.changes.update(changed)
            self._candidates[identity] = RawUtterance(
                identity,
                audio,
                text,
                speaker,
                start=start,
                end=end,
                channel=SIDES.index(side),
                custom={"side": side, **custom, "original": said},
            )

    def reject(self, identity: str, file: Path, reason: str) -> None:
        """Set a turn, a side or a whole call aside."""
        self._rejections.append(Rejection(identity, file, reason))

    def listing(self) -> ParsedTranscripts:
        """All of it."""
        return ParsedTranscripts(list(self._candidates.values()), self._rejections, self.left_out, self.changes)


def by_call(found: Iterable[tuple[str, Path]], turns: Turns) -> dict[str, Path]:
    """One file for each call; a second one is set aside."""
    files: dict[str, Path] = {}
    for call, path in found:
        if call in files:
            turns.reject(call, path, f"a second file of this call; {files[call]} is used")
        else:
            files[call] = path
    return files
