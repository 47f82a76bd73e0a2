"""Where transcripts go: stdout, or a folder with a file for each recording and form, written as it goes.

A file has its name only when it is whole; until then it is a temporary sibling, which a kill may leave and the next run
removes. `OUT/.transcribed/` keeps a mark of each recording: what is going to be written, before any file gets its name, and
that it is done, after. So whatever a kill leaves, the same command can do again; with the same settings what is done is not,
and a file that no mark tells of is never overwritten. A lock beside the mark keeps two processes off one recording.
"""

from __future__ import annotations

import errno
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from sewcli.artifacts.digest import settings_digest
from sewcli.audio.streams import PIPE, is_pipe, name_of
from sewcli.base.config import Config, build
from sewcli.base.errors import DataError, SewError, UsageError
from sewcli.base.files import TEMPORARY, explain_os_error, os_errors_as_usage_errors, read_json, sync, write_json
from sewcli.base.lock import held
from sewcli.transcription.formats import ENDINGS, Channel, Format, make
from sewcli.transcription.inputs import Recording
from sewcli.transcription.words import Line

MARKS = ".transcribed"


class Mark(Config):
    """What is known of a recording.

    inputs: a digest of its state and the settings that `files` were made with, empty while they are being written. older: its
    files that were made with others, or are being written.
    """

    source: str = ""
    inputs: str = ""
    channels: int | None = None
    files: tuple[str, ...] = ()
    older: tuple[str, ...] = ()


class TranscriptWriter:
    """The transcripts of one recording in the making: a voice's lines go to its forms."""

    def __init__(self, voices: Sequence[Sequence[tuple[Format, TextIO]]]) -> None:
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
    def alone(self, recording: Recording) -> Iterator[None]:
        """Others may write to their own stdout."""
        yield

    @contextmanager
    def writer(self, recording: Recording, channels: int | None) -> Iterator[TranscriptWriter]:
        """A writer for a recording; `channels` are those that get a transcript each, None mixes them."""
        numbers = [None] if channels is None else range(1, channels + 1)
        labelled = self.labelled or channels is not None
        yield TranscriptWriter([[(make(self.form, _voice(recording, n, labelled)), self.file)] for n in numbers])


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
    def alone(self, recording: Recording) -> Iterator[None]:
        """Be the only process at this recording; others that write into this folder are waited for when they have it.

        Raises:
            DataError: a recording of a pipe, which cannot wait, has the place of one that is at work.
        """
        lock, name = self._mark_path(recording).with_suffix(".lock"), name_of(recording.source)
        busy = f"{name}: another sew transcribe is at it, or at one of that name"
        with ExitStack() as stack:
            stack.callback(_remove_empty, lock.parent, self.path / MARKS)
            try:
                with _naming(recording):
                    stack.enter_context(held(lock, busy=busy, wait=not is_pipe(recording.source)))
            except UsageError as error:
                if error.what != busy:
                    raise
                raise DataError(
                    "folder-locked", "another sew transcribe writes to this name", where=name, hint="another --out"
                ) from None
            yield

    @contextmanager
    def writer(self, recording: Recording, channels: int | None) -> Iterator[TranscriptWriter]:
        """A writer for a recording; its files get their names together, when all are whole.

        Raises:
            DataError: a file is in the way, or no file can have such a name.
            UsageError: the folder cannot be written, or the disk is full.
        """
        paths = self._paths(recording, channels)
        with _naming(recording):
            for path in (*paths, self._mark_path(recording)):
                _remove_left(path)
            self._require_own(recording, paths)
        temporaries = [path.with_name(f"{TEMPORARY}{os.getpid()}-{path.name}") for path in paths]
        try:
            with ExitStack() as stack:
                with _naming(recording):
                    opened = [stack.enter_context(_opened(path)) for path in temporaries]
                files = iter(opened)
                numbers = [None] if channels is None else range(1, channels + 1)
                yield TranscriptWriter(
                    [[(make(form, _voice(recording, n)), next(files)) for form in self.forms] for n in numbers]
                )
                for file, path in zip(opened, paths, strict=True):
                    with os_errors_as_usage_errors(path):
                        file.flush()
                        os.fsync(file.fileno())
            self._commit(recording, channels, dict(zip(temporaries, paths, strict=True)))
        finally:
            for temporary in temporaries:
                with suppress(OSError):
                    temporary.unlink(missing_ok=True)

    def _commit(self, recording: Recording, channels: int | None, names: Mapping[Path, Path]) -> None:
        """Give whole files their names, between two states of the mark: after a kill they are still the recording's own."""
        made, inputs = self._names(list(names.values())), self._inputs(recording)
        with held(
            self.path / MARKS / ".commit", busy=f"{self.path}: another sew transcribe ends a recording", wait=True
        ):
            mark, own = self._require_own(recording, list(names.values()))
            begun = Mark(source=_absolute(recording), older=tuple(sorted(own | made)))
            write_json(self._mark_path(recording), begun.model_dump())
            for temporary, path in names.items():
                with os_errors_as_usage_errors(path):
                    os.replace(temporary, path)
            for folder in {path.parent for path in names.values()}:
                sync(folder)
            current = made | (set(mark.files) if mark.inputs == inputs else set())
            older = tuple(sorted(own - current))
            new = {"inputs": inputs, "channels": channels, "files": tuple(sorted(current)), "older": older}
            write_json(self._mark_path(recording), begun.model_copy(update=new).model_dump())

    def _require_own(self, recording: Recording, paths: Sequence[Path]) -> tuple[Mark, set[str]]:
        """The mark of the recording, and the files that are its own. What comes through a pipe is another one every time.

        Raises:
            DataError: a file is in the way.
        """
        mark = self._mark(recording)
        is_new = is_pipe(recording.source) and mark.inputs
        own = {*mark.files, *mark.older} if mark.source == _absolute(recording) and not is_new else set()
        for path in paths:
            if os.path.lexists(path) and not self._names([path]) <= own and not self.force:
                raise DataError(
                    "would-overwrite",
                    f"its transcript {name_of(path)} would overwrite a file that is not of it",
                    where=name_of(recording.source),
                    hint="another --out, or --force to overwrite",
                )
        return mark, own

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
        return settings_digest([self.settings, _absolute(recording), state])


