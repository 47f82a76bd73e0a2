"""What one split of somebody's own data knows of another: the same stretch of sound is set aside, the rest is said.

`sew check` finds more, and holds it against what was prepared: copies of a file under another name, for one.
"""

from __future__ import annotations

from collections.abc import Sequence

from sewcli.base.log import warn
from sewcli.corpora.own.rows import Refused, Row
from sewcli.corpora.roles import role

SHARED = 0.5  # of the shorter stretch, as sew check has it
_RANK = {"test": 0, "dev": 1, "train": 2}


def set_leaks_aside(rows: Sequence[Row]) -> tuple[list[Row], list[Refused]]:
    """The rows to use, and those of a split that training can do without: their sound or id is in dev or test."""
    kept: list[Row] = []
    refused: list[Refused] = []
    ids: dict[str, Row] = {}
    by_file: dict[tuple[str, int], dict[str, list[Row]]] = {}
    for row in sorted(rows, key=lambda row: _RANK[role(row.split)]):  # stable: test, dev, train
        earlier, mine = ids.get(row.id), role(row.split)
        stretches = by_file.setdefault((str(row.audio), row.channel), {})
        others = (other for of, there in stretches.items() if of != mine for other in there)
        same = next((other for other in others if _overlap(other, row)), None)
        if same is not None:
            refused.append(row.reject(f"the same stretch of sound as {same.id} of {same.split}"))
        elif earlier is not None and earlier.split != row.split:
            refused.append(row.reject(f"an id that is in {earlier.split} as well"))
        else:
            ids.setdefault(row.id, row)
            stretches.setdefault(mine, []).append(row)
            kept.append(row)
    if refused:
        warn(f"{len(refused):,} utterances are in two splits: they stay in test or dev, and are set aside in the other")
    _warn(kept)
    return kept, refused


def _overlap(one: Row, other: Row) -> bool:
    ends = [float("inf") if row.end is None else row.end for row in (one, other)]
    shared = min(ends) - max(one.start, other.start)
    shorter = min(ends[0] - one.start, ends[1] - other.start)
    return shared > 0 and (shorter == float("inf") or shared > SHARED * shorter)


def _warn(rows: Sequence[Row]) -> None:
    """Speakers and texts that are in two roles: allowed, and worth knowing."""
    of_speakers = "the test is then of known voices; sew check calls it an error"
    of_texts = "the test is then of known sentences"
    known = [("speakers", [row.speaker for row in rows], of_speakers), ("texts", [row.text for row in rows], of_texts)]
    for what, values, hint in known:
        seen: dict[str, set[str]] = {}
        for row, value in zip(rows, values, strict=True):
            if value:
                seen.setdefault(value, set()).add(role(row.split))
        both = sorted(value for value, roles in seen.items() if "train" in roles and len(roles) > 1)
        if both:
            shown = ", ".join(value[:40] for value in both[:3])
            warn(f"{len(both):,} {what} are in train and in dev or test ({shown}{', ...' if both[3:] else ''}): {hint}")
