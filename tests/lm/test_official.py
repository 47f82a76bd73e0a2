"""Published models come to where decoding finds them, whole or not at all; a small 4-gram stands in for the large one."""

import gzip
import http.server
import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from support.refusals import refused

from sewcli.base.errors import DataError, UsageError
from sewcli.cli import lm as cli
from sewcli.decoding.beam import BeamDecoder, BeamOptions
from sewcli.lm import official
from sewcli.lm.binary import PROGRAM
from sewcli.lm.build import build_ngram
from sewcli.lm.files import resolve
from sewcli.lm.lexicon import read_lexicon
from sewcli.lm.official import default_folder, download_model, install
from sewcli.text.tokens import Vocabulary

GOLDEN = Path(__file__).parent / "golden"
LETTERS = Vocabulary.letters()
WORDS = sorted(set((GOLDEN / "text.txt").read_text().split()))
CHECKED = {name: size for name, size in official.SIZES.items() if name.startswith(("4-gram", "librispeech-vocab"))}


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A 4-gram.arpa.gz of the golden text, its words in capitals."""
    folder = tmp_path_factory.mktemp("made")
    build_ngram([GOLDEN / "text.txt"], 4, folder, folder / "4-gram.arpa.gz")
    return folder / "4-gram.arpa.gz"


@pytest.fixture
def published(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder as it is downloaded, with the sizes of its files in place of the published ones."""
    folder = tmp_path / "language models"
    folder.mkdir()
    shutil.copy(made, folder)
    (folder / "librispeech-vocab.txt").write_text("".join(f"{word}\n" for word in [*WORDS, "A'B", "É", "<UNK>"]))
    for name in ("4-gram.arpa.gz", "librispeech-vocab.txt"):
        monkeypatch.setitem(official.SIZES, name, (folder / name).stat().st_size)
    monkeypatch.setenv("PATH", "")  # no build_binary
    return folder


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def test_decoding_finds_it_by_its_name(published: Path, data: Path) -> None:
    (summary,) = install(published, data)
    files = resolve("4gram", data, LETTERS)
    assert files.model == data / "lm" / "4gram.arpa.gz" and files.model.is_symlink()
    assert files.model.read_bytes() == (published / "4-gram.arpa.gz").read_bytes()
    assert {entry.word for entry in read_lexicon(files.lexicon, LETTERS)} == {*WORDS, "A'B"}
    assert summary["lexicon_words"] == len(WORDS) + 1 and summary["ngrams"][0] == len(WORDS) + 3
    sentence = (GOLDEN / "text.txt").read_text().splitlines()[0]
    values = np.full((2 * len(sentence), len(LETTERS)), -9.0, dtype=np.float32)
    for frame, symbol in enumerate(LETTERS.encode(sentence)):
        values[2 * frame, symbol] = values[2 * frame + 1, LETTERS.blank] = -1e-3
    assert BeamDecoder(files, LETTERS, BeamOptions()).decode("u", values)[0].text == sentence
    json.dumps(summary, allow_nan=False)


