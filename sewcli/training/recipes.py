"""Recipes by name: the papers' settings as small YAML files, each only what differs from the defaults.

A recipe may begin from another (`inherits: NAME`, or a file beside it) and says in `about` which row of which table it
is, and what the paper measured with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import sewcli
from sewcli.base.config import Config, build, merge, parse_sets, read_yaml
from sewcli.base.errors import UsageError, nearest
from sewcli.training.recipe_figures import measured

R = TypeVar("R", bound=Config)
FOLDER = Path(sewcli.__file__).parent / "recipes"


class About(Config):
    """Where a recipe comes from."""

    paper: str
    """Paper and table or section."""
    row: str
    """What the paper calls it."""
    labels: str | None = None
    """Amount of labels; the rates are then those of all models that were fine-tuned on so many."""
    models: tuple[str, ...] | None = None
    """Of these, the ones that this recipe is for."""
    wer: dict[str, str] | str = {}
    """Word error rates (%) that the paper reports; with several models, by model. Those of the papers' recipes come from
    the table of published figures."""


@dataclass(frozen=True)
class Recipe:
    """A recipe file: what differs from the defaults, with all that it inherits, and by itself."""

    path: Path
    settings: dict[str, Any]
    own: dict[str, Any]
    inherits: str | None
    about: About | None


def names(verb: str) -> list[str]:
    """Recipes that come with `sew` for a verb."""
    return sorted(
        path.relative_to(FOLDER / verb).with_suffix("").as_posix() for path in (FOLDER / verb).rglob("*.yaml")
    )


def find(verb: str, recipe: str, beside: Path | None = None) -> Path:
    """The file of a recipe: a path (from the folder `beside`, if given), or a name that comes with `sew`.

    Raises:
        UsageError: neither.
    """
    known, file = FOLDER / verb / f"{recipe}.yaml", (beside or Path()) / recipe
    if known.is_file():
        return known
    if file.is_file():
        return file
    raise UsageError(
        "no-such-recipe",
        f"no recipe {recipe!r}{nearest(recipe, names(verb))}",
        where=beside,
        hint=f"a YAML file, or one of: {', '.join(name for name in names(verb) if '/' not in name)}"
        + ", ablation/..." * any("/" in name for name in names(verb)),
    )


def read(verb: str, recipe: str) -> Recipe:
    """A recipe with all that it inherits, the last word being its own.

    Raises:
        UsageError: no such recipe, not a mapping, or one that inherits from itself.
    """
    path = find(verb, recipe)
    chain: dict[Path, dict[str, Any]] = {}
    follow: Path | None = path
    while follow is not None:
        if follow.resolve() in chain:
            raise UsageError("recipe-circle", "a recipe that inherits from itself", where=follow)
        content = read_yaml(follow)
        chain[follow.resolve()] = content
        parent = content.get("inherits")
        follow = find(verb, str(parent), follow.parent) if parent is not None else None
    own = chain[path.resolve()]
    about = own.get("about")
    if not isinstance(about, dict | None):
        raise UsageError("invalid-recipe", "about must be a mapping (paper, row, wer)", where=path)
    plain = [{k: v for k, v in content.items() if k not in ("inherits", "about")} for content in chain.values()]
    return Recipe(
        path, layered(*reversed(plain)), plain[0], own.get("inherits"), _about(about, path) if about else None
    )


def layered(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """Settings laid over each other. `data.hours` belongs to the `data.train` beside it: with another, it is `other_hours`."""
    settings: dict[str, Any] = {}
    for layer in layers:
        settings = merge(settings, layer)
        data = layer.get("data")
        if isinstance(data, Mapping) and "train" in data and "hours" not in data:
            hours = settings["data"].pop("hours", None)
            if hours and "other_hours" not in data:
                settings["data"]["other_hours"] = hours
    return settings


def _about(about: dict[str, Any], path: Path) -> About:
    found = build(About, about, where=path)
    wer = found.wer or measured(found.paper, found.row, found.labels, found.models)
    return found.model_copy(update={"wer": wer})


def experiment_name(verb: str, recipe: str | None, model: str | None, resolved: str) -> str:
    """What an experiment is called by itself: its model, or its recipe when that chose the model.

    Args:
        verb, recipe: as given.
        model: as given on the command line.
        resolved: the model that it came to.
    """
    if recipe and not model and "model" in read(verb, recipe).settings:
        return recipe if recipe in names(verb) else Path(recipe).stem
    return Path(resolved).name


def compose(cls: type[R], verb: str, recipe: str | None, flags: dict[str, Any], sets: Sequence[str]) -> R:
    """Defaults, then the recipe, then the command line's flags, then each `--set`.

    `overrides` of the class's defaults stay in force where a recipe does not name them.
    """
    found = read(verb, recipe) if recipe else None
    layers = [found.settings if found else {}, flags, parse_sets(sets)]
    return build(cls, merge(_defaults(cls), layered(*layers)), where=found.path if found else None)


def read_config(cls: type[R], path: Path) -> R:
    """The `config.yaml` of a run; a key that it does not have, because it is older, is at its default.

    Raises:
        UsageError: missing, not YAML, or not such a config.
    """
    return build(cls, merge(_defaults(cls), read_yaml(path)), where=path)


def _defaults(cls: type[Config]) -> dict[str, Any]:
    fields = {name: field.get_default() for name, field in cls.model_fields.items() if not field.is_required()}
    return {name: value.model_dump() if hasattr(value, "model_dump") else value for name, value in fields.items()}
