"""Telephone tests as NIST scores them: an STM and a GLM against words with times (CTM). Eval2000 and RT-03S.

By SCTK's hubscr.pl where it is installed, otherwise by our own `glm` and `network`, which give the same counts. What is said of
STM and CTM is SCTK's infmts.htm and sclite's stm2ctm.c: a word belongs to the first segment that ends after the word's middle,
the last segment of a channel takes what is left, and what falls in an IGNORE_TIME_SEGMENT is not scored.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from sewcli.base import log
from sewcli.base.errors import DataError, UsageError
from sewcli.base.regular import require_regular
from sewcli.corpora.stm import Segment, parse_stm
from sewcli.scoring.glm import SpellingMap, read_glm, with_room
from sewcli.scoring.network import align, count, network
from sewcli.scoring.wer import Counts

PLACES = (Path("/usr/lib/sctk/bin"), Path("/usr/local/lib/sctk/bin"))  # Debian's sctk is not on the PATH
TOOLS = ("auto", "sctk", "python")
PARTS = {"sw": "Switchboard", "en": "CallHome", "fsh": "Fisher"}
_ASIDES = re.compile(r"(?i)<[be]_aside>")
_GAP = re.compile(r"(?im)^[^;\n]*inter_segment_gap.*\n?")
_PATHS = re.compile(r'<PATH [^\n]*? file="([^"]*)"[^\n]*>\n(.*?)</PATH>', re.DOTALL)
_STEPS = re.compile(r'(?:^|:)([CSDI]),(?="|,")')


@dataclass(frozen=True, slots=True)
class TimedWord:
    """A recognised word. Times in seconds; file and channel as the STM calls them."""

    file: str
    channel: str
    start: float
    duration: float
    word: str


@dataclass(frozen=True)
class SegmentCounts:
    """Errors in one segment of an STM file."""

    file: str
    counts: Counts


def normalised_stm(stm: str) -> str:
    """An STM as NIST's tools take it: Kaldi's two mends (eval2000_data_prep.sh), and without lines of gaps.

    >>> normalised_stm("f 1 f_A 0 1 <B_ASIDE> ((TH-) THE <E_ASIDE>")
    'f 1 f_A 0 1  (TH-) THE '
    """
    return _GAP.sub("", _ASIDES.sub("", stm).replace("((", "("))


def sctk() -> Path | None:
    """The folder of NIST's tools; None where they are not installed."""
    found = shutil.which("hubscr.pl")
    places = [Path(found).parent] if found else []
    return next((place for place in [*places, *PLACES] if all((place / name).is_file() for name in _PROGRAMS)), None)


def score(
    stm: Path, glm: Path | None, words: Sequence[TimedWord], *, tool: str = "auto"
) -> tuple[str, list[SegmentCounts]]:
    """The tool used (sctk or python), and the errors of every segment that is scored.

    tool: sctk, python, or auto: sctk where it is installed, and Python where it fails.

    Raises:
        UsageError: sctk is asked for and not here, or there is no such tool.
        DataError: a file that cannot be read, or that the tools refuse.
    """
    if tool not in TOOLS:
        raise UsageError("no-such-tool", f"no tool {tool!r} to score with", hint=f"one of: {', '.join(TOOLS)}")
    text = normalised_stm(_read(stm))
    tools = sctk()
    if tool == "sctk" and tools is None:
        raise UsageError(
            "sctk-missing", "NIST's scoring tools are not installed", hint="apt install sctk, or give --nist python"
        )
    if tools and tool != "python":
        try:
            return "sctk", score_with_sctk(text, glm, words, tools)
        except DataError as error:
            if tool == "sctk":
                raise
            log.warn(f"{stm}: {error.what}; scored without NIST's tools")
    return "python", score_in_python(text, glm, words, where=stm)


def score_in_python(
    stm: str, glm: Path | None, words: Sequence[TimedWord], *, where: Path | None = None
) -> list[SegmentCounts]:
    """Errors of every segment that is scored, of a mended STM.

    Raises:
        DataError: a line that is no segment, or braces that do not pair.
    """
    segments, faults = parse_stm(stm.split("\n"))
    if faults:
        raise DataError("invalid-stm", f"line {faults[0].line}: {faults[0].reason}", where=where)
    empty = SpellingMap([])
    references = read_glm(glm, side="ref") if glm else empty
    hypotheses = read_glm(glm, side="hyp") if glm else empty
    spelled = lru_cache(maxsize=None)(hypotheses.words)
    channels: dict[tuple[str, str], list[Segment]] = {}
    for segment in segments:
        channels.setdefault(_key(segment.file, segment.channel), []).append(segment)
    spoken: dict[tuple[str, str], list[TimedWord]] = {key: [] for key in channels}
    for word in words:
        spoken.get(_key(word.file, word.channel), []).append(word)  # another call's: sclite does not score it either
    scored = []
    for key in sorted(channels):
        ordered = sorted(channels[key], key=lambda segment: segment.start)
        items = [item for w in sorted(spoken[key], key=lambda w: w.start) for item in _items(w, spelled(w.word))]
        for segment, text in zip(ordered, _by_segment(ordered, items), strict=True):
            if not segment.ignored:
                steps = align(network(references.words(segment.text)), network(text))
                scored.append(SegmentCounts(segment.file, count(steps)))
    return scored


