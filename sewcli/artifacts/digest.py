"""One digest for all that decides a result: the bytes of files, the files of a model, settings.

A mark is a line of text that differs where the result may: the name and the digest of a file, a setting, a count. What a
folder on disk was made of is the digest of its marks, so the same marks in the same order are the same folder for ever.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from sewcli.base.files import sha256


def digest(*marks: str) -> str:
    """One for all of them, in their order (hex, SHA-256)."""
    return hashlib.sha256("\n".join(marks).encode(errors="surrogatepass")).hexdigest()


def settings_digest(settings: Any) -> str:
    """Of plain values, whatever the order of their keys."""
    return digest(json.dumps(settings, sort_keys=True))


def file_marks(files: Iterable[Path]) -> list[str]:
    """Name and digest of each file."""
    return [f"{file.name} {_sha256(file, *_state(file))}" for file in files]


def model_marks(model: Path) -> list[str]:
    """Of a model that is one file, or of each file in its folder."""
    return file_marks([model] if model.is_file() else sorted(path for path in model.iterdir() if path.is_file()))


def model_digest(model: Path) -> str:
    """Of all files of a model."""
    return digest(*model_marks(model))


def _state(file: Path) -> tuple[int, int]:
    facts = file.stat()
    return facts.st_size, facts.st_mtime_ns


@cache
def _sha256(file: Path, size: int, changed: int) -> str:
    """Read once in a process, while size and time stay the same."""
    return sha256(file)