def _voice(recording: Recording, channel: int | None, labelled: bool = False) -> Channel:
    return Channel(name_of(recording.source), name_of(recording.title), channel, labelled)


def _absolute(recording: Recording) -> str:
    return recording.source if recording.source == PIPE else str(Path(recording.source).absolute())


NAMES = (errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL, errno.ENOTDIR, errno.EEXIST, errno.EISDIR)


@contextmanager
def _naming(recording: Recording) -> Iterator[None]:
    """What is wrong with the name of one recording stops no other."""
    try:
        yield
    except (OSError, UsageError) as error:
        cause = error if isinstance(error, OSError) else error.__cause__
        if not isinstance(cause, OSError) or cause.errno not in NAMES:
            raise
        raise DataError(
            "cannot-write",
            f"no transcript can be written under its name ({cause.strerror})",
            where=name_of(recording.source),
            hint="rename the recording, or give another --out",
        ) from None


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    with os_errors_as_usage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = open(path, "w", encoding="utf-8", errors="backslashreplace")  # noqa: SIM115 - closed below
    try:
        yield file
    finally:
        with suppress(OSError):  # what could not be written has been told
            file.close()


def _remove_empty(folder: Path, last: Path) -> None:
    """Folders that held nothing but a lock."""
    with suppress(OSError):
        while folder.is_relative_to(last):
            folder.rmdir()
            folder = folder.parent


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
        if (
            is_stdout := file is sys.stdout
        ):  # what is in its buffer still would fail again at the end, with another exit code
            os.dup2(os.open(os.devnull, os.O_WRONLY), file.fileno())
        raise explain_os_error(error, "stdout" if is_stdout else file.name) from error
