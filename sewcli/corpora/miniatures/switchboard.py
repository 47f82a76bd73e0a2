"""The folders of a miniature Switchboard-1: LDC97S62 with its audio and tables, and `swb_ms98_transcriptions`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from sewcli.corpora.miniatures.calls import SIDES, Recording, write_sphere, write_table

DISCS = 4


def write_switchboard(folder: Path, recordings: Sequence[Recording]) -> None:
    """Write calls named sw0NNNN as LDC97S62, all of them u-law but the second, and their transcripts beside it."""
    root, transcripts = folder / "LDC97S62", folder / "swb_ms98_transcriptions"
    for index, made in enumerate(recordings):
        call = made.call.id
        number = call.removeprefix("sw0")
        disc = root / f"swb1_d{1 + DISCS * index // len(recordings)}"
        write_sphere(disc / "data" / f"{call}.sph", made.wave, "pcm" if index == 1 else "ulaw")
        for side, letter in enumerate(SIDES):
            name = f"sw{number}{letter}-ms98-a"
            rows = enumerate(_whole_side(made, side), start=1)
            lines = (f"{name}-{count:04d} {start:.6f} {end:.6f} {text}" for count, (start, end, text) in rows)
            write_table(transcripts / number[:2] / number / f"{name}-trans.text", lines)
    write_table(transcripts / "sw-ms98-dict.text", DICTIONARY)
    _write_speakers(root / "docs", recordings)


def _whole_side(made: Recording, side: int) -> Iterator[tuple[float, float, str]]:
    """The transcripts of Mississippi State cover the whole time of a side: turns, and [silence] between them."""
    clock = 0.0
    for turn, start, end in made.turns():
        if turn.side == side:
            if start > clock:
                yield clock, start, "[silence]"
            yield start, end, turn.written
            clock = end
    yield clock, made.seconds, "[silence]"


def _write_speakers(folder: Path, recordings: Sequence[Recording]) -> None:
    """The tables that the LDC keeps beside its catalogue: who was on which side, and of which sex."""
    sides = [
        (made.call.id[3:], letter, made.call.speakers[side]) for made in recordings for side, letter in enumerate(SIDES)
    ]
    people = {speaker.number: speaker.sex for _, _, speaker in sides}
    rows = (
        f'{call}, "{letter}", {speaker.number}, "555-{speaker.number:04d}", 5, 300, "", "Y"'
        for call, letter, speaker in sides
    )
    write_table(folder / "call_con_tab.csv", rows)
    sexes = {"F": "FEMALE", "M": "MALE"}
    rows = (
        f'{number}, {number + 100_000}, "Y", "{sexes[sex]}", 1960, "MIXED", 2, 0, "GIFT", 10, "N", "", 5, "DN1"'
        for number, sex in sorted(people.items())
    )
    write_table(folder / "caller_tab.csv", rows)


DICTIONARY = (
    *("# words with more than one way to say them, and words said as letters", ""),
    *("a ax", "a_1 ey", "CD s iy d iy", "CDs s iy d iy z", "NASA n ae s ax", "TV t iy v iy", "TV's t iy v iy z"),
)
