"""What would bring KenLM's or flashlight's C++ down is refused by name, in every verb, before it gets there."""

import gzip
import shutil
import struct
from pathlib import Path

import pytest

from sewcli.base.errors import DataError, SewError
from sewcli.lm import kenlm
from sewcli.lm.arpa import read_header
from sewcli.lm.files import find_model
from sewcli.lm.kenlm import check_file
from sewcli.lm.lexicon import LONGEST_SPELLING, read_lexicon
from sewcli.text.tokens import Vocabulary

GOLDEN = Path(__file__).parents[1] / "lm" / "golden"
SOUND = (GOLDEN / "small-3.bin").read_bytes()
ARPA = gzip.decompress((GOLDEN / "small-3.arpa.gz").read_bytes()).decode()
ORDER, MULTIPLIER, KIND, COUNTS = 88, 92, 96, 108  # places in a binary's header


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def patched(place: int, content: bytes) -> bytes:
    return SOUND[:place] + content + SOUND[place + len(content) :]


HEADERS = {
    "order 0": patched(ORDER, b"\0"),
    "order 7": patched(ORDER, b"\7"),
    "order 255": patched(ORDER, b"\xff"),
    "multiplier NaN": patched(MULTIPLIER, struct.pack("<f", float("nan"))),
    "multiplier infinite": patched(MULTIPLIER, struct.pack("<f", float("inf"))),
    "multiplier 0": patched(MULTIPLIER, struct.pack("<f", 0.0)),
    "multiplier -1.5": patched(MULTIPLIER, struct.pack("<f", -1.5)),
    "multiplier 1e30": patched(MULTIPLIER, struct.pack("<f", 1e30)),
    "type 77": patched(KIND, struct.pack("<i", 77)),
    "no unigrams": patched(COUNTS, struct.pack("<Q", 0)),
    "10^15 unigrams": patched(COUNTS, struct.pack("<Q", 10**15)),
    "2^64 - 1 bigrams": patched(COUNTS + 8, struct.pack("<Q", 2**64 - 1)),
    "another version": SOUND.replace(b"version 5", b"version 4"),
    "the other byte order": patched(60, SOUND[60:64][::-1]),
    "the magic alone": SOUND[:49],
    "half of the header": SOUND[:110],
    "half of it": SOUND[: len(SOUND) // 2],
    "without its last byte": SOUND[:-1],
    "without its last word": SOUND[: SOUND.rindex(b"\0", 0, -1) + 1],
}


@pytest.mark.fault("input-18")
@pytest.mark.parametrize("kind", HEADERS)
def test_a_damaged_binary_is_refused(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "3gram.bin").write_bytes(HEADERS[kind])
    monkeypatch.setattr(kenlm, "_try_apart", lambda path: pytest.fail("it should be seen in the header or at the end"))
    with pytest.raises(DataError) as caught:
        check_file(tmp_path / "3gram.bin")
    assert caught.value.where == tmp_path / "3gram.bin"


@pytest.mark.fault("input-18")
def test_a_binary_that_kenlm_dies_of_is_an_error_message(tmp_path: Path) -> None:
    content = bytearray((GOLDEN / "small-3-trie.bin").read_bytes())
    (tmp_path / "3gram.bin").write_bytes(content)
    check_file(tmp_path / "3gram.bin")
    content[136:660] = b"\xee" * 524  # its vocabulary
    (tmp_path / "3gram.bin").write_bytes(content)
    with pytest.raises(DataError, match="KenLM died of it"):
        check_file(tmp_path / "3gram.bin")


@pytest.mark.fault("input-18")
def test_a_sound_binary_is_tried_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, tries = tmp_path / "3gram.bin", []
    path.write_bytes(SOUND)
    real = kenlm._try_apart
    monkeypatch.setattr(kenlm, "_try_apart", lambda path: (tries.append(path), real(path)))
    check_file(path)
    check_file(path)
    assert len(tries) == 1
    path.write_bytes(SOUND)  # another state of the file
    check_file(path)
    assert len(tries) == 2
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/nowhere")  # nowhere to remember it
    check_file(path)
    assert len(tries) == 3


COUNTED = {
    "-6": ("ngram 1=64", "ngram 1=-6"),
    "a superscript": ("ngram 1=64", "ngram 1=²"),
    "5,000 digits": ("ngram 1=64", f"ngram 1={'9' * 5000}"),
    "10^14": ("ngram 1=64", f"ngram 1={10**14}"),
    "0": ("ngram 1=64", "ngram 1=0"),
    "no number": ("ngram 1=64", "ngram 1="),
    "in another order": ("ngram 1=64\nngram 2", "ngram 2=64\nngram 1"),
    "order 1": ("ngram 2=123\nngram 3=127\n", ""),
    "order 7": ("ngram 3=127\n", "".join(f"ngram {n}=1\n" for n in range(3, 8))),
    "no header": ("\\data\\", ""),
    "a line without end": ("ngram 1=64", "x" * 100_000),
}


@pytest.mark.fault("input-17", "input-20")
@pytest.mark.parametrize("kind", COUNTED)
def test_an_arpa_header_is_checked_by_every_entry(kind: str, tmp_path: Path, sew_here) -> None:
    (tmp_path / "neg.arpa").write_text(ARPA.replace(*COUNTED[kind]))
    (tmp_path / "t.txt").write_text("THE OLD TABLE\n")
    with pytest.raises(DataError) as caught:
        check_file(tmp_path / "neg.arpa")
    assert len(str(caught.value)) < 500
    with pytest.raises(SewError):
        find_model(str(tmp_path / "neg.arpa"), tmp_path, Vocabulary.letters())
    done = sew_here("lm", "score", tmp_path / "neg.arpa", tmp_path / "t.txt")
    assert done.returncode == 3 and "neg.arpa" in done.stderr and len(done.stderr) < 1000


@pytest.mark.fault("input-18")
def test_lm_score_survives_a_damaged_binary(tmp_path: Path, sew_here) -> None:
    (tmp_path / "t.txt").write_text("THE OLD TABLE\n")
    for kind in ("order 0", "multiplier NaN", "half of it"):
        (tmp_path / "3gram.bin").write_bytes(HEADERS[kind])
        done = sew_here("lm", "score", tmp_path / "3gram.bin", tmp_path / "t.txt")
        assert done.returncode == 3 and "3gram.bin" in done.stderr, done.stderr
    shutil.copyfile(GOLDEN / "small-3.bin", tmp_path / "3gram.bin")
    assert sew_here("lm", "score", tmp_path / "3gram.bin", tmp_path / "t.txt").returncode == 0


@pytest.mark.fault("input-20")
def test_a_bomb_of_an_arpa_ends_in_bounded_memory(tmp_path: Path) -> None:
    import resource

    with gzip.open(tmp_path / "x.arpa.gz", "wb", compresslevel=1) as file:
        for _ in range(256):
            file.write(b"\\" * (1 << 20))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(DataError) as caught:
        read_header(tmp_path / "x.arpa.gz")
    assert len(str(caught.value)) < 500
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 400 * 1024


@pytest.mark.fault("input-19")
@pytest.mark.parametrize("letters", [LONGEST_SPELLING, 150_000])
def test_a_spelling_without_end_is_refused(letters: int, tmp_path: Path) -> None:
    spelling = " ".join("A" * letters)
    (tmp_path / "lexicon.txt").write_text(f"A\tA |\nLONG\t{spelling} |\n")
    with pytest.raises(DataError, match=r"line 2: a spelling of [\d,]+ symbols") as caught:
        read_lexicon(tmp_path / "lexicon.txt", Vocabulary.letters())
    assert len(str(caught.value)) < 500
    (tmp_path / "lexicon.txt").write_text(f"{'W' * 150_000}\tA X\n")
    with pytest.raises(DataError) as caught:
        read_lexicon(tmp_path / "lexicon.txt", Vocabulary.letters())
    assert len(str(caught.value)) < 500


@pytest.mark.fault("input-27")
def test_a_name_longer_than_any_file_system_takes(tmp_path: Path, sew_here) -> None:
    name = "x" * 300
    (tmp_path / "t.txt").write_text("A\n")
    for arguments in (
        ("lm", "score", name, tmp_path / "t.txt"),
        ("transcribe", tmp_path / "t.txt", "--model", name),
        ("transcribe", tmp_path / "t.txt", "--model", f"{'d/' * 3000}x"),
        ("decode", "--split", "dev", "--model", name, "--data", tmp_path),
        ("import", f"{name}.pt", tmp_path / "o"),
        ("rescore", tmp_path, "--lm", name),
    ):
        done = sew_here(*arguments)
        assert done.returncode in (2, 3) and "Traceback" not in done.stderr and "Usage:" not in done.stderr, (
            arguments[0],
            done.stderr[-300:],
        )
