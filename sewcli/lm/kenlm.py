"""The one door through which a file gets into KenLM, whose C++ believes what it reads.

KenLM parses an ARPA file with care; only its header can bring it down, and that is checked here. It maps a binary as it is: the
header is checked here, and the first time that a file is met it is loaded and scored with in a process of its own, whose
death is an error message. What was found sound is remembered by path, size and times, in $XDG_CACHE_HOME/sew/kenlm (else
~/.cache/sew/kenlm), so that a model of gigabytes is loaded twice once, and not at every start.
Layout of a binary: lm/binary_format.hh of KenLM; all numbers little-endian.
"""

from __future__ import annotations

import contextlib
import math
import mmap
import os
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sewcli.artifacts.digest import digest
from sewcli.base.errors import DataError
from sewcli.base.files import is_there, refuse_pointer
from sewcli.base.regular import require_regular
from sewcli.lm.arpa import read_header
from sewcli.lm.ngram import MAX_ORDER

MIN_ORDER = 2
MAGIC = b"mmap lm http://kheafield.com/code"
SANITY = (
    MAGIC
    + b" format version 5\n\0".ljust(88 - 32 - len(MAGIC), b"\0")
    + struct.pack("<fffIIIQ", 0, 1, -0.5, 1, 2**32 - 1, 0, 1)
)
FIXED = struct.Struct("<B3xfi?3xI")  # order, probing multiplier, type, whether it has its words, version of the search
TYPES = 6
LARGEST_MULTIPLIER = 100.0
SHORTEST_LINE = 4  # bytes of an n-gram in an ARPA file
MOST_UNPACKED = 1032  # bytes that one of deflate stands for at most
SLOWEST = 10 << 20  # bytes a second
PATIENCE = 30.0  # seconds, and as many as the file's size takes
HINT = "make or copy it again"


def load_lm(model: Path, words: Any) -> Any:
    """flashlight's KenLM over the words of its dictionary.

    Raises:
        DataError: KenLM cannot read the file.
    """
    from flashlight.lib.text.decoder.kenlm import KenLM

    check_file(model)
    try:
        with _quiet():
            return KenLM(str(model), words)
    except (RuntimeError, MemoryError) as error:
        reason = str(error).strip().splitlines()[-1:] or ["not a language model"]
        raise DataError("kenlm-refuses", f"KenLM cannot read it: {reason[0][:300]}", where=model, hint=HINT) from None


def is_binary(path: Path) -> bool:
    """Whether a file begins as KenLM's binaries do."""
    with open(path, "rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def check_file(path: Path) -> None:
    """Refuse a file that would bring KenLM's C++ down.

    Raises:
        DataError: not an ARPA file nor a binary, an order that cannot be read, counts that do not fit into the file, cut
            off, or a binary that KenLM died of.
    """
    if not path.is_file():
        if is_there(path):
            require_regular(path)
        raise DataError("file-not-found", "no such file", where=path)
    refuse_pointer(path)
    if not is_binary(path):
        _check_arpa(path)
        return
    _check_binary(path)
    mark = _mark(path)
    if mark is not None and mark.exists():
        return
    _try_apart(path)
    if mark is not None:
        with contextlib.suppress(OSError):
            mark.parent.mkdir(parents=True, exist_ok=True)
            mark.touch()


def check_order(order: int, where: Path) -> None:
    """Refuse what KenLM was not compiled for.

    Raises:
        DataError: an order outside of 2 to 6.
    """
    if not MIN_ORDER <= order <= MAX_ORDER:
        raise DataError(
            "invalid-order",
            f"an order of {order}; KenLM reads {MIN_ORDER} to {MAX_ORDER}",
            where=where,
            hint=f"sew lm ngram --order {min(max(order, MIN_ORDER), MAX_ORDER)}",
        )


def _check_arpa(path: Path) -> None:
    header = read_header(path)
    check_order(header.order, path)
    with open(path, "rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    room = path.stat().st_size * (MOST_UNPACKED if packed else 1)
    if not header.counts[0] or sum(header.counts) * SHORTEST_LINE > room:
        raise DataError(
            "arpa-cut-off",
            f"its header says {sum(header.counts):,} n-grams, which are not in {path.stat().st_size:,} bytes",
            where=path,
            hint=HINT,
        )


def _check_binary(path: Path) -> None:
    size = path.stat().st_size
    with open(path, "rb") as file:
        head = file.read(len(SANITY) + FIXED.size + 8 * MAX_ORDER)
    if len(head) < len(SANITY) + FIXED.size or not head.startswith(SANITY):
        raise DataError(
            "not-a-kenlm-binary",
            "not a KenLM binary of this version and machine",
            where=path,
            hint="make it again: build_binary",
        )
    order, multiplier, kind, has_words, _ = FIXED.unpack_from(head, len(SANITY))
    check_order(order, path)
    if not math.isfinite(multiplier) or not 1 < multiplier <= LARGEST_MULTIPLIER or not 0 <= kind < TYPES:
        raise DataError(
            "kenlm-binary-damaged", f"a damaged header (type {kind}, multiplier {multiplier:g})", where=path, hint=HINT
        )
    if size < len(SANITY) + FIXED.size + 8 * order:
        raise DataError("kenlm-binary-damaged", "cut off within its header", where=path, hint=HINT)
    counts = struct.unpack_from(f"<{order}Q", head, len(SANITY) + FIXED.size)
    if not counts[0] or sum(counts) > size:
        raise DataError(
            "kenlm-binary-damaged", f"its header says {sum(counts):,} n-grams in {size:,} bytes", where=path, hint=HINT
        )
    if has_words:
        _check_words(path, counts[0])


def _check_words(path: Path, count: int) -> None:
    """Its words are the end of the file, in the order of their numbers: the first is <unk>; KenLM does not miss them."""
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        begin = content.rfind(b"<unk>\0")
        words = content[begin:].count(b"\0") if begin >= 0 and content[-1:] == b"\0" else -1
    if words not in (count, count + 1):  # <unk> need not be counted
        raise DataError(
            "kenlm-binary-damaged", f"cut off or damaged: its {count:,} words are not at its end", where=path, hint=HINT
        )


def _try_apart(path: Path) -> None:
    """Load and use it in a process that may die."""
    command = [sys.executable, "-m", "sewcli.lm.kenlm_trial", str(path.absolute())]
    patience = PATIENCE + path.stat().st_size / SLOWEST
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=patience, check=False)
    except subprocess.TimeoutExpired:
        raise DataError(
            "kenlm-binary-damaged", f"KenLM did not end with it in {patience:.0f} s: damaged", where=path, hint=HINT
        ) from None
    if done.returncode < 0:
        raise DataError(
            "kenlm-binary-damaged",
            f"damaged: KenLM died of it (signal {-done.returncode})",
            where=path,
            hint="make or copy it again; its ARPA file serves as well",
        )
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["not a language model"])[-1]
        raise DataError("kenlm-refuses", f"KenLM cannot read it: {reason[:300]}", where=path, hint=HINT)


def _mark(path: Path) -> Path | None:
    """The file that says that this very file is sound; None where there is no home."""
    facts = path.stat()
    state = f"{path.absolute()}\n{facts.st_size}\n{facts.st_mtime_ns}\n{facts.st_ctime_ns}\n{facts.st_ino}"
    try:
        place = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:
        return None
    return place / "sew" / "kenlm" / digest(state)[:32]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """KenLM draws a progress bar of its own on stderr while it reads an ARPA file."""
    sys.stderr.flush()
    kept, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)
