"""What was said on the command line about somebody's own data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """How an input is to be read.

    Args:
        audio: paths are relative to this folder; None: to the manifest.
        columns: by what they hold, where that cannot be seen by their names; numbers: a table without a head.
        pipes: run the commands that a manifest names in place of files.
    """

    audio: Path | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    pipes: bool = False
