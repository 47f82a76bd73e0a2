"""What a corpus's transcripts say, before and after its audio is checked, and the lhotse cuts that come of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from sewcli.base.errors import UsageError
from sewcli.base.sample_rate import SAMPLE_RATE

MIX = -1  # a channel: the mean of all


class Content(Protocol):
    """Sound that is no file by itself: what a command writes, or a cell of a table. Picklable; equal where its repr is."""

    def stamp(self) -> str:
        """Changes when the sound may have changed."""

    def read(self) -> bytes:
        """The bytes of a sound file.

        Raises:
            DataError: there are none.
        """


@dataclass(frozen=True, slots=True)
class RawUtterance:
    """An utterance before its audio is checked: a stretch of one channel of a sound file. Times in seconds."""

    id: str
    path: Path
    text: str
    """Normalised: what the recogniser is to write. Empty where nobody transcribed it."""
    speaker: str
    start: float = 0.0
    end: float | None = None
    """None: to the end of the file."""
    channel: int = 0
    """From 0; MIX: the mean of all channels, where any form of sound is taken."""
    spans: tuple[tuple[float, float], ...] = ()
    """When not empty, the utterance is these stretches of the file joined, and becomes a file of its own."""
    custom: Mapping[str, Any] = field(default_factory=dict)
    """Kept in the supervision's `custom`."""
    recording: str = ""
    """A name for the sound file, unlike that of any other of the split; empty: its file name will do."""
    content: Content | None = None
    """Where the sound comes from when `path` is the name of no file."""
    language: str | None = None
    """What is spoken, where utterances of a split differ in it."""

    @property
    def stem(self) -> str:
        """The name of its recording."""
        return self.recording or self.path.stem


@dataclass(frozen=True, slots=True)
class Rejection:
    """An utterance set aside, and why."""

    id: str
    file: Path
    reason: str


@dataclass(frozen=True)
class ParsedTranscripts:
    """What the transcripts of one split say."""

    candidates: list[RawUtterance] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    """Segments that the corpus's own rules leave out, by reason: no fault of anybody's."""
    changes: Counter[str] = field(default_factory=Counter)
    """Texts that each rule of normalisation changed, by the name of the rule."""


@dataclass(frozen=True)
class Published:
    """The published counts of a split; None where none was published."""

    utterances: int | None
    hours: float | None
    speakers: int | None
    hours_tolerance: float = 0.25
    """Published hours are rounded, and those of LibriSpeech's two "other" test sets stand swapped."""
    parts: Mapping[str, int] = field(default_factory=dict)
    """Utterances of each part of the split, known by how their ids begin."""

    def figures(self) -> dict[str, float | None]:
        """By name, in the order of a table."""
        whole = {"utterances": self.utterances, "hours": self.hours, "speakers": self.speakers}
        return {**whole, **{f"utterances {begin}*": count for begin, count in self.parts.items()}}


@dataclass(frozen=True)
class Split:
    """One split to prepare."""

    name: str
    folder: Path
    """All its input files are below it."""
    read: Callable[[Path], ParsedTranscripts]
    published: Published | None
    choice: str = ""
    """What of the folder is read, when not all of it: another choice is prepared again."""
    rate: int | None = SAMPLE_RATE
    """What its sound files must have, in Hz. None: any form of sound is taken; what is not a mono WAV or FLAC file at 16 kHz
    is converted to one at `audio/<split>/<recording>.flac` (`-A.flac`, `-B.flac` of one channel)."""
    convert: bool = False
    """Decode each channel once, and write it at 16 kHz to `audio/<split>/<stem>-<A|B>.flac`."""
    language: str | None = "English"
    """What is spoken; None where the corpus does not say."""
    score: Mapping[str, Sequence[Path]] = field(default_factory=dict)
    """What it is scored against, by suffix: these files, one after the other, become `score/<split><suffix>`."""
    inputs: Sequence[Path] | None = None
    """Its input files, where they are not all that is below `folder`."""
    given: tuple[str, ...] = ()
    """What one's own data were read from: other splits that come of it are no longer true."""
    text_rules: str | None = None
    """The name of the rules that made its texts, where they were chosen."""

    @property
    def converts(self) -> bool:
        """Whether files are made of its channels."""
        return self.convert or self.rate is None


@dataclass(frozen=True, slots=True)
class PreparedUtterance:
    """An utterance that can be used: `samples` of one channel of a 16 kHz file, from sample `start` on."""

    id: str
    path: Path
    recording: str
    length: int  # samples of the whole file
    start: int
    samples: int
    text: str
    speaker: str
    custom: Mapping[str, Any]
    language: str | None = None


def cut_rows(pieces: Iterable[PreparedUtterance], root: Path | None, language: str | None) -> Iterator[dict[str, Any]]:
    """Rows of a lhotse manifest: one MonoCut an utterance, with its recording and its one supervision.

    Args:
        pieces: the utterances.
        root: paths are written relative to this folder; None writes absolute ones.
        language: what is spoken; None writes none.

    Raises:
        UsageError: a sound file is not below `root`.
    """
    from lhotse import MonoCut, Recording, SupervisionSegment  # imported late: it takes seconds, and torch with it
    from lhotse.audio import AudioSource

    for piece in pieces:
        duration = piece.samples / SAMPLE_RATE
        recording = Recording(
            id=piece.recording,
            sources=[AudioSource("file", [0], _written(piece.path, root))],
            sampling_rate=SAMPLE_RATE,
            num_samples=piece.length,
            duration=piece.length / SAMPLE_RATE,
        )
        supervision = SupervisionSegment(
            id=piece.id,
            recording_id=piece.recording,
            start=0.0,
            duration=duration,
            channel=0,
            text=piece.text,
            language=piece.language or language,
            speaker=piece.speaker or None,
            custom=dict(piece.custom) or None,
        )
        start = piece.start / SAMPLE_RATE
        yield MonoCut(
            id=piece.id, start=start, duration=duration, channel=0, supervisions=[supervision], recording=recording
        ).to_dict()


def _written(path: Path, root: Path | None) -> str:
    absolute = path.absolute()
    if root is None:
        return str(absolute)
    try:
        return str(absolute.relative_to(root.absolute()))
    except ValueError:
        raise UsageError(
            "not-below-root",
            "a sound file is not below --root",
            where=absolute,
            hint=f"give a folder that holds it, not {root}",
        ) from None
