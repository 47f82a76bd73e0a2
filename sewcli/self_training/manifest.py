"""Labels on disk: a prepared data folder, as `sew prep` writes one, whose texts a model has made.

The cuts are those of the source, each with its one text and, in the supervision's `custom`, where it came from. What was not
kept stands in rejected.jsonl with the reason. prep.json, written last, is the mark that a split is done.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sewcli.artifacts.data_folder import (
    RejectedRow,
    SplitEntry,
    corpus_of,
    cuts_name,
    known_rejected,
    known_splits,
    write_rejected,
    write_split,
    write_splits,
)
from sewcli.base.errors import DataError, UsageError
from sewcli.base.files import remove_leftovers
from sewcli.corpora.vocabulary import write_report
from sewcli.data.utterances import Utterance, manifests, read_cuts
from sewcli.self_training.filters import Candidate

WORK = "labelling"  # folder of the hypotheses, in that of the labels
CUSTOM: Final = "pseudo_label"  # key in the custom fields of a supervision, and of a split in prep.json


@dataclass(frozen=True)
class Provenance:
    """Of the labels of a split: where they come from (for each of them), and figures for prep.json.

    inputs: a digest of all that decides them.
    """

    inputs: str
    origin: Mapping[str, Any]
    figures: Mapping[str, Any]


def require_plain(data: Path, split: str) -> Path:
    """The manifest of a split.

    Raises:
        UsageError: the split is kept as Shar, or has mixtures.
    """
    path = manifests(data, split)[0]
    if data not in (path, path.parent):
        raise UsageError(
            "split-is-shar",
            "a split that is kept as Shar",
            where=path.parent,
            hint="label the folder that sew shar has packed",
        )
    for row, utterance in read_cuts(data, split):
        if "tracks" in row:
            raise UsageError(
                "cut-is-mixture",
                f"{utterance.id} is a mixture of recordings, which has no place for a label of its own",
                where=path,
                hint="write the audio to files first: CutSet.save_audios",
            )
    return path


def require_free(out: Path, split: str) -> None:
    """Refuse to put labels where a corpus is.

    Raises:
        UsageError: the folder has this split, and no model wrote its texts.
    """
    entry = known_splits(out).get(split)
    if (entry is not None and CUSTOM not in entry) or (
        entry is None and (out / cuts_name(split)).exists() and not (out / WORK).is_dir()
    ):
        raise UsageError(
            "split-exists",
            f"{split} of a corpus is here, which labels of a model would replace",
            where=out,
            hint="--out FOLDER",
        )


def write_labels(
    out: Path, data: Path, split: str, kept: Sequence[Candidate], rejected: Sequence[RejectedRow], account: Provenance
) -> SplitEntry:
    """Write the labels of a split of `data` to `out`, and return its entry in prep.json.

    Raises:
        DataError: no text was kept.
    """
    require_plain(data, split)
    reasons = Counter(row["reason"].partition(":")[0] for row in rejected)
    if not kept:
        told = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
        raise DataError(
            "no-label-kept",
            f"no label is kept ({told})",
            where=split,
            hint="a better model, or wider filters: --keep, --set filter...",
        )
    remove_leftovers(out)
    corpus = corpus_of(data) or data.name  # cuts from elsewhere have no prep.json
    write_splits(out, corpus, {name: entry for name, entry in known_splits(out).items() if name != split})
    texts = {candidate.id: candidate for candidate in kept}
    cuts = ((row, texts.get(utterance.id)) for row, utterance in read_cuts(data, split))
    rows = [_labelled(row, label, account) for row, label in cuts if label is not None]
    outputs = write_split(out, split, rows, (row["supervisions"][0]["text"] for row in rows))
    others = [row for row in known_rejected(out) if row["split"] != split]
    write_rejected(out, [*others, *(row | RejectedRow(split=split) for row in rejected)])
    there = known_splits(data).get(split, {})
    speakers = {str(row["supervisions"][0].get("speaker") or "") for row in rows}
    entry: SplitEntry = {
        "utterances": len(rows),
        "hours": round(sum(candidate.seconds for candidate in kept) / 3600, 4),
        "speakers": len(speakers),
        "words": sum(len(candidate.text.split()) for candidate in kept),
        "rejected": len(rejected),
        "published": None,
        "differences": [],
        "reasons": dict(sorted(reasons.items())),
        "folder": str(data.absolute()),
        "root": there.get("root"),
        "inputs": account.inputs,
        "outputs": outputs,
        "pseudo_label": {**account.origin, **account.figures},
    }
    splits = {**known_splits(out), split: entry}
    write_report(out, splits)
    write_splits(out, corpus, splits)
    return entry


def of_utterance(utterance: Utterance, reason: str, text: str = "") -> RejectedRow:
    """The row of a cut that gets no label."""
    return RejectedRow(id=utterance.id, file=str(utterance.path), reason=reason, text=text)


def _labelled(row: dict[str, Any], label: Candidate, account: Provenance) -> dict[str, Any]:
    """A cut with its label in the place of whatever text it had."""
    old = (row.get("supervisions") or [{}])[0]
    channel = row.get("channel", 0)
    custom = {key: value for key, value in (old.get("custom") or {}).items() if key != CUSTOM}
    supervision = {
        "id": old.get("id") or row["id"],
        "recording_id": old.get("recording_id") or row["recording"]["id"],
        "start": 0.0,
        "duration": row["duration"],
        "channel": channel,
        "text": label.text,
        **{key: old[key] for key in ("language", "speaker", "gender") if old.get(key)},
        "custom": {
            **custom,
            CUSTOM: {
                **account.origin,
                "score": round(label.score, 4),
                "confidence": round(label.confidence, 4),
                "agreement": round(label.agreement, 4),
            },
        },
    }
    return {**row, "supervisions": [supervision]}
