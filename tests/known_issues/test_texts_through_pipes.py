"""What a program writes into a pipe is read where one reading is enough; otherwise, and where nobody writes, it is refused."""

import gzip
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.refusals import refused

from sewcli.base import pipes
from sewcli.base.config import read_yaml
from sewcli.base.errors import DataError
from sewcli.base.files import read_json
from sewcli.lm.kenlm import check_file
from sewcli.lm.lexicon import read_lexicon
from sewcli.models.fairseq_dictionary import DICTIONARY
from sewcli.scoring.glm import read_glm
from sewcli.text.tokenizer_files import read_symbols
from sewcli.text.tokens import Vocabulary

SENTENCES = "THE CAT SAT\nTHE DOG SAT ON THE CAT\nA MAN AND A DOG\n" * 700  # more than is looked at before counting


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    """A named pipe, into which nobody writes yet."""
    os.mkfifo(tmp_path / "pipe")
    return tmp_path / "pipe"


def written(fifo: Path, content: bytes) -> threading.Thread:
    """A program that writes into a named pipe."""
    thread = threading.Thread(target=fifo.write_bytes, args=(content,), daemon=True)
    thread.start()
    return thread


@pytest.mark.fault("input-31", "report-27")
@pytest.mark.parametrize("packed", [False, True])
def test_text_through_a_named_pipe_gives_the_same_model(fifo: Path, packed: bool, tmp_path: Path, sew_here) -> None:
    (tmp_path / "text.txt").write_text(SENTENCES)
    content = gzip.compress(SENTENCES.encode()) if packed else SENTENCES.encode()
    thread = written(fifo, content)
    for name, text in (("piped", fifo), ("plain", tmp_path / "text.txt")):
        done = sew_here(
            "lm", "ngram", text, "--order", "2", "--data", tmp_path, "--out", tmp_path / name / "2gram.arpa"
        )
        assert done.returncode == 0, done.stderr
    thread.join(10)
    for name in ("2gram.arpa", "lexicon.txt"):
        assert (tmp_path / "piped" / name).read_bytes() == (tmp_path / "plain" / name).read_bytes()


@pytest.mark.fault("input-31", "report-27")
def test_text_of_the_shells_own_pipes(tmp_path: Path) -> None:
    """`<(zcat ...)` has its writer already, and may be empty."""
    packed = tmp_path / "text.gz"
    packed.write_bytes(gzip.compress(SENTENCES.encode()))
    python = f"{sys.executable} -m sewcli"
    command = f"{python} lm ngram <(zcat {packed}) --order 2 --data {tmp_path} --out {tmp_path}/2gram.arpa"
    done = subprocess.run(["bash", "-c", command], check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and (tmp_path / "2gram.arpa").is_file(), done.stderr
    began = time.monotonic()
    done = subprocess.run(
        ["bash", "-c", command.replace("zcat", "true")], check=False, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 3 and "no words" in done.stderr and time.monotonic() - began < pipes.WAIT, done.stderr


@pytest.mark.fault("input-31")
def test_what_is_read_twice_is_refused_by_name(fifo: Path, tmp_path: Path) -> None:
    (tmp_path / DICTIONARY).write_text("E 1\n")
    for read in (
        lambda: check_file(fifo),
        lambda: read_lexicon(fifo, Vocabulary.letters()),
        lambda: read_glm(fifo, side="ref"),
        lambda: Vocabulary.read(fifo),
    ):
        with refused(DataError, "not-a-regular-file"):
            read()


@pytest.mark.fault("input-31")
def test_json_and_yaml_through_a_pipe(fifo: Path) -> None:
    for read, content in ((read_json, b'\xef\xbb\xbf{"a": 1}'), (read_yaml, b"a: 1\r\n")):
        thread = written(fifo, content)
        assert read(fifo) == {"a": 1}
        thread.join(10)


@pytest.mark.fault("input-31")
@pytest.mark.parametrize("name", ["vocab.json", "tokenizer_config.json"])
def test_a_pipe_that_nobody_writes_into(name: str, fifo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is neither waited for without end nor taken for a file that is not there."""
    monkeypatch.setattr(pipes, "WAIT", 0.3)
    (tmp_path / "vocab.json").write_text('{"<pad>": 0, "|": 1, "A": 2}')
    fifo.rename(tmp_path / name)
    reads: tuple[Callable[[], object], ...] = (lambda: read_json(tmp_path / name), lambda: read_symbols(tmp_path))
    for read in reads:
        with refused(DataError, "pipe-silent"):
            read()
