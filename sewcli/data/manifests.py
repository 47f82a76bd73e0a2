"""Where the cuts of a data folder are: files as `sew prep` and lhotse name them, lhotse's Shar, or one file by itself.

`cuts_train.jsonl.gz`, `librispeech_cuts_train-clean-100.jsonl.gz`, `train_cuts.jsonl` and `cuts.jsonl.gz` hold cuts; recordings
and supervisions of the same name (`recordings.jsonl.gz` and `supervisions.jsonl.gz` of `lhotse kaldi import`) are cuts too
where no cuts of that name are. A name without a split gives the split `cuts`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from sewcli.artifacts.data_folder import cuts_name
from sewcli.base.errors import UsageError, nearest
from sewcli.data import shar
from sewcli.data.foreign import foreign_file, foreign_folder

JSONL = (".jsonl.gz", ".jsonl")
NAME = re.compile(
    r"(?:(?P<before>[^.].*?)[._-])?(?P<what>cuts|recordings|supervisions)(?:[._-](?P<split>.+?))?\.jsonl(?:\.gz)?"
)
UNNAMED = "cuts"  # the split of a manifest whose name has none

Files = dict[str, list[Path]]


def splits(data: str | Path) -> list[str]:
    """Names of the splits of a data folder (or of the file that is one), sorted."""
    data = Path(data)
    if data.is_file():
        return [split_of(data)]
    return sorted({*_cuts(data), *_pairs(data), *shar.shar_splits(data)})


def manifests(data: str | Path, split: str) -> list[Path]:
    """The files that hold the cuts of a split, in order: one, the shards of a Shar, or recordings and supervisions.

    Raises:
        UsageError: more than one file is named so.
    """
    data = Path(data)
    if data.is_file():
        return _partners(data) or [data]
    usual = data / cuts_name(split)
    if found := _cuts(data).get(split):
        return [_only(found, split)]
    if shards := shar.manifests(data / split):
        return shards
    if pair := _pairs(data).get(split):
        return pair
    return [usual]


def is_pair(files: Sequence[Path]) -> bool:
    """Whether these are recordings and supervisions, and not cuts."""
    return len(files) == 2 and _what(files[0]) == "recordings"


def require_splits(data: str | Path, wanted: Sequence[str] | None, *, default_prefix: str) -> list[str]:
    """The splits to use: those `wanted`, or all whose name begins with `default_prefix` (of one file: the file).

    Raises:
        UsageError: nothing is prepared, or a split is not there.
    """
    data = Path(data)
    if data.is_file() and not data.name.endswith(JSONL):
        raise foreign_file(data)
    found = splits(data)
    if not found:
        raise foreign_folder(data)
    if wanted:
        for name in wanted:
            if name not in found:
                raise UsageError(
                    "no-such-split",
                    f"no split {name!r}{nearest(name, found)}",
                    where=data,
                    hint=f"there are: {', '.join(found)}",
                )
        return list(wanted)
    chosen = found if data.is_file() else [name for name in found if name.startswith(default_prefix)]
    if not chosen:
        setting = f", e.g. --set data.train={found[0]}" if default_prefix == "train" else ""
        raise UsageError(
            "no-such-split", f"no split {default_prefix}*", where=data, hint=f"name one of: {', '.join(found)}{setting}"
        )
    return chosen


def split_of(file: Path) -> str:
    """The split that the name of a manifest tells."""
    if named := NAME.fullmatch(file.name):
        return named["split"] or named["before"] or UNNAMED
    return re.sub(r"\.jsonl(\.gz)?$", "", file.name)


def _what(file: Path) -> str:
    named = NAME.fullmatch(file.name)
    return named["what"] if named else ""


def _files(data: Path, *what: str) -> list[Path]:
    if not data.is_dir():
        return []
    shards = shar.manifests(data)
    return sorted(path for path in data.glob("*.jsonl*") if _what(path) in what and path not in shards)


def _cuts(data: Path) -> Files:
    found: Files = {}
    for path in _files(data, "cuts"):
        found.setdefault(split_of(path), []).append(path)
    return found


def _pairs(data: Path) -> Files:
    """Recordings with their supervisions, by split; those without a partner, or with two, are none."""
    found: Files = {}
    for path in _files(data, "recordings"):
        if partners := _partners(path):
            found.setdefault(split_of(path), []).extend(partners)
    return {split: files for split, files in found.items() if len(files) == 2}


def _partners(file: Path) -> list[Path]:
    """[recordings, supervisions] of which `file` is one; nothing where the other is missing or it is neither."""
    what = _what(file)
    if what not in ("recordings", "supervisions"):
        return []
    named = NAME.fullmatch(file.name)
    assert named is not None
    begin, end = file.name[: named.start("what")], re.sub(r"\.jsonl(\.gz)?$", "", file.name[named.end("what") :])
    both = [
        [file.with_name(f"{begin}{kind}{end}{suffix}") for suffix in JSONL] for kind in ("recordings", "supervisions")
    ]
    there = [[path for path in paths if path.is_file()] for paths in both]
    return [paths[0] for paths in there] if all(len(paths) == 1 for paths in there) else []


def _only(found: Sequence[Path], split: str) -> Path:
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise UsageError(
            "ambiguous-split",
            f"{len(found)} manifests of the split {split!r}: {names}",
            where=found[0].parent,
            hint="give one of these files in place of the folder, or keep them in folders of their own",
        )
    return found[0]
