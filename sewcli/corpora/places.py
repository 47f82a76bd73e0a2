"""Where corpora are looked for, and what is said about a place that is none."""

from __future__ import annotations

from pathlib import Path

from sewcli.base.errors import UsageError, nearest


def require_folder(folder: Path) -> None:
    """Check that a folder that was given is one.

    Raises:
        UsageError: a file, or nothing; with the nearest name beside it.
    """
    if folder.is_dir():
        return
    if folder.exists():
        raise UsageError("a file, not the folder of a corpus", where=folder, hint="unpack it, and give the folder")
    siblings = [path.name for path in folder.absolute().parent.glob("*/")]
    raise UsageError(f"no such folder{nearest(folder.name, siblings)}", where=folder)
