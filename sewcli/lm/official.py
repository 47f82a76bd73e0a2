"""The language models that papers report with, brought to where `sew decode --lm` finds them.

LibriSpeech's n-gram models and word lists (OpenSLR 11), VoxPopuli's (facebookresearch/voxpopuli, `lm/en`). A model
file is held against its published size and read to its end once; then it is linked, never changed, to `data/lm/NAME`,
its words are spelled in letters in `NAME.lexicon.txt`, and KenLM's `build_binary` is used where it is on PATH.
"""

from __future__ import annotations

import contextlib
import gzip
import os
import shutil
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from sewcli.base import log
from sewcli.base.download import download
from sewcli.base.errors import DataError, UsageError, nearest
from sewcli.base.files import TEMPORARY, atomic_path, os_errors_as_usage_errors, read_json, sha256, write_json
from sewcli.base.lock import held
from sewcli.lm.arpa import read_header, read_words
from sewcli.lm.binary import binary_path, build_binary
from sewcli.lm.files import ENDINGS, FOLDER, lexicon_name
from sewcli.lm.kenlm import MAGIC
from sewcli.lm.lexicon import words_of, write_lexicon
from sewcli.lm.symbols import symbols_for
from sewcli.text.tokens import Vocabulary

RECORD = "official.json"
LIBRISPEECH = "https://www.openslr.org/resources/11"
VOXPOPULI = "https://dl.fbaipublicfiles.com/voxpopuli/lm/en"

SIZES = {  # bytes, as Kaldi's local/download_lm.sh lists them
    "3-gram.arpa.gz": 759_636_181,
    "3-gram.pruned.1e-7.arpa.gz": 34_094_057,
    "3-gram.pruned.3e-7.arpa.gz": 13_654_242,
    "4-gram.arpa.gz": 1_355_172_078,
    "librispeech-lexicon.txt": 5_627_653,
    "librispeech-vocab.txt": 1_737_588,
}
LIBRISPEECH_WORDS = ("librispeech-vocab.txt", "librispeech-lexicon.txt", "librispeech_lexicon.lst")
VOXPOPULI_WORDS = ("en_lm.lexicon",)


@dataclass(frozen=True)
class Official:
    """A published model: its file, its name in `data/lm/`, the files that may hold its words, and where all are."""

    file: str
    name: str
    words: tuple[str, ...]
    server: str


MODELS = {
    "4gram": Official("4-gram.arpa.gz", "4gram", LIBRISPEECH_WORDS, LIBRISPEECH),
    "3gram": Official("3-gram.arpa.gz", "3gram", LIBRISPEECH_WORDS, LIBRISPEECH),
    "3gram-1e-7": Official("3-gram.pruned.1e-7.arpa.gz", "3gram-1e-7", LIBRISPEECH_WORDS, LIBRISPEECH),
    "3gram-3e-7": Official("3-gram.pruned.3e-7.arpa.gz", "3gram-3e-7", LIBRISPEECH_WORDS, LIBRISPEECH),
    "voxpopuli-5gram": Official("en_5gram_lm.bin", "5gram", VOXPOPULI_WORDS, VOXPOPULI),
    "voxpopuli-3gram": Official("en_3gram_lm.bin", "3gram", VOXPOPULI_WORDS, VOXPOPULI),
}

NGRAMS_PER_SECOND = 1.8e6  # measured: an ARPA file of 4.28 million n-grams loads in 2.4 s, gzipped or not
BYTES_PER_NGRAM = 21  # measured: KenLM's tables of the same model
SLOW = 30.0  # seconds of loading that are worth a word


def default_folder() -> Path:
    """Where official models are downloaded to."""
    return Path(os.environ.get("SEW_CORPORA") or "download") / "language-models"


def download_model(key: str, folder: Path) -> Path:
    """Download a model and its word list; what is there is kept, and what is half there goes on.

    Returns:
        The model's file.

    Raises:
        UsageError: no such model, or no download.
    """
    model = MODELS.get(key)
    if model is None:
        raise UsageError(
            "no-such-lm", f"no official model {key!r}{nearest(key, MODELS)}", hint=f"there are: {', '.join(MODELS)}"
        )
    for name in (model.words[0], model.file):
        download(f"{model.server}/{name}", folder / name, size=SIZES.get(name))
    return folder / model.file


