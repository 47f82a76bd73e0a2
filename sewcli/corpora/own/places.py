"""Where a manifest's sound files are: as written, below a folder, or, for `LJ001-0001`, with the ending that is left out."""

from __future__ import annotations

from pathlib import Path

from sewcli.corpora.librispeech import SOUNDS


class AudioFolder:
    """Finds the files that a manifest names.

    Args:
        folder: relative names are below it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._endings: tuple[str, ...] = SOUNDS

    def find(self, name: str) -> Path:
        """The file of a name, which need not be there."""
        path = self._folder / name
        if "\\" in name and not path.is_file():  # written on Windows
            path = self._folder / name.replace("\\", "/")
        if path.name.lower().endswith(SOUNDS) or path.is_file():
            return path
        for ending in self._endings:
            if (complete := path.with_name(path.name + ending)).is_file():
                self._endings = (ending, *(other for other in SOUNDS if other != ending))  # the next is likely the same
                return complete
        return path
