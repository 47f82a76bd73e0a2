"""What `sew check` can find, as a table: each kind of fault, whether it matters, and what it means.

A fault matters (an error, exit 3) when a command would stop at it or a result would mislead; it is a warning when
training leaves the utterance out by itself, or can live with it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple


class Kind(NamedTuple):
    """A row of the table."""

    matters: bool
    means: str


KINDS = {
    "unreadable": Kind(True, "sound file missing, truncated, damaged"),
    "nan": Kind(True, "samples that are NaN or infinite"),
    "rate": Kind(True, "not 16 kHz, or not the manifest's rate"),
    "beyond-end": Kind(True, "the cut is not inside its file"),
    "rounded": Kind(False, "a cut that ends up to 25 ms after its file"),
    "partial": Kind(True, "a text of more than the audio of its cut"),
    "no-signal": Kind(True, "all samples are equal"),
    "silent": Kind(False, "level below -60 dB of full scale"),
    "clipped": Kind(False, "over 0.1 % of samples in flat tops"),
    "offset": Kind(False, "mean beyond 2 % of full scale"),
    "too-short": Kind(False, "under 0.1 s: fine-tuning leaves it out"),
    "too-long": Kind(False, "over 40 s (unlabelled: 10 minutes)"),
    "vocabulary": Kind(True, "a label that the model cannot write"),
    "no-label": Kind(False, "no text, where others of the split have"),
    "too-many-labels": Kind(False, "more labels than frames for CTC"),
    "duplicate-id": Kind(True, "an id twice, in one split or in two"),
    "leak": Kind(True, "same audio in two of train, dev, test"),
    "twice": Kind(False, "same audio twice in one of them"),
    "speaker": Kind(True, "a speaker in two of train, dev, test"),
    "manifest": Kind(True, "cuts broken, or not as prep.json says"),
    "text": Kind(True, "text_SPLIT.txt is not that of the cuts"),
    "segments": Kind(False, "cuts of several utterances, or of a part"),
    "transforms": Kind(False, "audio that lhotse computes on reading"),
    "unused": Kind(False, "features or custom fields: nothing reads them"),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault.

    Args:
        kind: a key of `KINDS`.
        split: where; several are joined by a comma.
        id: of the cut (for `speaker`, of the speaker); empty when a whole file is meant.
        file: the sound file, manifest or text.
        detail: what exactly.
        weight: the larger, the worse among its kind.
    """

    kind: str
    split: str
    id: str
    file: str
    detail: str
    weight: float = 0.0

    def row(self, allowed: Iterable[str] = ()) -> dict[str, Any]:
        """An object of the list: the severity is that of the kind, unless it is among those `allowed`."""
        matters = KINDS[self.kind].matters and self.kind not in allowed
        return {
            "id": self.id,
            "split": self.split,
            "file": self.file,
            "kind": self.kind,
            "severity": "error" if matters else "warning",
            "detail": self.detail,
        }


def ordered(findings: Iterable[Finding]) -> list[Finding]:
    """By kind, then split, then id: the same list in whatever order they were found."""
    place = {kind: index for index, kind in enumerate(KINDS)}
    return sorted(findings, key=lambda finding: (place[finding.kind], finding.split, finding.id, finding.detail))
