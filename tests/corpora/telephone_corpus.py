"""Switchboard and Fisher by hand: a few lines of transcript, and calls whose sides are two tones."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from sewcli.corpora.miniatures.calls import LINE, write_sphere

TONES = {"A": 500.0, "B": 1250.0}  # Hz


def write_call(path: Path, seconds: float = 6.0, coding: str = "ulaw") -> Path:
    """A call with a tone of its own on each side."""
    clock = np.arange(int(seconds * LINE)) / LINE
    wave = np.stack([0.3 * np.sin(2 * np.pi * tone * clock) for tone in TONES.values()], axis=1)
    write_sphere(path, np.rint(wave * 32767).astype(np.int16), coding)
    return path


def write_side(folder: Path, number: int, side: str, *turns: tuple[float, float, str]) -> Path:
    """One side of a call as Mississippi State transcribed it."""
    name = f"sw{number}{side}-ms98-a"
    rows = [f"{name}-{i:04d} {start:.6f} {end:.6f} {text}" for i, (start, end, text) in enumerate(turns, start=1)]
    return write(folder / f"{number // 100}" / f"{number}" / f"{name}-trans.text", rows)


def write(path: Path, lines: Iterable[str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def write_switchboard(corpus: Path) -> Path:
    """Two calls on two discs, transcripts beside them."""
    write_call(corpus / "LDC97S62" / "swb1_d1" / "data" / "sw02001.sph")
    write_call(corpus / "LDC97S62" / "swb1_d2" / "data" / "sw02005.sph", coding="pcm")
    texts = corpus / "swb_ms98_transcriptions"
    write_side(
        texts,
        2001,
        "A",
        (0, 0.977625, "[silence]"),
        (0.977625, 2.561375, "hi um yeah i'd like to [laughter-talk] about"),
        (2.561375, 4, "[noise] [vocalized-noise]-"),
        (4, 6, "TVs and th[at]-"),
    )
    write_side(texts, 2001, "B", (0, 2.4, "[silence]"), (2.4, 3.2, "uh-huh"), (3.2, 6, "[silence]"))
    write_side(texts, 2005, "A", (0, 6, "well {yuppiedom}"))
    write_side(texts, 2005, "B", (0.5, 5.005, "<b_aside> them_1 [it'n/isn't] <e_aside>"))
    write(texts / "sw-ms98-dict.text", ["# a comment", "", "TVs t iy v iy z", "well w eh l"])
    return corpus


def write_fisher(corpus: Path, coding: str = "shorten") -> Path:
    """A call in the first layout, and one in the later."""
    write_call(corpus / "LDC2004S13" / "fe_03_p1_sph1" / "audio" / "000" / "fe_03_00001.sph", coding=coding)
    write(corpus / "LDC2004S13" / "fe_03_p1_sph1" / "filetable.txt", ["fe_03_p1_sph1 fe_03_00001.sph fm"])
    part = corpus / "LDC2004T19" / "fe_03_p1_tran"
    write(
        part / "data" / "trans" / "000" / "fe_03_00001.txt",
        [
            *("# fe_03_00001.sph", "# Transcribed at the LDC", ""),
            *("0.29 1.54 A: and i gen- generally prefer ", ""),
            *("1.20 2.48 B: [laugh] on c._n._n. ", ""),
            *("2.50 3.00 A: who (( )) and he ", "", "3.00 3.50 A: (( oh yeah )) ", ""),
            *("3.60 3.90 B: [mn] ", "", "4.00 4.20 B: ", "", "4.30 4.10 A: backwards ", ""),
            "4.50 5.92 B: eating [lipsmack] at home ",
        ],
    )
    write_call_table(
        part / "doc" / "fe_03_p1_calldata.tbl", "00001,20021212_21:30:16,ENG01,4,4,2602,f.a,x,1,2,2790,m.o,y,1,2"
    )
    write_call(corpus / "LDC2005S13" / "fisher_eng_tr_sp_d1" / "audio" / "058" / "fe_03_05851.sph")
    write(
        corpus / "LDC2005S13" / "fisher_eng_tr_sp_d1" / "docs" / "filetable2.txt", ["fe_03_p2_sph1 fe_03_05851.sph mm"]
    )
    part = corpus / "LDC2005T19" / "fe_03_p2_tran"
    write(
        part / "data" / "trans" / "058" / "fe_03_05851.txt",
        [
            "# fe_03_05851.sph",
            "# Transcribed by BBN/WordWave",
            "",
            "0.00 1.21 B: hello ",
            "",
            "0.73 1.93 A: hello mr. smith ",
        ],
    )
    write_call_table(
        part / "doc" / "fe_03_p2_calldata.tbl", "05851,20030101_00:00:00,ENG02,4,4,2602,m.a,x,1,2,3001,m.a,y,1,2"
    )
    return corpus


def write_call_table(path: Path, *rows: str) -> None:
    header = "CALL_ID,DATE_TIME,TOPICID,SIG_GRADE,CNV_GRADE,APIN,ASX.DL,APHNUM,APHSET,APHTYP,BPIN,BSX.DL,BPHNUM,BPHSET,BPHTYP"
    write(path, [header, *rows])


def pitch(wave: np.ndarray, rate: int = 16000) -> float:
    """The strongest frequency of a wave, in Hz."""
    spectrum = np.abs(np.fft.rfft(wave * np.hanning(len(wave))))
    return float(np.argmax(spectrum) * rate / len(wave))
