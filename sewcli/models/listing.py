"""`sew models`: the zoo as a table, its sizes counted from the models themselves (on the meta device, so at no cost).

The tests hold these counts against SEW tables 5, 6, 10 and 13.
"""

from __future__ import annotations

import json
from typing import Any

import torch

from sewcli.models.ctc import CTCModel
from sewcli.models.folder import count
from sewcli.models.pretraining import PretrainingModel
from sewcli.models.zoo import ALIASES, TABLE, lookup, names

VOCABULARY = 32  # letters of the published models
LINE = "{:17} {:9} {:>5} {:>6} {:>6} {:>11} {:>12}  {}"


def print_models(name: str | None, *, as_json: bool = False) -> None:
    """Print one model or all of them to stdout.

    Raises:
        UsageError: no such model.
    """
    rows = [describe(each) for each in ([name] if name else names())]
    if as_json:
        for row in rows:
            print(json.dumps(row))
    elif name:
        for key, value in rows[0].items():
            print(f"{key:22} {value}")
    else:
        print(LINE.format("model", "family", "width", "layers", "kernel", "recogniser", "pre-training", "").rstrip())
        for row in rows:
            sizes = (f"{row[key] / 1e6:.1f} M" for key in ("recogniser", "with_pretraining"))
            plain = (row[key] for key in ("name", "family", "width", "layers", "position_kernel"))
            print(LINE.format(*plain, *sizes, row["description"]).rstrip())


def describe(name: str) -> dict[str, Any]:
    """A model's sizes: parameters as a recogniser of 32 letters, of the extractor, and with the pre-training heads."""
    config = lookup(name)
    with torch.device("meta"):
        recogniser, pretraining = CTCModel(config, VOCABULARY), PretrainingModel(config)
    fields = ("name", "family", "width", "layers", "heads", "position_kernel", "squeeze")
    return {
        **config.model_dump(mode="json", include=set(fields)),
        "recogniser": count(recogniser),
        "extractor": count(recogniser.encoder.extractor),
        "with_pretraining": count(pretraining),
        "extractor_channels": list(config.extractor_channels),
        "description": TABLE[ALIASES.get(name, name)].description,
    }
