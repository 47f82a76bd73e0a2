"""Learning rates and temperatures as pure functions of the number of updates done.

fairseq's polynomial_decay (power 1) and tri_stage, and the Gumbel temperature of wav2vec 2.0 section 2.
"""

from __future__ import annotations

import math

from sewcli.training.config import LinearSchedule, PolynomialSchedule, TemperatureConfig, TriStageSchedule


def polynomial(done: int, peak: float, schedule: PolynomialSchedule) -> float:
    """Linear 0 -> `peak` over the warm-up, then linear to 0 at `decay_updates`. The first update uses one warm-up step."""
    done = max(done, 1)
    if done <= schedule.warmup_updates:
        return peak * done / schedule.warmup_updates
    if done >= schedule.decay_updates:
        return 0.0
    return peak * (schedule.decay_updates - done) / (schedule.decay_updates - schedule.warmup_updates)


def tri_stage(done: int, peak: float, schedule: TriStageSchedule, updates: int) -> float:
    """Linear start_scale -> 1, constant, exponential to end_scale at `updates`."""
    warmup, hold = int(updates * schedule.warmup), int(updates * schedule.hold)
    decay = max(1, updates - warmup - hold)
    if done < warmup:
        return peak * (schedule.start_scale + (1 - schedule.start_scale) * done / warmup)
    if done < warmup + hold:
        return peak
    return peak * math.exp(math.log(schedule.end_scale) * min(done - warmup - hold, decay) / decay)


def linear(done: int, peak: float, schedule: LinearSchedule, updates: int) -> float:
    """Linear `start` -> `peak` over the warm-up, then linear to 0 at `updates`. From 0, the first update is a step up."""
    warmup = int(updates * schedule.warmup)
    if done < warmup:
        past = done if schedule.start else max(done, 1)
        return peak * (schedule.start + (1 - schedule.start) * past / warmup)
    return peak * (updates - done) / max(updates - warmup, 1)


def temperature(done: int, config: TemperatureConfig) -> float:
    """Gumbel temperature after `done` updates."""
    return max(config.start * config.decay**done, config.end)
