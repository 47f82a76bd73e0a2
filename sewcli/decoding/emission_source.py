"""Where the emissions of a split come from: the model, or what it put out before and was kept.

Kept emissions are used only when they are of the very weights and cuts, of all utterances, and in float32: hypotheses are
then the same to the last digit. Shapes: T frames, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sewcli.artifacts.digest import digest, file_marks, model_digest, model_marks
from sewcli.artifacts.folder_names import Owner, owner
from sewcli.base import log
from sewcli.base.errors import SewError
from sewcli.data.utterances import Utterance, manifests
from sewcli.decoding.emission_cache import FloatType, find_kept, keep, kept_folder
from sewcli.decoding.emissions import Clock, OnFailure, emissions
from sewcli.runtimes.recogniser import Recogniser

Stream = Iterator[tuple[Utterance, np.ndarray]]


@dataclass(frozen=True)
class Run:
    """The model's time in this process, and before it; and facts of its run for decode.json."""

    clock: Clock
    facts: dict[str, Any]
    before: float = 0.0


@dataclass
class EmissionSource:
    """Emissions of a split, or of a shard of it.

    recogniser: what makes them. data, split: what of. utterances: of the split or shard. out: where they are kept.
    """

    recogniser: Recogniser
    data: Path
    split: str
    utterances: list[Utterance]
    out: Path
    shard: tuple[int, int] = (1, 1)
    inputs: str = field(init=False)  # digest of weights and cuts
    folder: Path = field(init=False)  # where they are kept

    def __post_init__(self) -> None:
        cuts, weights = file_marks(manifests(self.data, self.split)), model_marks(self.recogniser.weights)
        self.inputs = digest(*cuts, *weights, *self.recogniser.options.marks())
        self._of = owner_of(self.recogniser, self.data, self.split)
        self.folder = kept_folder(self.out, self.data, self.split, self._of)
        self._kept = find_kept(self.folder, self.inputs, self.utterances, self.shard)

    def lacks(self, kind: FloatType | None) -> bool:
        """Whether emissions of this type are wanted and not kept yet."""
        return kind is not None and (self._kept is None or self._kept.types != {kind})

    @contextmanager
    def opened(
        self, fail: OnFailure, kind: FloatType | None = None, done: Collection[str] | None = None
    ) -> Iterator[tuple[Stream, Run]]:
        """A stream of the emissions, the longest first.

        Args:
            fail: told of utterances whose audio cannot be used.
            kind: keep them in this type, for those who come later.
            done: ids that are not asked for any more (and run only to be kept, where they are not); None: those that are
                kept.
        """
        kept = self._kept
        if kept and not self.lacks(kind) and kept.types == {"float32"}:
            log.info(f"{self.split}: the model's output is kept in {kept.folder}, and is not computed again")
            wanted = [u for u in self.utterances if not done or u.id not in done]
            yield kept.read(wanted), Run(Clock(), kept.facts, kept.model_seconds)
            return
        model = self.recogniser.start()
        run = Run(Clock(), model.facts())
        if kind is None:
            yield emissions(model, self.utterances, on_failure=fail, clock=run.clock, done=done or ()), run
            return
        failed: list[str] = []

        def failing(utterance: Utterance, error: SewError) -> None:
            failed.append(utterance.id)
            fail(utterance, error)

        with keep(self.folder, self.shard, self.inputs, kind, self._of) as writer:
            there = writer.done if done is None else writer.done & set(done)
            stream = emissions(model, self.utterances, on_failure=failing, clock=writer.clock, done=there)
            yield writer.keeping(stream), Run(writer.clock, run.facts)
            writer.facts = {**run.facts, "failed": failed}


def owner_of(recogniser: Recogniser, data: Path, split: str, lm: Path | None = None) -> Owner:
    """What a folder is of, for `places.choose`."""
    cuts, weights = digest(*file_marks(manifests(data, split))), model_digest(recogniser.weights)
    return owner(data, split, cuts=cuts, model=recogniser.weights, weights=weights, lm=lm)
