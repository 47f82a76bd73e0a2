"""Recipes by name: the papers' settings as small YAML files, each only what differs from the defaults."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import sewcli
from sewcli.base.config import build, merge, parse_sets, read_yaml
from sewcli.base.errors import UsageError, nearest
from sewcli.models.config import ModelConfig
from sewcli.training.config import RunConfig

R = TypeVar("R", bound=RunConfig)
FOLDER = Path(sewcli.__file__).parent / "recipes"


def names(verb: str) -> list[str]:
    """Recipes that come with `sew` for a verb."""
    return sorted(path.stem for path in (FOLDER / verb).glob("*.yaml"))


def find(verb: str, recipe: str) -> Path:
    """The file of a recipe: a path, or a name that comes with `sew`.

    Raises:
        UsageError: neither.
    """
    known = FOLDER / verb / f"{recipe}.yaml"
    if known.is_file():
        return known
    if Path(recipe).is_file():
        return Path(recipe)
    raise UsageError(
        f"no recipe {recipe!r}{nearest(recipe, names(verb))}", mend=f"a YAML file, or one of: {', '.join(names(verb))}"
    )


def compose(cls: type[R], verb: str, recipe: str | None, flags: dict[str, Any], sets: Sequence[str]) -> R:
    """Defaults, then the recipe, then the command line's flags, then each `--set`.

    `overrides` of the class's defaults stay in force where a recipe does not name them.
    """
    path = find(verb, recipe) if recipe else None
    layers = [read_yaml(path) if path else {}, flags, parse_sets(sets)]
    fields = cls.model_fields
    defaults = {name: field.get_default() for name, field in fields.items() if not field.is_required()}
    plain = {n: v.model_dump() if hasattr(v, "model_dump") else v for n, v in defaults.items()}
    return build(cls, merge(plain, *layers), where=path)


def overridden(config: ModelConfig, overrides: dict[str, Any]) -> ModelConfig:
    """A model's config with some fields changed, checked again.

    Raises:
        UsageError: no such field, or out of range.
    """
    return build(ModelConfig, merge(config.model_dump(), overrides)) if overrides else config
