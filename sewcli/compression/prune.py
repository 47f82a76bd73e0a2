"""`sew prune`: from a recogniser to a smaller or sparser one: layers, then heads and units, then single weights.

What goes is what matters least on some audio (`importance.py`), or is smallest (`magnitude.py`). No training happens here:
`sew finetune --config prune` comes after it. What was found and removed is kept beside the model, in `pruning.json`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from sewcli.base import log
from sewcli.base.device import choose_device
from sewcli.base.errors import UsageError
from sewcli.base.files import require_new, write_json
from sewcli.compression.calibration import Calibration, calibration
from sewcli.compression.importance import importance
from sewcli.compression.layers import with_layers
from sewcli.compression.magnitude import Scope, matrices_of, prune_globally, prune_layers
from sewcli.compression.sensitivity import SHARES, equal_damage, measure, require_reach
from sewcli.compression.structured import keep_heads, keep_units, strongest
from sewcli.data.utterances import Utterance, read_split, require_splits
from sewcli.models.ctc import CTCModel
from sewcli.models.folder import count, load_ctc, save_ctc
from sewcli.models.sparsity import zero_facts, zeros
from sewcli.text.tokens import Vocabulary

REPORT = "pruning.json"


@dataclass(frozen=True)
class Wish:
    """What shall be left. magnitude: share of zeros; heads, feedforward: in each layer; drop_layers: how many go."""

    magnitude: float | None = None
    scope: Scope = "global"
    heads: int | None = None
    feedforward: int | None = None
    drop_layers: int = 0

    @property
    def cuts(self) -> bool:
        """Whether whole parts go."""
        return bool(self.heads or self.feedforward or self.drop_layers)

    @property
    def needs_audio(self) -> bool:
        """Whether audio has to tell what matters."""
        return self.cuts or self.scope == "sensitivity"


@dataclass
class _Work:
    model: CTCModel
    vocabulary: Vocabulary
    utterances: list[Utterance]
    seconds: float
    device: torch.device
    told: dict[str, Any] = field(default_factory=dict)


def prune(
    source: Path,
    out: Path,
    wish: Wish,
    *,
    data: Path,
    split: str | None,
    seconds: float,
    device_name: str,
) -> dict[str, Any]:
    """Prune the recogniser `source` into the model folder `out`; returns counts, as `sew prune --json` prints them.

    Args:
        source, out: a recogniser, and the folder to write.
        wish: what shall be left.
        data, split, seconds: the audio that tells what matters: so much of a split; all dev* when None.
        device_name: where to compute.

    Raises:
        UsageError: nothing to do, more than there is, an option without effect, or a folder in the way.
        DataError: the model or the data are not valid.
    """
    _require_sense(wish)
    require_new(out)
    device = choose_device(device_name)
    model, vocabulary = load_ctc(source)
    _require_room(model, wish, source)
    before = count(model)
    utterances = _utterances(data, split) if wish.needs_audio else []
    work = _Work(model.to(device).eval(), vocabulary, utterances, seconds, device)
    _drop_layers(work, wish.drop_layers)
    _cut_inside(work, wish)
    _zero(work, wish)
    found, of = zeros(work.model)
    told = {
        "source": str(source),
        "parameters": count(work.model),
        "parameters_before": before,
        "zeros": found,
        "of": of,
    }
    facts = {
        "Pruned from": str(source),
        "Parameters before": f"{before:,}",
        **(zero_facts(work.model) if found else {}),
    }
    save_ctc(work.model.cpu(), vocabulary, out, facts=facts)
    write_json(out / REPORT, told | work.told)
    return {"folder": str(out), **told}


def _require_sense(wish: Wish) -> None:
    """Refuse what would do nothing, or could not be done in the end."""
    if wish.magnitude is None and not wish.cuts:
        raise UsageError(
            "nothing-to-prune",
            "nothing to prune",
            hint="--magnitude 0.5, --heads N, --feedforward N or --drop-layers N",
        )
    if wish.magnitude == 0:
        raise UsageError(
            "nothing-to-prune", "--magnitude 0 sets nothing to zero", hint="leave it out, or a larger share"
        )
    if wish.scope == "global":
        return
    if wish.magnitude is None:
        raise UsageError(
            "options-conflict", f"--scope {wish.scope} without --magnitude", hint="add --magnitude 0.5, or leave it out"
        )
    if wish.scope == "sensitivity":
        require_reach(wish.magnitude)


def _require_room(model: CTCModel, wish: Wish, source: Path) -> None:
    config = model.config
    limits = {
        "heads": (wish.heads, config.heads - 1),
        "feedforward": (wish.feedforward, config.feedforward - 1),
        "drop-layers": (wish.drop_layers, config.layers - 1),
    }
    for name, (wanted, there) in limits.items():
        if wanted and wanted > there:
            raise UsageError(
                "prune-too-much",
                f"--{name} {wanted}: at most {there}",
                where=source,
                hint=f"--{name} N, N up to {there}",
            )


def _utterances(data: Path, split: str | None) -> list[Utterance]:
    splits = require_splits(data, [split] if split else None, default_prefix="dev")
    return [u for name in splits for u in read_split(data, name)]


def _calibration(work: _Work) -> Calibration:
    return calibration(work.model, work.vocabulary, work.utterances, work.seconds, work.device)


def _drop_layers(work: _Work, number: int) -> None:
    """One at a time: what a layer is worth changes when another goes."""
    numbers = list(range(work.model.config.layers))
    for _ in range(number):
        worth = importance(work.model, _calibration(work), work.vocabulary.blank, work.device).layers
        weakest = int(worth.argmin())
        log.info(f"layer {numbers[weakest] + 1} goes (of the loss {float(worth[weakest]):.3g})")
        work.told.setdefault("dropped_layers", []).append({"layer": numbers.pop(weakest), "worths": worth.tolist()})
        kept = [place for place in range(work.model.config.layers) if place != weakest]
        work.model = with_layers(work.model, kept).to(work.device).eval()


def _cut_inside(work: _Work, wish: Wish) -> None:
    if not wish.heads and not wish.feedforward:
        return
    worth = importance(work.model, _calibration(work), work.vocabulary.blank, work.device)
    if wish.heads:
        kept = strongest(worth.heads, wish.heads)
        work.told["heads"] = {"kept": kept, "worths": worth.heads.tolist()}
        work.model = keep_heads(work.model, kept).eval()
    if wish.feedforward:
        kept = strongest(worth.units, wish.feedforward)
        work.told["feedforward"] = {"kept": kept}
        work.model = keep_units(work.model, kept).eval()


def _zero(work: _Work, wish: Wish) -> None:
    if wish.magnitude is None:
        return
    layers = range(work.model.config.layers)
    if wish.scope == "global":
        prune_globally(work.model, wish.magnitude)
    elif wish.scope == "layer":
        prune_layers(work.model, dict.fromkeys(layers, wish.magnitude))
    else:
        curves = measure(work.model, _calibration(work).utterances, work.device)
        sizes = {layer: sum(m.numel() for m in matrices_of(work.model, layer)) for layer in layers}
        shares = equal_damage(curves, sizes, wish.magnitude)
        work.told["sensitivity"] = {"shares": SHARES, "divergence": curves, "chosen": shares}
        prune_layers(work.model, shares)
