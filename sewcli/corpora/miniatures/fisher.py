"""The folders of a miniature Fisher English: part 1 in the first layout of its discs, part 2 in the later one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sewcli.corpora.miniatures.calls import SIDES, Recording, write_sphere, write_table

LAST_OF_PART_1 = 5850  # the number of a call


@dataclass(frozen=True)
class _Disc:
    """Where one call is."""

    part: int
    number: int

    @property
    def volume(self) -> str:
        return f"fe_03_p{self.part}_sph{self.number}"

    @property
    def audio(self) -> Path:
        """`fisher_eng_tr_sp_d1` is how the volume fe_03_p2_sph1 was named when it was published again."""
        return (
            Path("LDC2004S13", self.volume)
            if self.part == 1
            else Path("LDC2005S13", f"fisher_eng_tr_sp_d{self.number}")
        )

    @property
    def sexes(self) -> Path:
        return self.audio / ("filetable.txt" if self.part == 1 else "docs/filetable2.txt")

    @property
    def transcripts(self) -> Path:
        return Path(f"LDC200{3 + self.part}T19", f"fe_03_p{self.part}_tran")


def write_fisher(folder: Path, recordings: Sequence[Recording]) -> None:
    """Write calls named fe_03_NNNNN; the first disc of each part is shortened, the second is plain u-law."""
    pins = _pins(recordings)
    tables: dict[Path, list[str]] = {}
    for index, made in enumerate(recordings):
        call = made.call.id
        number = call.removeprefix("fe_03_")
        disc = _Disc(1 if int(number) <= LAST_OF_PART_1 else 2, 1 + index % 2)
        sexes = "".join(speaker.sex for speaker in made.call.speakers).lower()
        sides = (f"{pins[speaker.number]},{speaker.sex.lower()}.a,555,1,2" for speaker in made.call.speakers)
        doc = disc.transcripts / "doc"
        rows = {
            disc.sexes: f"{disc.volume} {call}.sph {sexes}",
            doc / f"fe_03_p{disc.part}_filelist.tbl": f"{disc.volume}\t{number}\t{sexes}\tLDC",
            doc / f"fe_03_p{disc.part}_calldata.tbl": f"{number},20021212_21:30:16,ENG01,4,4,{','.join(sides)}",
        }
        for path, row in rows.items():
            tables.setdefault(path, [CALL_COLUMNS] if path.name.endswith("calldata.tbl") else []).append(row)
        coding = "shorten" if disc.number == 1 else "ulaw"
        write_sphere(folder / disc.audio / "audio" / number[:3] / f"{call}.sph", made.wave, coding)
        where = "at the LDC" if index % 3 else "by BBN/WordWave"
        transcript = folder / disc.transcripts / "data" / "trans" / number[:3] / f"{call}.txt"
        write_table(transcript, [f"# {call}.sph", f"# Transcribed {where}", "", *_turns(made)])
    for path, lines in tables.items():
        write_table(folder / path, lines)


def _turns(made: Recording) -> Iterator[str]:
    for turn, start, end in made.turns():
        yield f"{start:.2f} {end:.2f} {SIDES[turn.side]}: {turn.written} "
        yield ""


def _pins(recordings: Sequence[Recording]) -> dict[int, int]:
    """The PIN of each speaker by number; every fourth is used by a woman and a man, as some of Fisher's are."""
    numbers = list(dict.fromkeys(speaker.number for made in recordings for speaker in made.call.speakers))
    return {number: 2602 + (place - 1 if place % 8 == 1 else place) for place, number in enumerate(numbers)}


CALL_COLUMNS = (
    "CALL_ID,DATE_TIME,TOPICID,SIG_GRADE,CNV_GRADE,APIN,ASX.DL,APHNUM,APHSET,APHTYP,BPIN,BSX.DL,BPHNUM,BPHSET,BPHTYP"
)