def install(source: Path, data: Path, name: str | None = None, symbols: Path | None = None) -> list[dict[str, Any]]:
    """Bring official models to `data/lm/`.

    Args:
        source: a model's file, or a folder that holds some.
        data: folder of the prepared corpus.
        name: for `sew decode --lm`, instead of the usual one.
        symbols: the recogniser's, as in `build_ngram`.

    Returns:
        For each model: name, model, source, bytes, lexicon, lexicon_words, binary, ngrams (none of a binary).

    Raises:
        UsageError: no official model there, or another model has its name.
        DataError: a file that is not whole.
    """
    found = _find(source)
    if name is not None and (len(found) > 1 or Path(name).name != name or not name):
        raise UsageError(
            "options-conflict",
            f"--name {name!r} names one model, and no folder",
            hint="give one file, and a plain name",
        )
    if not data.is_dir():
        raise UsageError(
            "no-prepared-corpus", "no prepared corpus here", where=data, hint="first run: sew prep, or give --data"
        )
    alphabet, _ = symbols_for(data, symbols)
    folder = data / FOLDER
    with held(folder / f".{RECORD}.lock", busy=f"{folder}: another sew lm official is at work", wait=True):
        return [_install(path, model, folder, name or model.name, alphabet) for path, model in found]


def _find(source: Path) -> list[tuple[Path, Official]]:
    """Official models by the names of their files, unpacked ones too."""
    by_file = {model.file: model for model in MODELS.values()}
    by_file |= {file.removesuffix(".gz"): model for file, model in by_file.items()}
    if source.is_dir():
        found = {by_file[path.name]: path for path in sorted(source.iterdir()) if path.name in by_file}
        if found:
            return [(path, model) for model, path in found.items()]
        raise UsageError(
            "lm-not-found",
            "no official language model in this folder",
            where=source,
            hint=f"it would hold one of: {', '.join(SIZES)}",
        )
    if source.name in by_file and source.is_file():
        return [(source, by_file[source.name])]
    if not source.exists():
        siblings = [path.name for path in source.absolute().parent.glob("*")]
        raise UsageError(
            "file-not-found",
            f"no such file{nearest(source.name, siblings)}",
            where=source,
            hint=f"give a file or its folder, or --download NAME ({', '.join(MODELS)})",
        )
    raise UsageError(
        "no-such-lm",
        f"not the name of an official model{nearest(source.name, by_file)}",
        where=source,
        hint=f"another model needs no installing, only a lexicon.txt beside it: sew decode --lm {source}",
    )


def _install(path: Path, model: Official, folder: Path, name: str, alphabet: Vocabulary) -> dict[str, Any]:
    path = path.absolute()
    link = folder / f"{name}{next(ending for ending in reversed(ENDINGS) if path.name.endswith(ending))}"
    words = next((file for file in map(path.parent.joinpath, model.words) if file.is_file()), None)
    before: dict[str, Any] | None = _record(folder).get(name)
    summary: dict[str, Any] = {
        "name": name,
        "model": str(link),
        "source": str(path),
        "bytes": _checked_size(path),
        "modified": path.stat().st_mtime_ns,
        "words": str(words) if words else None,
        "symbols": list(alphabet.tokens),
    }
    if before and _is_done(before, summary):
        log.info(f"{name}: installed already, and its files have not changed")
        return before
    _refuse_others(folder, name, link, known=before is not None or link.resolve() == path.resolve())
    _check_whole(path)
    summary |= {"ngrams": None if path.suffix == ".bin" else list(read_header(path).counts)}
    lexicon = folder / lexicon_name(name)
    summary |= {"lexicon": str(lexicon), "lexicon_words": _write_lexicon(path, words, lexicon, alphabet)}
    _link(path, link)
    binary = link if path.suffix == ".bin" else build_binary(link)
    summary |= {"binary": str(binary) if binary else None, "lexicon_sha256": sha256(lexicon)}
    if summary["ngrams"] and not binary:
        _tell_loading(link, sum(summary["ngrams"]))
    write_json(folder / RECORD, {**_record(folder), name: summary})
    return summary


def _write_lexicon(model: Path, words: Path | None, lexicon: Path, alphabet: Vocabulary) -> int:
    """Spell the words of the model in the recogniser's symbols, in its case; returns how many could be."""
    if words is None and model.suffix == ".bin":
        raise UsageError(
            "word-list-missing",
            "a binary does not tell its words, and no list of them lies beside it",
            where=model,
            hint=f"put {' or '.join(VOXPOPULI_WORDS)} beside it",
        )
    if words is not None:
        _checked_size(words)
    listed = read_words(model) if words is None else words_of(words)
    return len(set(listed)) - len(write_lexicon(listed, alphabet, lexicon))


