"""`sew recipes`: the recipes by name, what differs in each, and what the papers measured; docs/recipes.md is its page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from sewcli.training.recipes import Recipe, names, read

VERBS = ("pretrain", "finetune", "distill", "selftrain")
LINE = "{:9} {:46} {:16} {}"
INTRODUCTION = """# Recipes by name

Made by `sew recipes --tables > docs/recipes.md`; do not edit. `sew pretrain`, `sew finetune`, `sew distill` and `sew selftrain`
take them as `--config NAME`; `--print-config` shows all of one, `--set key=value` changes a key, and a
YAML file of your own can begin with `inherits: NAME`. "Differs" is against the recipe it inherits, or the defaults, which are
SEW's 100K pre-training, the 100 h fine-tuning, and for a distillation what docs/compression.md says.

WER is what the paper reports: for wav2vec 2.0's ablations the mean of three seeds on dev-clean and dev-other together, after
`sew finetune --config ablation-10h` (tables 4, 5 and 13); in fine-tuning test-clean / test-other, greedy, with the updates of
pre-training in brackets. They are not measured here; none stands where the figure is not at hand. SEW's tables 1, 3, 4 and 13
compare models, and each of those has a name of its own ([models.md](models.md)), e.g.
`sew pretrain --model sew-tiny+wfe-c-c48-l1+k127 --config 100k`.
"""
TITLES = {
    "pretrain": "Pre-training",
    "pretrain/ablation": "Pre-training, ablations",
    "finetune": "Fine-tuning",
    "distill": "Distillation",
    "selftrain": "Self-training",
}


def print_recipes(*, as_json: bool = False) -> None:
    """Print one line a recipe to stdout."""
    if not as_json:
        print(LINE.format("verb", "recipe", "WER", "differs"))
    for verb, name, recipe in recipes():
        wer = recipe.about.wer if recipe.about else {}
        if as_json:
            about = recipe.about.model_dump() if recipe.about else None
            print(
                json.dumps({"verb": verb, "name": name, "inherits": recipe.inherits, "about": about, "own": recipe.own})
            )
        else:
            print(LINE.format(verb, name, wer if isinstance(wer, str) else "", _differs(recipe)).rstrip())


def page() -> str:
    """The whole of docs/recipes.md."""
    parts = [INTRODUCTION]
    for folder, title in TITLES.items():
        rows = [row for row in recipes() if _folder(row[0], row[1]) == folder]
        parts += [f"## {title}\n", "| recipe | differs | paper | row | WER |", "| --- | --- | --- | --- | --- |"]
        parts += [_row(name, recipe) for _, name, recipe in rows] + [""]
    return "\n".join(parts)


def recipes() -> Iterator[tuple[str, str, Recipe]]:
    """(verb, name, recipe) of all that come with `sew`."""
    for verb in VERBS:
        for name in names(verb):
            yield verb, name, read(verb, name)


def _folder(verb: str, name: str) -> str:
    return "/".join([verb, *name.split("/")[:-1]])


def _row(name: str, recipe: Recipe) -> str:
    about = recipe.about
    wer = about.wer if about else ""
    measured = wer if isinstance(wer, str) else "<br>".join(f"{model}: {figure}" for model, figure in wer.items())
    cells = (f"`{name}`", _differs(recipe), about.paper if about else "", about.row if about else "", measured)
    return f"| {' | '.join(cells)} |"


def _differs(recipe: Recipe) -> str:
    texts = [f"as {recipe.inherits}"] if recipe.inherits else []
    return ", ".join(texts + [f"{key} {value}" for key, value in _flat(recipe.own)])


def _flat(settings: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in settings.items():
        if key in ("inherits", "about"):
            continue
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            plain = f"{value:g}" if isinstance(value, float) else json.dumps(value).strip('"')
            yield prefix + key, plain
