"""The machinery of telephone miniatures: shorten that NIST's decoders read, and a miniature in the folders of the discs."""

import re
from pathlib import Path

import desphere.shorten
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from tiny_corpus import digests

from sewcli.audio.io import read_wave
from sewcli.audio.sphere import read_header
from sewcli.base.rng import numpy_rng
from sewcli.corpora.miniatures import markup
from sewcli.corpora.miniatures.calls import BAND, LINE, write_sphere
from sewcli.corpora.miniatures.sentences import part_of, sentences
from sewcli.corpora.miniatures.shorten import BLOCK, shorten
from sewcli.corpora.miniatures.swbd_fisher import Plan, fisher_names, switchboard_names, write_miniature
from sewcli.corpora.places import MINIATURE
from sewcli.corpora.swbd_fisher import find_corpus, find_splits
from sewcli.text.rules import normalise
from sewcli.text.telephone import FISHER, is_unclear, read_acronyms, switchboard

TINY = Plan(switchboard=3, fisher=4, turns=8, seed=7)


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("spoken") / "swbd_fisher"
    assert write_miniature(folder, TINY, jobs=2)
    return folder


def decoded(stream: bytes, channels: int) -> np.ndarray:
    values, kind, count = desphere.shorten.decode(stream)
    assert kind == "ulaw" and count == channels
    return np.array(values, np.uint8).reshape(-1, channels)


@settings(deadline=None, max_examples=50)
@given(
    arrays.arrays(
        np.uint8, st.tuples(st.sampled_from([1, 2, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK]), st.integers(1, 2))
    )
)
def test_shorten_is_undone(codes: np.ndarray) -> None:
    assert np.array_equal(decoded(shorten(codes), codes.shape[1]), codes)


def test_shorten_makes_what_is_quiet_shorter(tmp_path: Path) -> None:
    clock = np.arange(LINE) / LINE
    wave = np.stack([200 * np.sin(2 * np.pi * 300 * clock), np.zeros(LINE)], axis=1).astype(np.int16)
    for coding in ("ulaw", "shorten"):
        write_sphere(tmp_path / f"{coding}.sph", wave, coding)
    shortened, plain = ((tmp_path / f"{coding}.sph").stat().st_size - 1024 for coding in ("shorten", "ulaw"))
    assert plain == wave.size and shortened < 0.6 * plain


def test_every_code_of_ulaw() -> None:
    codes = np.arange(256, dtype=np.uint8)[:, None]
    assert np.array_equal(decoded(shorten(codes), 1), codes)


def test_codings_of_a_call(tmp_path: Path) -> None:
    wave = (numpy_rng(1, "call").standard_normal((9000, 2)) * 3000).astype(np.int16)
    read = {}
    for coding in ("pcm", "ulaw", "shorten"):
        path = tmp_path / f"{coding}.sph"
        write_sphere(path, wave, coding)
        header = read_header(path)
        assert header is not None and header.is_shortened == (coding == "shorten")
        read[coding] = np.stack([read_wave(path, channel=channel, rate=LINE) for channel in (0, 1)], axis=1)
    assert np.array_equal(read["pcm"] * 32768, wave)
    assert np.array_equal(read["ulaw"], read["shorten"])
    assert np.abs(read["ulaw"] * 32768 - wave).max() <= 512, "half a step of the loudest segment"
    assert soundfile.info(tmp_path / "ulaw.sph").subtype == "ULAW"
    with pytest.raises(soundfile.LibsndfileError):
        soundfile.info(tmp_path / "shorten.sph")


SPOKEN = {"c dees": "c d's"}


@pytest.mark.parametrize("corpus", ["switchboard", "fisher"])
def test_what_is_written_is_what_is_said(corpus: str) -> None:
    """The rules of the corpus make of every marked-up sentence the words that were spoken."""
    rules = switchboard(read_acronyms(["TV t iy v iy", "CDs s iy d iy z"])) if corpus == "switchboard" else FISHER
    draw = markup.SWITCHBOARD if corpus == "switchboard" else markup.FISHER
    used = set[str]()
    lines, rng = sentences("train", 1, 1), numpy_rng(1, "markup")
    for _ in range(3000):
        sentence = next(lines)
        said, written = draw(sentence, rng)
        text, changed = normalise(written, rules)
        used.update(changed)
        if is_unclear(written):
            used.add("unclear")
        elif said != "ha ha":
            for spoken, meant in SPOKEN.items():
                said = said.replace(spoken, meant)
            assert text == said.upper()
    marked = {"noises and laughter removed", "partial words without their hyphen", "compounds as two words"}
    marks = {
        "switchboard": {
            *("<b_aside> and <e_aside> removed", "laughed words: [laughter-yeah] to yeah"),
            *("mispronounced words as said: [it'n/isn't] to it'n", "beginnings not said: -[an]y to -y"),
            *("ends not said: ab[solute]- to ab-", "coined words: {yuppiedom} to yuppiedom"),
            *("pronunciations: them_1 to them", "acronyms in letters: CNN to C N N"),
        },
        "fisher": {
            *("[laugh] as [laughter]", "[sigh] [cough] [mn] [breath] [lipsmack] as [noise]", "unclear"),
            *("[[skip]] and [pause] removed", "acronyms in letters: c._n._n. to c n n", "full stops removed"),
            "plurals of letters: t.s and t.'s to t's",
        },
    }
    assert used >= marked | marks[corpus]


