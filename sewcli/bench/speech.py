"""What is recognised while the clock runs: noise of dev-clean's lengths, or the cuts of a prepared split.

The SEW paper times LibriSpeech dev-clean (section 4.1, table 6). A recogniser takes as long for noise as for speech, so the
lengths are enough: evenly spaced quantiles of a log-normal distribution with dev-clean's mean and deviation, shortest and
longest utterance. S samples at 16 kHz.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist

import numpy as np

from sewcli.base.errors import DataError, UsageError
from sewcli.base.rng import numpy_rng
from sewcli.base.sample_rate import SAMPLE_RATE
from sewcli.data.utterances import Utterance, check_rate, read_split

DEV_CLEAN = {"utterances": 2703, "mean": 7.18, "deviation": 4.6, "shortest": 1.45, "longest": 32.65}  # seconds
FITTING = 50  # rounds, until mean and deviation after the cut at both ends are right
LEVEL = 0.1  # of the noise


@dataclass(frozen=True)
class Speech:
    """A set of utterances. title: for tables; samples: of each; cuts: with their audio, if it is real; split: its name."""

    title: str
    samples: list[int]
    cuts: list[Utterance] | None = None
    split: str | None = None

    @property
    def seconds(self) -> float:
        """Of all, without padding."""
        return sum(self.samples) / SAMPLE_RATE

    @property
    def references(self) -> list[str] | None:
        """Transcripts, if every utterance has one."""
        texts = [cut.text for cut in self.cuts or []]
        return texts if texts and all(texts) else None

    def wave(self, index: int) -> np.ndarray:
        """An utterance (S,), float32.

        Raises:
            DataError: its audio cannot be used.
        """
        if self.cuts is None:
            return numpy_rng(0, "noise", index).normal(0, LEVEL, self.samples[index]).astype(np.float32)
        check_rate(self.cuts[index])
        return self.cuts[index].wave()


def dev_clean(share: float) -> Speech:
    """Noise of the lengths of a share of dev-clean.

    Raises:
        UsageError: not a share.
    """
    if not 0 < share <= 1:
        raise UsageError(
            "invalid-share", f"--share {share:g} is not a share of dev-clean", hint="more than 0, at most 1"
        )
    count = max(1, round(share * DEV_CLEAN["utterances"]))
    lengths = [round(seconds * SAMPLE_RATE) for seconds in _quantiles(count)]
    part = "dev-clean" if share == 1 else f"{100 * share:.3g} % of dev-clean"
    return Speech(
        f"noise of the lengths of {part}: {count} utterances, {sum(lengths) / SAMPLE_RATE / 60:.1f} min", lengths
    )


def real_cuts(data: Path, split: str, share: float) -> Speech:
    """A share of a prepared split: every so manieth utterance of those in order of length.

    Raises:
        UsageError: no such split, or not a share.
        DataError: the manifest is broken or empty.
    """
    if not 0 < share <= 1:
        raise UsageError("invalid-share", f"--share {share:g} is not a share of {split}", hint="more than 0, at most 1")
    cuts = sorted(read_split(data, split), key=lambda cut: (cut.samples, cut.id))
    if not cuts:
        raise DataError("no-utterances", "no utterances", where=data)
    count = max(1, round(share * len(cuts)))
    chosen = [cuts[int((place + 0.5) * len(cuts) / count)] for place in range(count)]
    part = split if share == 1 else f"{100 * share:.3g} % of {split}"
    minutes = sum(cut.seconds for cut in chosen) / 60
    return Speech(f"{part}: {count} utterances, {minutes:.1f} min", [cut.samples for cut in chosen], chosen, split)


def _quantiles(count: int) -> np.ndarray:
    """Lengths in seconds, the shortest first."""
    normal = np.array([NormalDist().inv_cdf((place + 0.5) / count) for place in range(count)])
    many = np.array([NormalDist().inv_cdf((place + 0.5) / 2703) for place in range(2703)])
    middle, spread = np.log(DEV_CLEAN["mean"]), 0.5
    for _ in range(FITTING):
        lengths = _cut(middle + spread * many)
        middle += np.log(DEV_CLEAN["mean"] / lengths.mean())
        spread *= DEV_CLEAN["deviation"] / lengths.std()
    return _cut(middle + spread * normal)


def _cut(logarithms: np.ndarray) -> np.ndarray:
    lengths: np.ndarray = np.exp(logarithms).clip(DEV_CLEAN["shortest"], DEV_CLEAN["longest"])
    return lengths
