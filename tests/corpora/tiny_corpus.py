"""A tiny miniature, and what tests do to a corpus."""

import hashlib
from pathlib import Path

from sewcli.corpora.miniatures import tedlium3
from sewcli.corpora.miniatures.librispeech import Part, Plan

TINY = Plan(parts=(Part("train-clean-100", 3, 13), Part("dev-clean", 2, 3), Part("test-clean", 2, 3)), seed=7)
TALKS = tedlium3.Plan(
    parts=(tedlium3.Part("train", 4, 14), tedlium3.Part("dev", 2, 8), tedlium3.Part("test", 2, 6)),
    lm_sentences=5,
    seed=5,
)


def digests(folder: Path) -> dict[str, str]:
    """The digest of every file below a folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def flacs(part: Path) -> list[Path]:
    """The sound files of a part, sorted."""
    return sorted(part.rglob("*.flac"))
