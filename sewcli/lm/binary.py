"""KenLM binaries: the form of a model that loads in milliseconds and that processes share.

Only KenLM's own `build_binary` writes it (its Python module cannot); where that is not on PATH the ARPA file serves as well,
at some 2.4 s of loading per 4 million n-grams.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from sewcli.base import log
from sewcli.base.files import atomic_path

PROGRAM = "build_binary"


def build_binary(arpa: Path) -> Path | None:
    """Write `NAME.bin` beside `NAME.arpa[.gz]`; None, and no older binary left, where KenLM's program is not there."""
    target = binary_path(arpa)
    program = shutil.which(PROGRAM)
    if program is None:
        target.unlink(missing_ok=True)  # it would be taken for this model, but is of an earlier one
        log.info(f"no {PROGRAM} on PATH: decoding reads the ARPA file itself, which loads more slowly")
        return None
    try:
        with atomic_path(target) as temporary:
            subprocess.run([program, str(arpa), str(temporary)], capture_output=True, text=True, check=True)
    except subprocess.CalledProcessError as error:
        target.unlink(missing_ok=True)
        reason = (error.stderr.strip().splitlines() or ["no message"])[-1]
        log.warn(f"{PROGRAM} failed ({reason}): keeping the ARPA file")
        return None
    return target


def binary_path(arpa: Path) -> Path:
    """`lm/4gram.arpa.gz` -> `lm/4gram.bin`."""
    return arpa.with_name(arpa.name.removesuffix(".gz").removesuffix(".arpa") + ".bin")
