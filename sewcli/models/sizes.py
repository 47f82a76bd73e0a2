"""How large the models of the zoo and of the paper's tables are, counted from the models themselves.

Counting runs on the meta device, so it needs neither memory nor weights. Counts are those of a recogniser of 32 letters.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from sewcli.models.ctc import CTCModel
from sewcli.models.flops import Part, anatomy
from sewcli.models.folder import count
from sewcli.models.paper import ROWS, agrees, printed
from sewcli.models.pretraining import PretrainingModel
from sewcli.models.zoo import describe, lookup, names
from sewcli.nn.blank import without_weights

VOCABULARY = 32  # letters of the published models
EXTRACTOR = "encoder.extractor."


def every_name() -> list[str]:
    """The zoo, then the variants that only the paper's ablations have."""
    return [*names(), *dict.fromkeys(row.model for row in ROWS if row.model not in names())]


def sizes(name: str) -> dict[str, Any]:
    """What a model is and how large: parameters as a recogniser, of its extractor, and with the pre-training heads.

    `paper_parameters` are millions as printed, and `paper_counts` names the one of our counts that they are.
    """
    return dict(_sizes(name))


@cache
def _sizes(name: str) -> dict[str, Any]:
    config = lookup(name)
    with without_weights():
        recogniser, pretraining = CTCModel(config, VOCABULARY), PretrainingModel(config)
    row = printed(config.name)
    fields = ("name", "family", "width", "layers", "heads", "position_kernel", "squeeze", "front_end")
    counts = {
        "parameters": count(recogniser),
        "extractor_parameters": count(recogniser.encoder.extractor),
        "pretraining_parameters": count(pretraining),
    }
    counted = None if row is None else "pretraining_parameters" if row.heads else "parameters"
    return {
        **config.model_dump(mode="json", include=set(fields)),
        **counts,
        "paper_parameters": row.parameters if row else None,
        "paper_extractor_parameters": row.extractor if row else None,
        "paper_table": row.table if row else None,
        "paper_counts": counted,
        "agrees": agrees(counts[counted], row.parameters) if row and counted else None,
        "extractor_channels": list(config.extractor_channels),
        "samples_per_frame": config.samples_per_frame,
        "description": describe(name),
    }


def extractor_macs(name: str) -> int:
    """Multiply-accumulates of a model's feature extractor for 10 s."""
    parts = anatomy(lookup(name), VOCABULARY)
    return sum(part.macs for part in parts if part.name.startswith(EXTRACTOR) or part.name == "other")


def extractor_parts(name: str) -> list[Part]:
    """The layers of a model's feature extractor."""
    return [part for part in anatomy(lookup(name), VOCABULARY) if part.name.startswith(EXTRACTOR)]
