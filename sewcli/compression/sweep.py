"""`sew distill`: one student after another, each a run of its own, and a table of them beside their teacher.

Runs that are done are passed over and one that was stopped goes on, so the same command may be given again at any time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sewcli.artifacts.experiment_folder import MODEL
from sewcli.base import dist, log
from sewcli.base.device import choose_device
from sewcli.base.errors import PartialError
from sewcli.compression import distill
from sewcli.compression.config import DistillConfig
from sewcli.compression.student import require_depths
from sewcli.compression.table import Decoding, compare, require_comparable, write_table


@dataclass
class Sweep:
    """rows: of the table; dry_runs: what each took; partial: audio was passed over."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    dry_runs: list[str] = field(default_factory=list)
    partial: PartialError | None = None


def sweep(
    config: DistillConfig,
    layers: Sequence[int],
    prefix: Path,
    device_name: str,
    decoding: Decoding,
    beside: Mapping[str, Path],
    *,
    dry: bool = False,
) -> Sweep:
    """Distil a student of each depth, and tell how they compare.

    Args:
        config: of every run, but for its depth.
        layers: depths; none: one student of its model's own depth.
        prefix: `exp/NAME`; runs are `exp/NAME-L8` (or `exp/NAME`), the table `exp/NAME.json` and `exp/NAME.md`.
        device_name: auto, cpu, cuda or cuda:N.
        decoding: what the error rates are of.
        beside: other models for the table, by name.
        dry: one update of the largest batches of each, nothing written.

    Raises:
        SewError: whatever is missing, with the command that comes first.
    """
    depths: list[int | None] = [*layers] or [config.layers]
    device = choose_device(device_name)
    require_depths(config, depths)
    require_comparable([Path(config.teacher), *beside.values()], decoding, device)
    dist.start(device)
    runs = {depth: prefix if depth is None else prefix.with_name(f"{prefix.name}-L{depth}") for depth in depths}
    done = Sweep()
    for depth, exp in runs.items():
        try:
            shown = distill.run(config.model_copy(update={"layers": depth}), exp, device, dry=dry)
            done.dry_runs += [shown] if shown else []
        except PartialError as error:  # of audio that was passed over; the other students come all the same
            done.partial = error
    many = dist.world_size() > 1
    dist.stop()
    if many and not dry:
        log.info("the table: the same command without torchrun, which finds the students done")
    elif not dry:
        models = {"teacher": Path(config.teacher), **{exp.name: exp / MODEL for exp in runs.values()}, **beside}
        done.rows = compare(models, decoding, device)
        write_table(done.rows, decoding.lm, prefix)
    return done