def score_with_sctk(stm: str, glm: Path | None, words: Sequence[TimedWord], tools: Path) -> list[SegmentCounts]:
    """As `score_in_python`, by hubscr.pl of the folder `tools`.

    Raises:
        DataError: the tools fail; the message has their last lines.
    """
    rules = with_room(glm.read_text(encoding="latin-1")) if glm else _NO_RULES
    with tempfile.TemporaryDirectory(prefix="sew-score-") as name:
        folder = Path(name)
        (folder / "ref.stm").write_text(_with_labels(stm), encoding="utf-8")
        (folder / "rules.glm").write_text(rules, encoding="latin-1")
        (folder / "hyp.ctm").write_text("".join(_ctm(words)), encoding="utf-8")
        command = [
            "perl",
            str(tools / "hubscr.pl"),
            "-p",
            str(tools),
            "-V",
            "-l",
            "english",
            "-h",
            "hub5",
            "-g",
            "rules.glm",
        ]
        done = subprocess.run(
            [*command, "-r", "ref.stm", "hyp.ctm"],
            cwd=folder,
            capture_output=True,
            text=True,
            errors="replace",
            env={**os.environ, "LC_ALL": "C"},
            check=False,
        )
        report = folder / "hyp.ctm.filt.sgml"
        if done.returncode or not report.is_file():
            said = " | ".join((done.stdout + done.stderr).strip().splitlines()[-4:])
            raise DataError(
                "sctk-failed", f"NIST's hubscr.pl failed: {said}", hint="correct the STM or GLM, or give --nist python"
            )
        text = report.read_text(encoding="utf-8", errors="replace")
    found = [SegmentCounts(file, _count(body)) for file, body in _PATHS.findall(text)]
    expected = sum(not segment.ignored for segment in parse_stm(stm.split("\n"))[0])
    if len(found) != expected:
        raise DataError(
            "sctk-failed", f"NIST's sclite has scored {len(found)} of {expected} segments", hint="give --nist python"
        )
    return found


def by_part(segments: Sequence[SegmentCounts]) -> dict[str, list[SegmentCounts]]:
    """Segments of Switchboard, CallHome and Fisher calls, which published results keep apart, by their file's name."""
    parts: dict[str, list[SegmentCounts]] = {name: [] for name in PARTS.values()}
    for segment in segments:
        prefix = segment.file.split("_")[0].lower()
        parts.setdefault(PARTS.get(prefix, prefix), []).append(segment)
    return {name: of_it for name, of_it in parts.items() if of_it}


def _items(word: TimedWord, spelled: str) -> Iterator[tuple[float, str]]:
    """What a recognised word became, by the middle of each part of it; alternatives stay together, as in csrfilt.sh."""
    if "{" in spelled:
        longest = max(len(part.split()) for part in spelled.strip("{} ").split("/"))
        yield word.start + word.duration * (longest - 0.5) / max(longest, 1), spelled
        return
    parts = spelled.split()
    each = word.duration / max(len(parts), 1)
    yield from ((word.start + each * (place + 0.5), part) for place, part in enumerate(parts))


def _by_segment(segments: Sequence[Segment], items: Sequence[tuple[float, str]]) -> Iterator[str]:
    place = 0
    for number, segment in enumerate(segments, start=1):
        begin = place
        while place < len(items) and (number == len(segments) or items[place][0] < segment.end):
            place += 1
        yield " ".join(text for _, text in items[begin:place])


def _ctm(words: Sequence[TimedWord]) -> Iterator[str]:
    for word in sorted(words, key=lambda w: (w.file, w.channel, w.start)):
        yield f"{word.file} {word.channel} {word.start:.3f} {word.duration:.3f} {word.word}\n"


def _with_labels(stm: str) -> str:
    """The STM with its labels explained, without which sclite stops."""
    known = {name.lower() for name in re.findall(r'(?m)^;;\s*LABEL\s+"([^"]*)"', stm)}
    used = dict.fromkeys(part for segment in parse_stm(stm.split("\n"))[0] for part in segment.label if part)
    missing = "".join(f';; LABEL "{name}" "{name}" "{name}"\n' for name in used if name.lower() not in known)
    return missing + stm


def _count(body: str) -> Counts:
    return count([(kind, None, None) for line in body.split("\n") for kind in _STEPS.findall(line)])


def _key(file: str, channel: str) -> tuple[str, str]:
    return file.lower(), channel.lower()


def _read(path: Path) -> str:
    try:
        require_regular(path)
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError("cannot-read", f"cannot be read ({error})", where=path) from None


_PROGRAMS = ("hubscr.pl", "sclite", "rfilter1", "csrfilt.sh")
_NO_RULES = (
    ";;\n* format = 'NIST1'\n* max_nrules = '16'\n* copy_no_hit = 'T'\n* case_sensitive = 'F'\n[\x01] => [\x01]\n"
)
