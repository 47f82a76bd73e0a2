"""What of a run's config can be checked without running it (`--print-config`): the model's name, its overrides, the data.

A mistake that would end a queued job in its first second is found where it was typed.
"""

from __future__ import annotations

from pathlib import Path

from sewcli.base import log
from sewcli.models.source import is_model
from sewcli.models.zoo import lookup, overridden
from sewcli.training.amounts import training_splits
from sewcli.training.config import DataConfig, RunConfig


def check_run(config: RunConfig) -> None:
    """Check a training's config; that nothing is prepared yet at the place where data are by default is only a warning.

    Raises:
        UsageError: no such model, overrides that do not fit it, or splits that are not there.
        DataError: a model's folder is broken.
    """
    if not is_model(config.model):
        overridden(lookup(config.model), config.overrides)
    elif Path(config.model).exists():
        from sewcli.models.opening import open_source

        overridden(open_source(config.model).config, config.overrides)
    if Path(config.data.dir).is_dir() or config.data.dir != DataConfig().dir:
        training_splits(config.data)
    else:
        log.warn(f"{config.data.dir}: nothing is prepared here yet, so the splits are not checked")
