"""docs/recipes.md: the recipes by name, what differs in each, and what the papers measured."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from sewcli.training.recipes import Recipe, names, read

VERBS = ("pretrain", "finetune", "distill", "selftrain")
INTRODUCTION = """# Recipes by name

Made by `sew recipes --tables > docs/recipes.md`; do not edit. `sew pretrain`, `sew finetune`, `sew distill` and `sew
selftrain` take them as `--config NAME`; `--print-config` shows all of one, `--set key=value` changes a key, and a YAML file
of your own can begin with `inherits: NAME`. "Differs" is against the recipe it inherits, or the defaults.

**Labels.** A fine-tuning recipe that is named by an amount takes these labels: `100h` the split train-clean-100, `10h`,
`1h` and `10m` Libri-Light's 10h, 1h and 10min, `960h` LibriSpeech's three training splits. Where the split is not in the
data folder, or holds less than half or more than twice the hours, the command says so and stops. Labels of your own are
named: `--config 10h --set data.train=train`. The best model is chosen on dev-other where it is prepared, or else on all dev
splits. Without `--config` all train splits are taken.

**Validation in pre-training.** SEW (section 4.1) holds out 1 % of the training data. Here the dev splits are taken where
they are prepared, so that all hours are trained on; `--set data.valid=hold-out` holds out 1 %, at most ten hours, as the
paper does.

**WER** is what the paper reports ([published.md](published.md) has all of it, and where paper and code differ); none of it
is measured here. For wav2vec 2.0's ablations it is the mean of dev-clean and dev-other over three seeds of `sew finetune
--config ablation-10h`, decoded with the official 4-gram, a beam of 50 and the weights 2 and -1 (`sew lm official --download
4gram`, `sew decode --lm 4gram --split dev-clean --split dev-other`). In fine-tuning it is test-clean / test-other, greedy,
with the updates of pre-training in brackets; of SEW's table 10 test-other, greedy / with the 4-gram; of "Shrinking Bigfoot"
dev-clean, greedy.

**SEW's tables 1, 3, 4 and 13** compare models, and each of those has a name of its own ([models.md](models.md)). The
squeezed ones of tables 1, 3 and 4 have linear heads, and are pre-trained with the micro-batches of the tiny models, e.g.
`sew pretrain --model sew-tiny+wfe-c-c48-l1+k127+heads-linear --config tiny-100k`.
"""
TITLES = {
    "pretrain": "Pre-training",
    "pretrain/ablation": "Pre-training, ablations",
    "finetune": "Fine-tuning",
    "distill": "Distillation",
    "selftrain": "Self-training",
}


def page() -> str:
    """The whole of docs/recipes.md."""
    parts, found = [INTRODUCTION], list(recipes())
    for folder, title in TITLES.items():
        rows = [row for row in found if _folder(row[0], row[1]) == folder]
        parts += [f"## {title}\n", "| recipe | differs | paper | row | WER |", "| --- | --- | --- | --- | --- |"]
        parts += [_row(name, recipe) for _, name, recipe in rows] + [""]
    return "\n".join(parts)


def recipes() -> Iterator[tuple[str, str, Recipe]]:
    """(verb, name, recipe) of all that come with `sew`."""
    for verb in VERBS:
        for name in names(verb):
            yield verb, name, read(verb, name)


def differs(recipe: Recipe) -> str:
    """What a recipe changes, in one line: `as NAME` for what it inherits, then its own keys."""
    texts = [f"as {recipe.inherits}"] if recipe.inherits else []
    return ", ".join(texts + [f"{key} {value}" for key, value in _flat(recipe.own)])


def _folder(verb: str, name: str) -> str:
    return "/".join([verb, *name.split("/")[:-1]])


def _row(name: str, recipe: Recipe) -> str:
    about = recipe.about
    wer = about.wer if about else ""
    measured = wer if isinstance(wer, str) else "<br>".join(f"{model}: {figure}" for model, figure in wer.items())
    cells = (f"`{name}`", differs(recipe), about.paper if about else "", about.row if about else "", measured)
    return f"| {' | '.join(cells)} |"


def _flat(settings: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in settings.items():
        if key in ("inherits", "about"):
            continue
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            plain = f"{value:g}" if isinstance(value, float) else json.dumps(value).strip('"')
            yield prefix + key, plain
