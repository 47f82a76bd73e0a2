"""Named pipes, sockets and devices where a file is due: opening one may wait for ever, and it cannot be read twice."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from sewcli.base.errors import DataError


def require_regular(path: str | Path) -> None:
    """Refuse what is no file; a folder is left to whoever opens it, and /dev/null is an empty file.

    Raises:
        DataError: a named pipe, a socket or a device. OSError, ValueError: it cannot be looked at.
    """
    mode = Path(path).stat().st_mode
    for is_one, name in ((stat.S_ISFIFO, "a named pipe"), (stat.S_ISSOCK, "a socket"), (stat.S_ISCHR, "a device")):
        if is_one(mode) and str(path) != os.devnull:
            raise DataError(
                "not-a-regular-file",
                f"{name}, not a regular file",
                where=path,
                hint="write its content to a file first",
            )