TESTS = ("LDC2002S09", "LDC2002T43", "LDC2007S10")  # test_hub5_miniature.py looks at them


def files_to_train_on(folder: Path) -> dict[str, Path]:
    paths = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    assert all(any(name.startswith(test) for name in paths) for test in TESTS)
    return {name: path for name, path in paths.items() if not name.startswith(TESTS)}


def coding(path: Path) -> str:
    header = read_header(path)
    assert header is not None and (header.fields["sample_rate"], header.fields["channel_count"]) == ("8000", "2")
    return header.fields["sample_coding"]


def test_layout(spoken: Path) -> None:
    files = files_to_train_on(spoken)
    sounds = {name: path for name, path in files.items() if name.endswith(".sph")}
    assert len(sounds) == TINY.switchboard + TINY.fisher
    for name in sounds:
        assert re.fullmatch(
            r"LDC97S62/swb1_d[1-4]/data/sw0\d{4}\.sph"
            r"|LDC2004S13/fe_03_p1_sph[12]/audio/(\d{3})/fe_03_\1\d\d\.sph"
            r"|LDC2005S13/fisher_eng_tr_sp_d[12]/audio/(\d{3})/fe_03_\2\d\d\.sph",
            name,
        )
    assert {coding(path) for path in sounds.values()} == {"ulaw", "pcm", "ulaw,embedded-shorten-v2.00"}
    texts = files.keys() - sounds.keys()
    assert texts == {
        *("README.TXT", MINIATURE, "LDC97S62/docs/call_con_tab.csv", "LDC97S62/docs/caller_tab.csv"),
        "swb_ms98_transcriptions/sw-ms98-dict.text",
        *(
            f"swb_ms98_transcriptions/{name[3:5]}/{name[3:]}/sw{name[3:]}{side}-ms98-a-trans.text"
            for name in switchboard_names(TINY)
            for side in "AB"
        ),
        *("LDC2004S13/fe_03_p1_sph1/filetable.txt", "LDC2004S13/fe_03_p1_sph2/filetable.txt"),
        *(f"LDC2005S13/fisher_eng_tr_sp_d{disc}/docs/filetable2.txt" for disc in "12"),
        *(
            f"LDC200{3 + part}T19/fe_03_p{part}_tran/doc/fe_03_p{part}_{table}.tbl"
            for part in (1, 2)
            for table in ("calldata", "filelist")
        ),
        *(
            f"LDC200{3 + part}T19/fe_03_p{part}_tran/data/trans/{name[6:9]}/{name}.txt"
            for name in fisher_names(TINY)
            for part in [1 if name < "fe_03_05851" else 2]
        ),
    }


def test_a_telephone_line_carries_300_to_3400_hz(spoken: Path) -> None:
    (path,) = (path for path in spoken.rglob("*.sph") if coding(path) == "pcm")
    for channel in (0, 1):
        power = np.abs(np.fft.rfft(read_wave(path, channel=channel, rate=LINE))) ** 2
        hertz = np.linspace(0, LINE / 2, len(power))
        outside = (hertz < BAND[0] - 100) | (hertz > BAND[1] + 100)
        assert power[outside].sum() < 1e-3 * power.sum()


def test_it_is_read_as_the_corpus_is(spoken: Path) -> None:
    for split in find_splits(find_corpus(spoken), None):
        listing = split.read(split.folder)
        assert len(listing.candidates) > 10 and not listing.rejections
        assert split.published is None
        assert {c.channel for c in listing.candidates} == {0, 1}
        assert {c.custom["gender"] for c in listing.candidates} == {"F", "M"}
        assert listing.left_out
        for candidate in listing.candidates:
            assert 0.3 < candidate.end - candidate.start < 6


def test_sentences_are_of_train(spoken: Path) -> None:
    (split,) = find_splits(spoken, ["train-fisher"])
    plain = [c.text for c in split.read(split.folder).candidates if c.custom["original"].upper() == c.text]
    assert len(plain) > 5 and {part_of(text) for text in plain} == {"train"}


def test_bytes_do_not_depend_on_the_processes(spoken: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    assert write_miniature(again, TINY, jobs=1)
    assert digests(again) == digests(spoken)
    assert not write_miniature(again, TINY, jobs=1), "it is there already"
