"""What lhotse cuts hold beside a stretch of a file and its text: said by `sew check`, so that nothing is passed over unseen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from sewcli.base.errors import DataError
from sewcli.base.files import read_jsonl
from sewcli.data.cuts import MIXED, Row, transforms_of
from sewcli.data.findings import Finding
from sewcli.data.manifests import is_pair

OF_LHOTSE = {"dataloading_info", "shard_origin", "shar_epoch"}  # keys of `custom` that lhotse writes for itself


def contents(split: str, files: Sequence[Path]) -> Iterator[Finding]:
    """A finding for each kind of content, with the number of cuts.

    Args:
        split: its name.
        files: its manifests.
    """
    segments, computed, unused = Counter[str](), Counter[str](), Counter[str]()
    cuts = 0
    try:
        for file in files[:1] if is_pair(files) else files:
            for line in read_jsonl(file):
                cuts += 1
                row = {"recording": line} if is_pair(files) else line
                segments.update(_segments(row))
                computed.update(_computed(row))
                unused.update(_unused(row))
    except (DataError, TypeError, AttributeError, KeyError):  # a broken manifest is another finding
        return
    where = str(files[0])
    if segments:
        yield Finding("segments", split, "", where, f"each supervision is an utterance: {_told(segments, cuts)}")
    if computed:
        yield Finding("transforms", split, "", where, _told(computed, cuts))
    if unused:
        yield Finding("unused", split, "", where, _told(unused, cuts))


def _segments(row: Row) -> Iterator[str]:
    found = row.get("supervisions") or []
    if len(found) > 1:
        yield "several supervisions"
    elif found and found[0].get("duration", row["duration"]) < row["duration"]:
        yield "a supervision of a part"


def _computed(row: Row) -> set[str]:
    names = {str(transform.get("name")) for transform in transforms_of(row)}
    return names | ({MIXED} if row.get("type") == MIXED else set())


def _unused(row: Row) -> Iterator[str]:
    if row.get("features"):
        yield "features"
    yield from (f"custom {key}" for key in row.get("custom") or () if key not in OF_LHOTSE)


def _told(counts: Counter[str], cuts: int) -> str:
    shown = [f"{name:.40} ({count:,})" for name, count in counts.most_common(6)]
    return f"{', '.join(shown)} of {cuts:,} cuts"
