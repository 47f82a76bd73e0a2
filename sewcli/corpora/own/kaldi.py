"""Kaldi's data folders: wav.scp and text, with segments, utt2spk, reco2file_and_channel and utt2lang where they are there.

Format: kaldi-asr.org/doc/data_prep.html. A folder of such folders (`data/train`, `data/dev`) gives a split for each. Paths are
relative to where the recipe ran, as a rule some folders above. A command in wav.scp (`sph2pipe ... |`) is run only when that
is allowed, and archives (`.ark:123`) are refused: they hold what Kaldi computed.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from sewcli.base.errors import DataError, UsageError, quoted
from sewcli.base.log import info
from sewcli.base.texts import read_lines
from sewcli.corpora.own import rows as row_module
from sewcli.corpora.own.rows import Row, Rows, refuse
from sewcli.corpora.own.settings import Settings
from sewcli.corpora.own.splits import split_of_name
from sewcli.corpora.utterances import MIX

WAV, TEXT, SEGMENTS = "wav.scp", "text", "segments"
UP = 4  # folders above a data folder in which a recipe may have run


@dataclass(frozen=True, slots=True)
class Command:
    """Sound that a command writes to its stdout, run by `sh` in the folder that the recipe ran in."""

    command: str
    folder: Path

    def stamp(self) -> str:
        """The command itself."""
        return f"{self.folder}: {self.command}"

    def read(self) -> bytes:
        """What it writes.

        Raises:
            DataError: it fails, or writes nothing.
        """
        done = subprocess.run(
            ["sh", "-c", self.command],
            check=False,
            cwd=self.folder,
            capture_output=True,
            stdin=subprocess.DEVNULL,
        )
        if done.returncode or not done.stdout:
            said = done.stderr.decode(errors="replace").strip().splitlines()
            why = quoted(said[-1]) if said else f"exit code {done.returncode}, {len(done.stdout)} bytes"
            raise DataError("command-failed", f"the command fails ({why}): {self.command}")
        return done.stdout


def read(inputs: Sequence[Path], settings: Settings) -> Rows:
    """The utterances of data folders.

    Raises:
        UsageError: no data folder, or nothing but commands that may not be run.
        DataError: one of its files cannot be read.
    """
    for path in inputs:
        folders = [path] if (path / WAV).is_file() else sorted(found.parent for found in path.glob(f"*/{WAV}"))
        if not folders:
            raise UsageError(
                "not-a-kaldi-folder",
                f"no Kaldi data folder: no {WAV} here or one level below",
                where=path,
                hint=f"give the folder that holds {WAV}, {TEXT} and utt2spk, or the one above",
            )
        for folder in folders:
            yield from _Folder(folder, settings).rows()


class _Folder:
    """One data folder."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.folder, self._settings = folder, settings
        self._speakers = self._map("utt2spk")
        self._languages = self._map("utt2lang")
        if self._speakers and all(utterance == speaker for utterance, speaker in self._speakers.items()):
            info(f"{folder / 'utt2spk'}: every utterance is its own speaker, so no speaker is known")
            self._speakers = {}

    def rows(self) -> Rows:
        """Its utterances."""
        texts, recordings = self._map(TEXT), self._map(WAV)
        if not texts:
            raise DataError(
                "no-text", "no transcripts", where=self.folder / TEXT, hint="a line an utterance: its id, and its text"
            )
        self._refuse_commands(recordings)
        segments = self.folder / SEGMENTS
        seen = set()
        for number, line in self._lines(SEGMENTS if segments.is_file() else WAV):
            utterance, _, told = line.partition(" ")
            place = f"line {number}"
            seen.add(utterance)
            if utterance not in texts:
                yield self._refuse(SEGMENTS if segments.is_file() else WAV, place, f"no line in {TEXT}", utterance)
            elif segments.is_file():
                yield self._segment(utterance, told.split(), place, texts, recordings)
            else:
                yield self._row(utterance, utterance, WAV, place, texts, recordings)
        for number, line in self._lines(TEXT):
            if (utterance := line.split(" ", 1)[0]) not in seen:
                yield self._refuse(TEXT, f"line {number}", "a transcript without audio", utterance)

    def _segment(
        self, utterance: str, told: list[str], place: str, texts: Mapping[str, str], recordings: Mapping[str, str]
    ) -> Row | row_module.Refused:
        if len(told) < 3:
            return self._refuse(SEGMENTS, place, "fewer than four fields: id, recording, start, end", utterance)
        recording, begin, finish = told[:3]
        try:
            start = row_module.seconds(begin)
            end = None if float(finish) == -1 else row_module.seconds(finish)
        except ValueError:
            return self._refuse(SEGMENTS, place, f"no such times: {begin} to {finish}", utterance)
        if end is not None and end <= start:
            return self._refuse(SEGMENTS, place, f"it ends at {end:g} s, not after its start at {start:g} s", utterance)
        side = told[3] if len(told) > 3 else ""
        return self._row(utterance, recording, SEGMENTS, place, texts, recordings, start, end, side)

    def _row(
        self,
        utterance: str,
        recording: str,
        file: str,
        place: str,
        texts: Mapping[str, str],
        recordings: Mapping[str, str],
        start: float = 0.0,
        end: float | None = None,
        side: str = "",
    ) -> Row | row_module.Refused:
        sound = recordings.get(recording)
        if sound is None:  # a side of a call, of which wav.scp has the file
            name, _, side = self._channels.get(recording, "").partition(" ")
            sound = recordings.get(name)
        if sound is None:
            return self._refuse(file, place, f"its recording {recording} is not in {WAV}", utterance)
        command, path = None, self.folder / WAV / recording
        if sound.endswith("|"):
            if not self._settings.pipes:
                return self._refuse(WAV, place, f"its audio is what a command writes: {sound}", utterance)
            command = Command(sound.removesuffix("|").strip(), self._base)
        elif re.search(r"\.ark(\.gz)?:\d+", sound):
            return self._refuse(WAV, place, f"its audio is in an archive of Kaldi's: {sound}", utterance)
        else:
            path = self._base / sound
        return Row(
            source=self.folder / file,
            place=place,
            audio=path,
            text=texts[utterance],
            id=utterance,
            speaker=self._speakers.get(utterance, ""),
            start=start,
            end=end,
            channel=row_module.channel(side) if re.fullmatch(r"\d{1,2}|[A-H]", side) else MIX,
            split=split_of_name(self.folder.name),
            language=self._languages.get(utterance, ""),
            recording=recording,
            content=command,
        )

    def _refuse(self, file: str, place: str, reason: str, utterance: str) -> row_module.Refused:
        split = split_of_name(self.folder.name)
        return refuse(self.folder / file, place, reason, identity=utterance, split=split)

    def _refuse_commands(self, recordings: Mapping[str, str]) -> None:
        if recordings and all(sound.endswith("|") for sound in recordings.values()) and not self._settings.pipes:
            first = next(iter(recordings.values()))
            raise UsageError(
                "pipes-not-allowed",
                f"its audio is what commands write, e.g. {first}",
                where=self.folder / WAV,
                hint="read them, then let them be run: --allow-pipes",
            )

    @cached_property
    def _base(self) -> Path:
        """The folder that relative paths are meant from: the one that was given, or here, or one above that has them."""
        if self._settings.audio:
            return self._settings.audio
        sounds = [sound for sound in self._map(WAV).values() if not sound.endswith("|")]
        if not sounds:
            return Path.cwd()
        above = self.folder.absolute()
        places = [Path.cwd(), above, *list(above.parents)[:UP]]
        base = next((place for place in places if (place / sounds[0]).is_file()), Path.cwd())
        if not Path(sounds[0]).is_absolute():
            info(f"{self.folder / WAV}: paths are relative to {base}")
        return base

    @cached_property
    def _channels(self) -> dict[str, str]:
        return self._map("reco2file_and_channel")

    def _map(self, name: str) -> dict[str, str]:
        """The lines of a file by their first word, blanks at both ends removed."""
        if name in (WAV, TEXT) or (self.folder / name).is_file():
            return {key: value.strip() for _, line in self._lines(name) for key, _, value in [line.partition(" ")]}
        return {}

    def _lines(self, name: str) -> list[tuple[int, str]]:
        """Lines with their numbers; the first word is followed by one blank."""
        lines = enumerate(read_lines(self.folder / name), start=1)
        return [(number, " ".join(line.strip().split(maxsplit=1))) for number, line in lines if line.strip()]