def _checked_size(path: Path) -> int:
    """Its bytes.

    Raises:
        DataError: not as many as published.
    """
    size, published = path.stat().st_size, SIZES.get(path.name)
    if published is not None and size != published:
        part = "truncated" if size < published else "not the published file"
        key = next((key for key, model in MODELS.items() if path.name in (model.file, *model.words)), "4gram")
        raise DataError(
            "download-wrong-size",
            f"{part}: {size:,} bytes, {published:,} are published",
            where=path,
            hint=f"delete it and download it again: sew lm official --download {key}",
        )
    return size


def _check_whole(path: Path) -> None:
    """Read a model to its end: a gzip file has a checksum there, an ARPA file its mark.

    Raises:
        DataError: it ends early, is damaged, or is no model.
    """
    with open(path, "rb") as file:
        head = file.read(len(MAGIC))
        if path.suffix == ".bin":
            if head != MAGIC:
                raise DataError("not-a-kenlm-binary", "not a KenLM binary", where=path, hint=_AGAIN)
            return
        try:
            last = _last_bytes(file, path)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise DataError("cannot-read", f"cannot be read to its end ({error})", where=path, hint=_AGAIN) from None
    if not last.rstrip().endswith(b"\\end\\"):
        raise DataError(
            "arpa-cut-off", "the ARPA file ends early: no \\end\\ on its last line", where=path, hint=_AGAIN
        )


_AGAIN = "delete it, and copy or download it again"
_BLOCK = 1 << 22


def _last_bytes(file: IO[bytes], path: Path) -> bytes:
    """The end of what an ARPA file holds; a gzipped one is unpacked for it, which checks all of it."""
    size = path.stat().st_size
    if path.suffix != ".gz":
        file.seek(max(0, size - 1000))
        return file.read()
    file.seek(0)
    last = b""
    with gzip.GzipFile(fileobj=file) as unpacked, log.progress(f"checking {path.name} (MB)", size // 10**6) as meter:
        shown = 0
        while block := unpacked.read(_BLOCK):
            last = (last + block)[-1000:]
            meter.advance(file.tell() // 10**6 - shown)
            shown = file.tell() // 10**6
    return last


def _refuse_others(folder: Path, name: str, link: Path, *, known: bool) -> None:
    """A model of the same name that is not ours would be lost, or found in place of this one."""
    allowed = {link, binary_path(link)} if known else set()
    others = [path for path in (folder / f"{name}{ending}" for ending in ENDINGS) if os.path.lexists(path)]
    if strangers := [path for path in others if path not in allowed]:
        raise UsageError(
            "lm-exists",
            "another language model has this name",
            where=strangers[0],
            hint=f"move it away, or give this one another name: --name official-{name}",
        )


def _link(source: Path, link: Path) -> None:
    """A symbolic link, or a copy where there are none."""
    temporary = link.with_name(f"{TEMPORARY}{os.getpid()}-{link.name}")
    with os_errors_as_usage_errors(link):
        link.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary.symlink_to(source)
            os.replace(temporary, link)
            return
        except (OSError, NotImplementedError):
            temporary.unlink(missing_ok=True)
    with atomic_path(link) as copy:
        shutil.copyfile(source, copy)


def _tell_loading(arpa: Path, ngrams: int) -> None:
    seconds = ngrams / NGRAMS_PER_SECOND
    if seconds < SLOW:
        return
    log.warn(
        f"{arpa}: {ngrams:,} n-grams as text: each decoding will take about {seconds / 60:.1f} minutes and "
        f"{ngrams * BYTES_PER_NGRAM / 1e9:.1f} GB to load it. A binary loads in a second: put KenLM's build_binary "
        f"(https://github.com/kpu/kenlm) on PATH and run this again, or run build_binary {arpa} {binary_path(arpa)}"
    )


def _is_done(before: dict[str, Any], now: dict[str, Any]) -> bool:
    """Whether the same files were installed, all that was written is there, and nothing better can be made now."""
    lexicon, binary = Path(before["lexicon"]), before["binary"]
    return (
        all(before.get(key) == value for key, value in now.items())
        and Path(before["model"]).is_file()
        and lexicon.is_file()
        and sha256(lexicon) == before["lexicon_sha256"]
        and (Path(binary).is_file() if binary else shutil.which("build_binary") is None)
    )


def _record(folder: Path) -> dict[str, Any]:
    with contextlib.suppress(DataError):
        record = read_json(folder / RECORD)
        if isinstance(record, dict):
            return record
    return {}
