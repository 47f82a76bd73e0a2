"""Audio that lhotse computes when it is read: transforms of a recording (speed, volume, reverberation, ...) and mixtures.

lhotse's own code does the work, so the samples are those of `cut.load_audio()`. Files are read by `sewcli.audio` alone: a
truncated file is an error here too, nothing is fetched, and no program is run, which lhotse's readers do for some formats.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from sewcli.audio.io import read_wave
from sewcli.base.errors import DataError
from sewcli.base.sample_rate import SAMPLE_RATE
from sewcli.data.cuts import MIXED, TOLERANCE, Row, Unsupported, opened, samples_of, transforms_of, without

LONGEST = 24 * 3600.0  # seconds of a mixture, whose padding needs no file
FURTHEST = 100  # times one rate may be another
LARGEST_FILTER = 1 << 29  # numbers: 2 GB
NEEDS_NOTHING = ("Speed", "Resample", "Volume", "ReverbWithImpulseResponse", "Clipping", "Compress")
NOT_HEARD = ("supervisions", "custom", "features")  # of a cut: its samples do not depend on them


def recipe(row: Row, root: Path) -> tuple[bytes, Path]:
    """What `derived_wave` needs of a cut, and the first of its files.

    Args:
        row: lhotse's manifest of it.
        root: what relative paths begin with.

    Raises:
        Unsupported: a transform that lhotse does not know or that cannot run here, or a source that is not a file.
    """
    _require_transforms(row)
    kept = json.loads(json.dumps(without(row, NOT_HEARD)))
    kept.pop("id", None)  # the same audio under another name is the same recipe
    files = [_locate(source, root) for source in _sources(kept)]
    if not files:
        raise Unsupported("a cut without a recording", "remove it: it has no audio")
    return json.dumps(kept, separators=(",", ":")).encode(), files[0]


def derived_wave(prescription: bytes, samples: int, where: str) -> np.ndarray:
    """The audio of a cut, as lhotse computes it.

    Args:
        prescription: of `recipe`.
        samples: how many there are.
        where: the utterance, for messages.

    Returns:
        float32, shape (samples,).

    Raises:
        DataError: a file cannot be read, or lhotse cannot compute this.
    """
    failures: list[DataError] = []
    try:
        cut = opened(json.loads(prescription))
        for each in [track.cut for track in cut.tracks] if hasattr(cut, "tracks") else [cut]:
            if getattr(each, "recording", None) is not None:
                each.recording = _reading_here(each.recording, failures)
        loaded = cut.load_audio()
    except Exception as error:  # lhotse raises what it likes, with a copy of the whole manifest in the message
        if failures:
            raise failures[0] from None
        reason = str(error).partition("\n")[0][:120] or type(error).__name__
        raise DataError(
            "derived-audio-failed",
            f"lhotse cannot compute this audio ({reason})",
            where=where,
            hint="see what cut.load_audio() says",
        ) from None
    if loaded is None or loaded.shape != (1, samples):
        shape = None if loaded is None else loaded.shape
        raise DataError(
            "derived-audio-failed", f"lhotse gives {shape} channels and samples, not (1, {samples})", where=where
        )
    wave = np.ascontiguousarray(loaded[0], dtype=np.float32)
    if not np.isfinite(wave).all():
        raise DataError("nan-samples", "its transforms give samples that are NaN or infinite", where=where)
    return wave


def rate_and_samples(row: Row) -> tuple[int, int, int]:
    """(rate in Hz, first sample, samples) of a cut.

    Raises:
        Unsupported: a mixture of more than a day.
    """
    if row.get("type") == MIXED:
        cut = opened(row)
        if not 0 < cut.duration <= LONGEST:
            raise Unsupported(f"a mixture of {cut.duration:.0f} s", f"cut it: it may have {LONGEST:.0f} s")
        if cut.sampling_rate <= 0:
            raise ValueError(f"a rate of {cut.sampling_rate} Hz")
        return int(cut.sampling_rate), 0, int(cut.num_samples)
    rate = int(row["recording"]["sampling_rate"])
    return rate, samples_of(row["start"], rate), samples_of(row["duration"], rate)


def _sources(value: Any) -> Iterator[Row]:
    """All sources of audio in a cut, those of impulse responses too."""
    if isinstance(value, dict):
        if isinstance(found := value.get("sources"), list):
            yield from found
        for each in value.values():
            yield from _sources(each)
    elif isinstance(value, list):
        for each in value:
            yield from _sources(each)


def _locate(source: Row, root: Path) -> Path:
    if source["type"] != "file":
        raise Unsupported(*of_source(source["type"]))
    path = root / str(source["source"])
    source["source"] = str(path)
    return path


def of_source(kind: object) -> tuple[str, str]:
    """Why a source of audio is refused, and what to do."""
    if kind == "command":
        return "its audio is the output of a command, and none is run", "write it to files: CutSet.save_audios"
    return f"a source of type {kind!r:.40} is not read, only files", "write the audio to files: CutSet.save_audios"


def _require_transforms(row: Row) -> None:
    for transform in transforms_of(row):
        name, options = transform["name"], transform.get("kwargs") or {}
        _require_filter(name, options, row)
        if reason := _reason(str(name), str(options.get("codec", ""))):
            raise Unsupported(reason, "write the audio of these cuts where it can be computed: CutSet.save_audios")
        if name == "ReverbWithImpulseResponse" and options.get("rir") is None:
            raise Unsupported(
                "a generated impulse response, which lhotse draws from torch's own random numbers: other audio each time",
                "give reverb_rir a recording of an impulse response, or write the audio: CutSet.save_audios",
            )


def _require_filter(name: str, options: Row, row: Row) -> None:
    """Refuse rates whose common divisor is so small that lhotse's filter for them would fill the memory."""
    if name == "Resample":
        rates = int(options["source_sampling_rate"]), int(options["target_sampling_rate"])
    elif name in ("Speed", "Tempo"):
        rate = int((row.get("recording") or {}).get("sampling_rate", SAMPLE_RATE))
        rates = round(rate * float(options["factor"])), rate
    else:
        return
    if min(rates) <= 0 or max(rates) > FURTHEST * min(rates):
        raise Unsupported(f"{name} from {rates[0]} to {rates[1]} Hz", "make the manifest again")
    source, target = (rate // math.gcd(*rates) for rate in rates)
    width = math.ceil(6 * source / (0.99 * min(source, target)))
    if (numbers := target * (source + 2 * width)) > LARGEST_FILTER:
        raise Unsupported(
            f"{name} from {rates[0]} to {rates[1]} Hz: lhotse's filter for it has {numbers:,} numbers",
            "take a rate or factor with a larger common divisor, e.g. a factor of two decimals",
        )


@cache
def _reason(name: str, codec: str) -> str:
    """Why a transform cannot be applied here; nothing where it can."""
    from lhotse.augmentation import AudioTransform

    if name not in AudioTransform.KNOWN_TRANSFORMS:
        return f"the transform {name!r:.60} is not one of lhotse's"
    if name in NEEDS_NOTHING:
        return ""
    options: dict[str, dict[str, Any]] = {
        "Tempo": {"factor": 1.1},
        "LoudnessNormalization": {"target": -20.0},
        "Narrowband": {"codec": codec, "source_sampling_rate": SAMPLE_RATE, "restore_orig_sr": True},
    }
    noise = np.random.default_rng(0).normal(0, 0.1, (1, SAMPLE_RATE)).astype(np.float32)
    try:
        AudioTransform.from_dict({"name": name, "kwargs": options.get(name, {})})(noise, SAMPLE_RATE)
    except Exception as error:  # a package that is missing, or too new
        return f"lhotse's transform {name} cannot be applied here ({str(error).partition(chr(10))[0][:120]})"
    return ""


def _reading_here(recording: Any, failures: list[DataError]) -> Any:
    """A recording whose files are read by `read_wave`, and whose impulse responses are, too."""
    from lhotse.audio import AudioSource
    from lhotse.augmentation import AudioTransform
    from lhotse.utils import fastcopy

    transforms = [
        each if isinstance(each, AudioTransform) else AudioTransform.from_dict(each)
        for each in recording.transforms or ()
    ]
    rate, offset, duration = recording.sampling_rate, 0.0, recording.duration
    for transform in reversed(transforms):
        offset, duration = transform.reverse_timestamps(offset, duration, recording.sampling_rate)
        rate = getattr(transform, "source_sampling_rate", rate)
    for transform in transforms:
        if (response := getattr(transform, "rir", None)) is not None:
            if hasattr(response, "recording"):
                response.recording = _reading_here(response.recording, failures)
            else:
                transform.rir = _reading_here(response, failures)
    sources = []
    for source in recording.sources:
        reading = AudioSource(source.type, source.channels, source.source)
        reading.load_audio = partial(_read, Path(source.source), len(source.channels), int(rate), duration, failures)
        sources.append(reading)
    return fastcopy(recording, sources=sources, transforms=transforms)


def _read(
    path: Path,
    channels: int,
    rate: int,
    promised: float,
    failures: list[DataError],
    offset: float = 0.0,
    duration: float | None = None,
    **_: object,
) -> np.ndarray:
    """In the place of `AudioSource.load_audio`: float32, shape (channels, samples)."""
    start, short = samples_of(offset, rate), samples_of(TOLERANCE, rate)
    wanted = None if duration is None else samples_of(duration, rate)
    try:
        waves = [
            read_wave(path, start=start, samples=wanted, channel=n, rate=rate, short=short) for n in range(channels)
        ]
        lacking = samples_of(promised, rate) - start - len(waves[0]) if wanted is None else 0
        if lacking > short:
            raise DataError(
                "audio-truncated",
                f"{len(waves[0]):,} samples, {lacking:,} fewer than the manifest says",
                where=path,
                hint="copy it again, or make the manifest again",
            )
    except DataError as error:
        failures.append(error)
        raise
    return np.stack(waves)
