"""Large files from the web: what has come is kept in NAME.part, and the same call goes on where it stopped.

A file takes its name only when all of it is there. A connection that breaks is opened again as long as each attempt
brings something (RFC 9110, section 14: range requests).
"""

from __future__ import annotations

import os
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import BinaryIO
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from sewcli.base import log
from sewcli.base.errors import UsageError
from sewcli.base.files import os_errors_as_usage_errors
from sewcli.base.lock import held

BLOCK = 1 << 20  # bytes
TIMEOUT = 60.0  # seconds without a byte
MEGABYTE = 1_000_000
UNSATISFIABLE = 416  # nothing behind the range asked for: all of it is here, or more than all


def download(url: str, path: Path, *, size: int | None = None) -> None:
    """Download `url` to `path`, if it is not there.

    Args:
        url: http or https.
        path: the file to write.
        size: its published bytes; None where none are published.

    Raises:
        UsageError: no connection, another size than published, or the file cannot be written.
    """
    with held(path.with_name(f".{path.name}.lock"), busy=f"{path}: another process is downloading it", wait=True):
        if path.is_file():
            log.info(f"{path}: downloaded already")
        else:
            _download(url, path, size)


def _download(url: str, path: Path, size: int | None) -> None:
    part = path.with_name(f"{path.name}.part")
    with os_errors_as_usage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        before = _size(part)
        try:
            whole = _attempt(url, part, size)
        except HTTPError as error:
            raise _no_download(url, f"{error.code} {error.reason}", path) from None
        except (URLError, HTTPException, OSError) as error:
            if _size(part) <= before:
                raise _no_download(url, str(getattr(error, "reason", None) or error), path) from None
            whole = False
        if whole:
            break
        if _size(part) <= before:
            raise _no_download(url, "the connection breaks off", path)
        log.warn(f"{path.name}: the connection broke off after {_size(part):,} bytes; going on from there")
    with os_errors_as_usage_errors(path):
        os.replace(part, path)


def _attempt(url: str, part: Path, size: int | None) -> bool:
    """One connection. True: all of it is in `part` now; False: the server stopped early."""
    have = _size(part)
    if size is not None and have == size:
        return True
    if size is not None and have > size:
        part.unlink()
        have = 0
    request = Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        response: HTTPResponse = urlopen(request, timeout=TIMEOUT)
    except HTTPError as error:
        if error.code != UNSATISFIABLE or not have:
            raise
        if error.headers.get("Content-Range", "").endswith(f"*/{have}"):
            return True  # an earlier run was killed before it gave the file its name
        part.unlink()  # what is here is not the beginning of what is there
        response = urlopen(url, timeout=TIMEOUT)
        have = 0
    with response:
        if response.status != 206:  # the server sends it from its beginning
            have = 0
        coming = response.headers.get("Content-Length")
        total = have + int(coming) if coming else size
        if size is not None and total != size:
            raise UsageError(
                "download-wrong-size",
                f"the server has {total:,} bytes, {size:,} are published",
                where=url,
                hint="download it from a mirror, and give its folder",
            )
        _receive(response, part, have, total)
    return total is None or _size(part) == total


def _receive(response: HTTPResponse, part: Path, have: int, total: int | None) -> None:
    title = f"downloading {part.name.removesuffix('.part')} (MB)"
    megabytes = None if total is None else total // MEGABYTE
    with _opened(part, have) as file, log.progress(title, megabytes, done=have // MEGABYTE) as meter:
        shown = have // MEGABYTE
        while block := response.read(BLOCK):
            with os_errors_as_usage_errors(part):
                file.write(block)
            have += len(block)
            meter.advance(have // MEGABYTE - shown)
            shown = have // MEGABYTE
        with os_errors_as_usage_errors(part):
            file.flush()
            os.fsync(file.fileno())


def _opened(part: Path, have: int) -> BinaryIO:
    with os_errors_as_usage_errors(part):
        return open(part, "ab" if have else "wb")


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _no_download(url: str, reason: str, path: Path) -> UsageError:
    return UsageError(
        "cannot-download",
        f"cannot download {url} ({reason})",
        hint="check the connection and run the same command again (it goes on where it stopped), "
        f"or download it yourself to {path}",
    )
