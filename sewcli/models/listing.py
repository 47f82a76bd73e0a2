"""`sew models`: the zoo as a table, and one model part by part; sizes are counted from the models themselves.

Counting runs on the meta device, so it needs neither memory nor weights. Counts are those of a recogniser of 32 letters.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import cache
from typing import Any

from sewcli.models.ctc import CTCModel
from sewcli.models.flops import SECONDS, Part, anatomy, folded, paper_flops
from sewcli.models.folder import count
from sewcli.models.paper import COSTS, ROWS, agrees, printed
from sewcli.models.pretraining import PretrainingModel
from sewcli.models.zoo import describe, lookup, names
from sewcli.nn.blank import without_weights

VOCABULARY = 32  # letters of the published models
EXTRACTOR = "encoder.extractor."
LIST = "{:42} {:8} {:>5} {:>6} {:>6} {:>7} {:>9} {:>9} {:>9}  {}"
ACCOUNT = "{:38} {:24} {:>14} {:>13} {:>9}"


def print_models(name: str | None, *, as_json: bool = False) -> None:
    """Print all models, or one part by part, to stdout.

    Raises:
        UsageError: no such model.
    """
    if name:
        print_model(name, as_json=as_json)
    elif as_json:
        for each in every_name():
            print(json.dumps(sizes(each)))
    else:
        head = ("model", "family", "width", "layers", "kernel", "squeeze", "size", "paper", "extractor", "")
        print(LIST.format(*head).rstrip())
        for each in every_name():
            row = sizes(each)
            plain = [row[key] for key in ("name", "family", "width", "layers", "position_kernel", "squeeze")]
            paper = f"{row['paper_parameters']} M" if row["paper_parameters"] else "-"
            ours = f"{row[str(row['paper_counts'] or 'parameters')] / 1e6:.2f} M"
            extractor = f"{row['extractor_parameters'] / 1e6:.2f} M"
            print(LIST.format(*plain, ours, paper, extractor, row["description"]).rstrip())


def print_model(name: str, *, as_json: bool = False) -> None:
    """Print the sizes of one model, and its layers with output shape, parameters and multiply-accumulates for 10 s."""
    row, config = sizes(name), lookup(name)
    parts = anatomy(config, VOCABULARY)
    macs = sum(part.macs for part in parts)
    of_extractor = extractor_macs(name)
    flops = paper_flops(config)
    if as_json:
        row |= {"macs_10s": macs, "extractor_macs_10s": of_extractor, "extractor_flops_as_in_table_2": flops}
        print(json.dumps({**row, "parts": [asdict(part) for part in parts]}))
        return
    paper = f"; the paper prints {row['paper_parameters']} M" if row["paper_parameters"] else ""
    shown = {key: row[key] for key in ("name", "family", "width", "layers", "heads", "position_kernel", "squeeze")}
    shown |= {
        "parameters": f"{row['parameters']:,}{paper}",
        "of the extractor": f"{row['extractor_parameters']:,}",
        "with heads": f"{row['pretraining_parameters']:,} (pre-training, without CTC layer)",
        "description": row["description"],
    }
    for key, value in shown.items():
        if value:
            print(f"{key:18} {value}")
    print(f"\nOne utterance of {SECONDS} s; GMAC: billions of multiply-accumulates\n")
    print(ACCOUNT.format("part", "", "output", "parameters", "GMAC"))
    for part, number in folded(parts):
        first = part.name if number == 1 else f"{part.name}-{int(part.name.rpartition('.')[2]) + number - 1}, each"
        shape = " x ".join(map(str, part.shape)) if part.shape else ""
        print(ACCOUNT.format(first, part.kind, shape, f"{part.parameters:,}", f"{part.macs / 1e9:.3f}"))
    print(ACCOUNT.format("all", "", "", f"{row['parameters']:,}", f"{macs / 1e9:.3f}"))
    if flops:
        extractor = [part for part in parts if part.name.startswith(EXTRACTOR)]
        cost = next((f"; the paper prints {c.flops}" for c in COSTS if _extractor(c.model) == extractor), "")
        print(f"\nextractor: {of_extractor / 1e9:.3f} GMAC; counted as in table 2: {flops / 1e9:.2f} G{cost}")


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


def _extractor(name: str) -> list[Part]:
    return [part for part in anatomy(lookup(name), VOCABULARY) if part.name.startswith(EXTRACTOR)]