@pytest.mark.fault("report-27", "report-59")
def test_its_words_are_spelled_in_the_symbols_of_the_recogniser(published: Path, data: Path) -> None:
    own = Vocabulary(("<pad>", "<s>", "</s>", "<unk>", "|", *"abcdefghijklmnopqrstuvwxyz'é"))
    own.save(data)  # of the prepared corpus
    (summary,) = install(published, data)
    files = resolve("4gram", data, own)
    entries = {entry.word: own.text(entry.spelling) for entry in read_lexicon(files.lexicon, own)}
    assert entries == {word: word.lower() for word in [*WORDS, "A'B", "É"]}
    assert summary["lexicon_words"] == len(entries)
    (published / "symbols.txt").write_text("\n".join("ABCDEFGHIJKLMNOPQRSTUVWXYZ'"))
    (again,) = install(published, data, symbols=published / "symbols.txt")  # other symbols: spelled again
    assert again["lexicon_words"] == len(entries) - 1
    (published / "symbols.txt").write_text("А\nБ\n")
    with refused(DataError, "words-not-spellable") as caught:
        install(published, data, symbols=published / "symbols.txt")
    assert "--vocab" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("librispeech-lexicon.txt", "{word} AH0 B AW1 T\n{word} AH0 B\n"),
        ("librispeech_lexicon.lst", "{word}\t{word} |\n"),
        (None, ""),
    ],
)
def test_words_come_from_any_list_beside_it_or_from_the_model(
    published: Path, data: Path, name: str | None, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (published / "librispeech-vocab.txt").unlink()
    if name:
        (published / name).write_text("".join(line.format(word=word) for word in WORDS))
        monkeypatch.setitem(official.SIZES, name, (published / name).stat().st_size)
    install(published / "4-gram.arpa.gz", data)
    lexicon = resolve("4gram", data, LETTERS).lexicon
    assert [entry.word for entry in read_lexicon(lexicon, LETTERS)] == WORDS


def test_an_unpacked_model_serves_as_well(published: Path, data: Path) -> None:
    packed = published / "4-gram.arpa.gz"
    (published / "4-gram.arpa").write_bytes(gzip.decompress(packed.read_bytes()))
    packed.unlink()
    install(published, data)
    assert resolve("4gram", data, LETTERS).model.name == "4gram.arpa"
    (published / "4-gram.arpa").write_bytes((published / "4-gram.arpa").read_bytes()[:-9])
    with refused(DataError, "arpa-cut-off"):
        install(published, data)


def test_run_again_it_is_passed_over_until_something_changes(
    published: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = install(published, data)
    assert "installed already" not in capsys.readouterr().err
    assert install(published, data) == first
    assert "4gram: installed already" in capsys.readouterr().err
    lexicon = data / "lm" / "4gram.lexicon.txt"
    whole = lexicon.read_bytes()
    lexicon.write_bytes(whole[:100])
    assert install(published, data) == first and lexicon.read_bytes() == whole
    assert "installed already" not in capsys.readouterr().err


@pytest.mark.parametrize("name", list(CHECKED))
def test_another_size_than_published_is_refused(published: Path, data: Path, name: str) -> None:
    content = (published / name).read_bytes()
    for changed, what in ((content[:-20], "truncated"), (content + b"!", "not the published file")):
        (published / name).write_bytes(changed)
        with pytest.raises(
            DataError, match=rf"{what}: [\d,]+ bytes, [\d,]+ are published .*\n.*--download 4gram"
        ) as caught:
            install(published, data)
        assert caught.value.where == published / name and not (data / "lm" / "4gram.arpa.gz").exists()


@pytest.mark.parametrize("damage", ["truncated", "damaged", "no end"])
def test_a_file_that_is_not_whole_is_refused(
    published: Path, data: Path, damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = published / "4-gram.arpa.gz"
    content = bytearray(path.read_bytes())
    if damage == "truncated":
        del content[-2000:]
    elif damage == "damaged":
        content[len(content) // 2] ^= 0xFF
    else:
        content = bytearray(gzip.compress(gzip.decompress(content).removesuffix(b"\\end\\\n")))
    path.write_bytes(content)
    monkeypatch.setitem(official.SIZES, path.name, len(content))
    with pytest.raises(DataError, match=r"cannot be read to its end|ends early") as caught:
        install(published, data)
    assert caught.value.where == path and "download it again" in str(caught.value)
    assert not list((data / "lm").glob("4gram*"))


def test_a_model_of_the_same_name_is_neither_lost_nor_taken_for_it(published: Path, data: Path) -> None:
    build_ngram([GOLDEN / "text.txt"], 4, data, None)
    own = (data / "lm" / "4gram.arpa").read_bytes()
    with pytest.raises(
        UsageError, match=r"4gram\.arpa: another language model has this name .*\n.*--name official-4gram"
    ):
        install(published, data)
    assert (data / "lm" / "4gram.arpa").read_bytes() == own and not (data / "lm" / "4gram.arpa.gz").exists()
    install(published, data, "official-4gram")
    assert resolve("4gram", data, LETTERS).lexicon.name == "lexicon.txt"
    assert resolve("official-4gram", data, LETTERS).lexicon.name == "official-4gram.lexicon.txt"


def test_an_own_model_of_its_name_does_not_get_its_lexicon(published: Path, data: Path) -> None:
    install(published, data)
    build_ngram([GOLDEN / "text.txt"], 4, data, None)
    files = resolve("4gram", data, LETTERS)
    assert (files.model.name, files.lexicon.name) == ("4gram.arpa", "lexicon.txt")


def test_where_links_cannot_be_made_it_is_copied(published: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_: object, **__: object) -> None:
        raise OSError("no links on this file system")

    monkeypatch.setattr(Path, "symlink_to", no_links)
    install(published, data)
    copy = data / "lm" / "4gram.arpa.gz"
    assert not copy.is_symlink() and copy.read_bytes() == (published / "4-gram.arpa.gz").read_bytes()
    assert sorted(path.name for path in copy.parent.iterdir()) == [
        "4gram.arpa.gz",
        "4gram.lexicon.txt",
        "official.json",
    ]


def test_loading_for_minutes_is_said_with_the_way_out(
    published: Path, data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(official, "NGRAMS_PER_SECOND", 10.0)
    install(published, data)
    said = capsys.readouterr().err
    assert "minutes" in said and f"build_binary {data / 'lm' / '4gram.arpa.gz'} {data / 'lm' / '4gram.bin'}" in said


def test_kenlms_program_makes_it_a_binary_once_it_is_there(
    published: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The program stands in for KenLM's: what is tried is that it is called, and that a run without it is not the end."""
    assert install(published, data)[0]["binary"] is None
    program = tmp_path / "bin" / PROGRAM
    program.parent.mkdir()
    program.write_text('#!/bin/sh\n/bin/cp "$1" "$2"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    assert install(published, data)[0]["binary"] == str(data / "lm" / "4gram.bin")
    assert resolve("4gram", data, LETTERS).model.name == "4gram.bin"
    assert install(published, data)[0]["binary"]  # and it is no stranger the next time


def test_voxpopulis_words_are_spelled_in_capitals(data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "voxpopuli"
    folder.mkdir()
    (folder / "en_5gram_lm.bin").write_bytes((GOLDEN / "small-3.bin").read_bytes())
    with pytest.raises(UsageError, match=r"does not tell its words[\s\S]*en_lm\.lexicon"):
        install(folder, data)
    (folder / "en_lm.lexicon").write_text(
        "about\ta b o u t |\nMEP\tM E P |\nmember's\tm e m b e r ' s |\ncafé\tc a f é |\n"
    )
    install(folder, data)
    files = resolve("5gram", data, LETTERS)
    assert files.model.name == "5gram.bin"
    entries = read_lexicon(files.lexicon, LETTERS)
    assert [(e.word, LETTERS.text(e.spelling)) for e in entries] == [
        ("MEP", "MEP"),
        ("about", "ABOUT"),
        ("member's", "MEMBER'S"),
    ]
    (folder / "en_5gram_lm.bin").write_bytes(b"<html>not found</html>")
    with pytest.raises(DataError, match="not a KenLM binary"):
        install(folder, data)


@pytest.fixture
def server(published: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], list[str]]]:
    """A true HTTP server that holds them; called, it tells what was fetched."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    fetched: list[str] = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            fetched.append(self.path)

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(published))) as service:
        thread = threading.Thread(target=service.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        own = replace(official.MODELS["4gram"], server=f"http://127.0.0.1:{service.server_port}")
        monkeypatch.setitem(official.MODELS, "4gram", own)
        yield lambda: fetched
        service.shutdown()
        thread.join()


def test_downloaded_and_installed_by_the_command(
    server: Callable[[], list[str]], data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cli.official(tmp_path / "down", download="4gram", data=data, json=True)
    assert resolve("4gram", data, LETTERS).model.samefile(tmp_path / "down" / "4-gram.arpa.gz")
    assert json.loads(capsys.readouterr().out)["lexicon_words"] == len(WORDS) + 1
    assert server() == ["/librispeech-vocab.txt", "/4-gram.arpa.gz"]
    cli.official(tmp_path / "down", download="4gram", data=data)
    assert len(server()) == 2  # nothing twice


def test_a_server_with_another_file_is_refused(
    server: Callable[[], list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(official.SIZES, "4-gram.arpa.gz", 1355172078)
    with pytest.raises(UsageError, match=r"the server has [\d,]+ bytes, 1,355,172,078 are published"):
        download_model("4gram", tmp_path / "down")
    assert server() and not (tmp_path / "down" / "4-gram.arpa.gz").exists()


def test_default_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SEW_CORPORA", raising=False)
    assert default_folder() == Path("download/language-models")
    monkeypatch.setenv("SEW_CORPORA", "/corpora")
    assert default_folder() == Path("/corpora/language-models")


def test_what_is_missing_is_said_with_the_mend(published: Path, data: Path, tmp_path: Path) -> None:
    for call, said in (
        (lambda: install(tmp_path / "language modles", data), "no such file - did you mean 'language models'"),
        (lambda: install(data, data), "no official language model in this folder[\\s\\S]*4-gram.arpa.gz"),
        (lambda: install(published / "librispeech-vocab.txt", data), "not the name of an official model[\\s\\S]*--lm"),
        (lambda: install(published, tmp_path / "nowhere"), "no prepared corpus here[\\s\\S]*sew prep"),
        (lambda: install(published, data, "a/b"), "a plain name"),
        (lambda: download_model("4gramm", tmp_path), "no official model '4gramm' - did you mean '4gram'"),
        (lambda: cli.official(None), "--download 4gram"),
        (lambda: cli.official(published / "4-gram.arpa.gz", download="4gram"), "needs a folder"),
    ):
        with pytest.raises(UsageError, match=said):
            call()
    assert os.listdir(data) == []
