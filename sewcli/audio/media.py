"""Containers and codings that libsndfile does not know (M4A, WebM, WMA, AMR, AAC, AC-3 ...), decoded by PyAV (`sewcli[media]`).

A `MediaSound` has the face of `soundfile.SoundFile` as far as `audio/io.py` uses it. The demuxer is chosen by the first bytes
and never guessed, and is given an open file and no name, so that no playlist and no reference opens another file or an
address. Encoder delay and padding are removed as far as the container states them; nothing is resampled here.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from sewcli.audio import boxes
from sewcli.base import log
from sewcli.base.errors import DataError

if TYPE_CHECKING:
    import av

NO_PROTOCOL = {"protocol_whitelist": "none"}
SCALES = {"u8": 128.0, "s16": 32768.0, "s32": 2147483648.0, "s64": 2.0**63, "flt": 1.0, "dbl": 1.0}
TIMED = frozenset({"mov", "asf", "avi", "wv", "tta", "ape", "caf", "wav"})  # demuxers that state a track's length
MOST_MEASURED = 100_000
_MEASURED: dict[tuple[object, ...], tuple[int, int, int]] = {}  # rate, channels and samples of what was opened before
SHORT = (
    0.25  # seconds by which a track may fall short of the length that is stated: the last frame, the encoder's delay
)


def stated_seconds(file: BinaryIO, demuxer: str) -> float:
    """The length that a container states, or that ffmpeg guesses, without decoding it; 0 where there is none.

    Args:
        file: open for reading, and for going back and forth; without a name.
        demuxer: ffmpeg's name of the format.
    """
    import av

    try:
        with av.open(file, mode="r", format=demuxer, options=NO_PROTOCOL) as container:
            return max(container.duration or 0, 0) / 1e6
    except (av.error.FFmpegError, ValueError):
        return 0.0


class MediaSound:
    """One open container, read from its first sample on.

    Args:
        file: open for reading, and for going back and forth; closed by the caller.
        demuxer: ffmpeg's name of the format.
        name: of the file, for messages.
        content: what tells this content from any other: the length is counted once a process.

    Raises:
        DataError: without sound, damaged, cut off, or PyAV is not installed.
    """

    def __init__(self, file: BinaryIO, demuxer: str, name: str, content: tuple[object, ...]) -> None:
        self._file, self._demuxer, self._name = file, demuxer, name
        self.format, self.subtype = demuxer.upper(), ""
        self._held = np.zeros((0, 1), dtype=np.float32)
        self._blocks: Iterator[np.ndarray] = iter(())
        if content not in _MEASURED:
            if len(_MEASURED) > MOST_MEASURED:
                _MEASURED.clear()
            _MEASURED[content] = self.measure()
        self.samplerate, self.channels, self.frames = _MEASURED[content]
        self.seek(0)

    def seek(self, place: int) -> int:
        """Begin at a sample: everything before it is decoded and dropped."""
        self._blocks, self._held = self._decoded(self.frames), np.zeros((0, self.channels), dtype=np.float32)
        dropped = 0
        while dropped < place and len(block := self._some(place - dropped)):
            dropped += len(block)
        return dropped

    def read(self, frames: int, *, dtype: str = "float32", always_2d: bool = True) -> np.ndarray:
        """float32, shape (at most `frames`, channels)."""
        assert dtype == "float32" and always_2d
        parts = [np.zeros((0, self.channels), dtype=np.float32)]
        while frames and len(block := self._some(frames)):
            parts.append(block)
            frames -= len(block)
        return np.concatenate(parts)

    def _some(self, most: int) -> np.ndarray:
        """At most so many samples; none at the end."""
        if not len(self._held):
            self._held = next(self._blocks, self._held)
        some, self._held = self._held[:most], self._held[most:]
        return some

    def measure(self) -> tuple[int, int, int]:
        """Rate, channels and samples: everything is decoded, because no container states them to the sample."""
        if what := boxes.fault(self._file, self._demuxer):
            raise DataError("audio-truncated", what, where=self._name, hint=COPY_AGAIN)
        rate = channels = samples = longest = 0
        with self._opened() as container:
            track = self._track(container)
            stated = self._stated(container, track)
            if len(container.streams.audio) > 1:
                log.info(f"{self._name}: {len(container.streams.audio)} sound tracks, of which the first is read")
            for frame in self._frames(container, track):
                if rate and (rate, channels) != (frame.sample_rate, frame.layout.nb_channels):
                    raise DataError(
                        "audio-changes-format",
                        "its rate or its channels change on the way",
                        where=self._name,
                        hint=CONVERT,
                    )
                rate, channels = frame.sample_rate, frame.layout.nb_channels
                samples, longest = samples + frame.samples, max(longest, frame.samples)
        if not samples:
            raise DataError("no-samples", "holds no samples", where=self._name, hint=COPY_AGAIN)
        if stated is not None:
            if samples < (stated - SHORT) * rate:
                what = f"truncated: {samples / rate:.2f} of the {stated:.2f} seconds that its header states"
                raise DataError("audio-truncated", what, where=self._name, hint=COPY_AGAIN)
            if self._demuxer == "mov" and 0 < samples - round(stated * rate) < 2 * longest:
                samples = round(stated * rate)  # the last frame's padding, which its edit list leaves out
        return rate, channels, samples

    def _stated(self, container: av.container.InputContainer, track: av.audio.stream.AudioStream) -> float | None:
        """The seconds of the track that the container states; None: it states none, or ffmpeg would guess them."""
        if self._demuxer in TIMED and track.duration and track.time_base:
            return float(track.duration * track.time_base)
        if self._demuxer in ("matroska", "flv") and len(container.streams) == 1 and container.duration:
            return container.duration / 1e6
        return None

    def _decoded(self, most: int) -> Iterator[np.ndarray]:
        """Blocks of all channels, float32, shape (n, channels), `most` samples of them."""
        with self._opened() as container:
            for frame in self._frames(container, self._track(container)):
                block = _floats(frame)[:most]
                most -= len(block)
                yield block
                if not most:
                    return

    def _opened(self) -> av.container.InputContainer:
        import av

        self._file.seek(0)
        try:
            return av.open(self._file, mode="r", format=self._demuxer, options=NO_PROTOCOL)
        except (av.error.FFmpegError, ValueError) as error:
            raise self._damaged(error) from None

    def _track(self, container: av.container.InputContainer) -> av.audio.stream.AudioStream:
        tracks = container.streams.audio
        if not tracks:
            raise DataError(
                "no-sound-track", "holds no sound", where=self._name, hint="give it a file with a sound track"
            )
        return tracks[0]

    def _frames(
        self, container: av.container.InputContainer, track: av.audio.stream.AudioStream
    ) -> Iterator[av.AudioFrame]:
        import av

        try:
            yield from container.decode(track)
        except (av.error.FFmpegError, ValueError) as error:
            raise self._damaged(error) from None

    def _damaged(self, error: Exception) -> DataError:
        reason = getattr(error, "strerror", None) or str(error)
        return DataError("not-a-sound-file", f"cannot be read as sound ({reason})", where=self._name, hint=COPY_AGAIN)


COPY_AGAIN = "copy or download it again"
CONVERT = "convert it: ffmpeg -i IN OUT.wav"


def require(kind: str, name: str) -> None:
    """Make sure that PyAV is there.

    Raises:
        DataError: it is not.
    """
    try:
        import av  # noqa: F401
    except ImportError:
        convert = f"ffmpeg -i {name} {Path(name).stem}.wav" if Path(name).suffix else "ffmpeg -i IN OUT.wav"
        hint = f"pip install 'sewcli[media]', or convert it: {convert}"
        raise DataError(
            "package-missing", f"{kind}, which is read by PyAV, and that is not installed", where=name, hint=hint
        ) from None


def _floats(frame: Any) -> np.ndarray:
    """float32, shape (n, channels), in [-1, 1) of a decoded frame."""
    kind = frame.format.name.removesuffix("p")
    samples = frame.to_ndarray()
    samples = samples.T if frame.format.is_planar else samples.reshape(-1, frame.layout.nb_channels)
    if kind == "u8":
        samples = samples.astype(np.int16) - 128
    scale = SCALES[kind]
    return np.ascontiguousarray(samples / scale, dtype=np.float32)
