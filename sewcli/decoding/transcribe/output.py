"""Where transcripts go: stdout, or a folder with a file for each recording and form, written as it goes.

A file has its name only when it is whole; until then it is a temporary sibling, which a kill may leave and the next run
removes. `OUT/.transcribed/` keeps a mark of each recording that is done, written last: with the same settings it is not done
again, and a file that no mark tells of is never overwritten.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from sewcli.audio.streams import PIPE, is_pipe, name_of
from sewcli.base.config import Config, build
from sewcli.base.errors import DataError, SewError
from sewcli.base.files import TEMPORARY, atomic_path, explain_os_error, read_json, write_json
from sewcli.decoding.transcribe.forms import ENDINGS, Form, Voice, make
from sewcli.decoding.transcribe.inputs import Recording
from sewcli.decoding.transcribe.words import Line

MARKS = ".transcribed"


class Mark(Config):
    """What a finished recording leaves: it, a digest of its state and the settings, and the files that were written."""

    source: str = ""
    inputs: str = ""
    channels: int | None = None
    files: tuple[str, ...] = ()


class Sheet:
    """The transcripts of one recording in the making: a voice's lines go to its forms."""

    def __init__(self, voices: Sequence[Sequence[tuple[Form, TextIO]]]) -> None:
        self._voices = voices

    def line(self, voice: int, line: Line) -> None:
        """A line is final."""
        for form, file in self._voices[voice]:
            _put(file, form.line(line))

    def close(self, seconds: float) -> None:
        """There is no more."""
        for voice in self._voices:
            for form, file in voice:
                _put(file, form.close(seconds))


@dataclass(frozen=True)
class Stdout:
    """Transcripts of one form on stdout.

    Args:
        form: a key of ENDINGS.
        file: stdout, as it was before any progress bar took it.
        labelled: whether a plain text says whose each line is.
    """

    form: str
    file: TextIO
    labelled: bool

    def is_done(self, recording: Recording) -> bool:
        """Never."""
        return False

    @contextmanager
    def sheet(self, recording: Recording, channels: int | None) -> Iterator[Sheet]:
        """A sheet for a recording; `channels` are those that get a transcript each, None mixes them."""
        numbers = [None] if channels is None else range(1, channels + 1)
        labelled = self.labelled or channels is not None
        yield Sheet([[(make(self.form, _voice(recording, n, labelled)), self.file)] for n in numbers])


@dataclass(frozen=True)
class Folder:
    """Transcripts in a folder.

    Args:
        path: the folder.
        forms: keys of ENDINGS.
        settings: a digest of all that decides the words.
        force: do again what is done, and overwrite whatever is there.
    """

    path: Path
    forms: Sequence[str]
    settings: str
    force: bool

    def is_done(self, recording: Recording) -> bool:
        """Whether all files are there, made of the same recording with the same settings."""
        mark = self._mark(recording)
        if self.force or is_pipe(recording.source) or mark.inputs != self._inputs(recording):
            return False
        paths = self._paths(recording, mark.channels)
        return self._names(paths) <= set(mark.files) and all(path.is_file() for path in paths)

    @contextmanager
    def sheet(self, recording: Recording, channels: int | None) -> Iterator[Sheet]:
        """A sheet for a recording.

        Raises:
            DataError: a file is in the way.
            UsageError: the folder cannot be written, or the disk is full.
        """
        mark, inputs = self._mark(recording), self._inputs(recording)
        paths = self._paths(recording, channels)
        own = set(mark.files) if mark.source == _absolute(recording) else set()
        for path in paths:
            _remove_left(path)
            if path.exists() and not self._names([path]) <= own and not self.force:
                raise DataError(
                    f"its transcript {path} would overwrite a file that is not of it",
                    where=recording.source,
                    mend="another --out, or --force to overwrite",
                )
        with ExitStack() as stack:
            files = iter([stack.enter_context(_writing(path)) for path in paths])
            numbers = [None] if channels is None else range(1, channels + 1)
            yield Sheet([[(make(form, _voice(recording, n)), next(files)) for form in self.forms] for n in numbers])
        made = tuple(sorted(self._names(paths) | (own if mark.inputs == inputs else set())))
        new = Mark(source=_absolute(recording), inputs=inputs, channels=channels, files=made)
        write_json(self._mark_path(recording), new.model_dump())

    def _paths(self, recording: Recording, channels: int | None) -> list[Path]:
        """The files of every channel and form, in that order."""
        parts = [""] if channels is None else [f".{number}" for number in range(1, channels + 1)]
        place = self.path / recording.place
        return [place.with_name(f"{place.name}{part}{ENDINGS[form]}") for part in parts for form in self.forms]

    def _mark_path(self, recording: Recording) -> Path:
        place = self.path / MARKS / recording.place
        return place.with_name(f"{place.name}.json")

    def _names(self, paths: Sequence[Path]) -> set[str]:
        return {str(path.relative_to(self.path)) for path in paths}

    def _mark(self, recording: Recording) -> Mark:
        """What is known of an earlier run."""
        try:
            return build(Mark, read_json(self._mark_path(recording)), where=str(self._mark_path(recording)))
        except SewError:
            return Mark()

    def _inputs(self, recording: Recording) -> str:
        """A digest of the recording's state and the settings."""
        try:
            facts = Path(recording.source).stat()
            state = f"{facts.st_size} {facts.st_mtime_ns}"
        except OSError:
            state = ""
        return hashlib.sha256(json.dumps([self.settings, _absolute(recording), state]).encode()).hexdigest()


def _voice(recording: Recording, channel: int | None, labelled: bool = False) -> Voice:
    return Voice(name_of(recording.source), name_of(recording.title), channel, labelled)


def _absolute(recording: Recording) -> str:
    return recording.source if recording.source == PIPE else str(Path(recording.source).absolute())


@contextmanager
def _writing(path: Path) -> Iterator[TextIO]:
    with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
        yield file


def _remove_left(path: Path) -> None:
    """What a killed run has left of a file; not what another one is writing into a file of a longer name."""
    whole = re.compile(rf"{re.escape(TEMPORARY)}\d+-{re.escape(path.name)}")
    for left in path.parent.glob(f"{TEMPORARY}*"):
        if whole.fullmatch(left.name):
            left.unlink(missing_ok=True)


def _put(file: TextIO, text: str) -> None:
    """Write at once: lines are read while the recording goes on."""
    if not text:
        return
    try:
        file.write(text)
        file.flush()
    except BrokenPipeError:  # nobody reads any more, which is no fault
        raise
    except OSError as error:
        if file is sys.stdout:  # what is in its buffer still would fail again at the end, with another exit code
            os.dup2(os.open(os.devnull, os.O_WRONLY), file.fileno())
        raise explain_os_error(error, file.name) from error
