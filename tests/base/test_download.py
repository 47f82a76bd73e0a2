"""Downloads that break off, are killed or stand half done end in the same bytes; tried on a true HTTP server."""

import http.server
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sewcli.base.download import download
from sewcli.base.errors import UsageError

CONTENT = bytes(range(256)) * 20_000  # 5 MB


class Server(http.server.ThreadingHTTPServer):
    """Serves CONTENT under any name; tells which ranges were asked for."""

    ranges = True  # whether it knows range requests
    breaks_after: int | None = None  # bytes after which it drops a connection
    pause = 0.0  # seconds between two blocks
    length = True  # whether it says how long the file is

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str | None] = []


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        server = self.server
        assert isinstance(server, Server)
        wanted = self.headers.get("Range")
        server.asked.append(wanted)
        start = 0
        if wanted and server.ranges:
            start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1])
            if start >= len(CONTENT):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(CONTENT)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
        if self.path == "/nothing":
            self.send_error(404)
            return
        self.send_response(206 if start else 200)
        if server.length:
            self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        sent = 0
        for place in range(start, len(CONTENT), 100_000):
            block = CONTENT[place : place + 100_000]
            if server.breaks_after is not None and sent + len(block) > server.breaks_after:
                self.close_connection = True
                return
            self.wfile.write(block)
            sent += len(block)
            time.sleep(server.pause)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Server() as service:
        thread = threading.Thread(target=service.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield service
        service.shutdown()
        thread.join()


def url(server: Server, name: str = "file.gz") -> str:
    return f"http://127.0.0.1:{server.server_port}/{name}"


@pytest.mark.parametrize("size", [len(CONTENT), None])
def test_a_file_comes_whole_and_is_not_asked_for_twice(server: Server, tmp_path: Path, size: int | None) -> None:
    path = tmp_path / "new" / "file.gz"
    download(url(server), path, size=size)
    download(url(server), path, size=size)
    assert path.read_bytes() == CONTENT
    assert server.asked == [None] and [p.name for p in path.parent.iterdir()] == ["file.gz"]


@pytest.mark.parametrize("size", [len(CONTENT), None])
def test_a_connection_that_breaks_is_opened_again_where_it_broke(
    server: Server, tmp_path: Path, size: int | None
) -> None:
    server.breaks_after = 2_000_000
    download(url(server), tmp_path / "file.gz", size=size)
    assert (tmp_path / "file.gz").read_bytes() == CONTENT
    assert server.asked == [None, "bytes=2000000-", "bytes=4000000-"]


def test_a_server_that_sends_nothing_more_is_an_error_and_what_came_is_kept(server: Server, tmp_path: Path) -> None:
    path, server.breaks_after = tmp_path / "file.gz", 0
    (tmp_path / "file.gz.part").write_bytes(CONTENT[:1_000_000])
    with pytest.raises(UsageError, match=r"cannot download[\s\S]*run the same command again"):
        download(url(server), path, size=len(CONTENT))
    assert not path.exists() and (tmp_path / "file.gz.part").stat().st_size == 1_000_000
    server.breaks_after = None
    download(url(server), path, size=len(CONTENT))
    assert path.read_bytes() == CONTENT and server.asked[-1] == "bytes=1000000-"


def test_a_server_without_ranges_sends_it_from_the_beginning(server: Server, tmp_path: Path) -> None:
    server.ranges = False
    (tmp_path / "file.gz.part").write_bytes(CONTENT[:1_000_000])
    download(url(server), tmp_path / "file.gz", size=len(CONTENT))
    assert (tmp_path / "file.gz").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("size", "more", "asked"),
    [
        (len(CONTENT), 0, []),  # killed before it got its name
        (None, 0, [f"bytes={len(CONTENT)}-"]),
        (len(CONTENT), 7, [None]),
        (None, 7, [f"bytes={len(CONTENT) + 7}-", None]),
    ],
)
def test_a_part_that_is_the_whole_file_or_more_than_that(
    server: Server, tmp_path: Path, size: int | None, more: int, asked: list[str | None]
) -> None:
    (tmp_path / "file.gz.part").write_bytes(CONTENT + b"!" * more)
    download(url(server), tmp_path / "file.gz", size=size)
    assert (tmp_path / "file.gz").read_bytes() == CONTENT
    assert server.asked == asked


def test_another_size_than_published_is_refused_before_it_is_downloaded(server: Server, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"5,120,000 bytes, 999 are published .*\n.*mirror"):
        download(url(server), tmp_path / "file.gz", size=999)
    assert not any(tmp_path.iterdir())


def test_no_server_and_no_such_file(server: Server, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"404[\s\S]*download it yourself to .*file\.gz"):
        download(url(server, "nothing"), tmp_path / "file.gz")
    with pytest.raises(UsageError, match="refused"):
        download("http://127.0.0.1:9/file.gz", tmp_path / "file.gz")


CHILD = """
import sys
from pathlib import Path
from sewcli.base.download import download
download(sys.argv[1], Path(sys.argv[2]))
"""


def test_killed_and_run_again(server: Server, tmp_path: Path) -> None:
    server.pause = 0.01
    path, part = tmp_path / "file.gz", tmp_path / "file.gz.part"
    child = subprocess.Popen([sys.executable, "-c", CHILD, url(server), str(path)])
    deadline = time.monotonic() + 60
    while not (part.exists() and part.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.002)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    there = part.stat().st_size
    assert 0 < there < len(CONTENT) and not path.exists()
    server.pause = 0.0
    download(url(server), path)
    assert path.read_bytes() == CONTENT and server.asked == [None, f"bytes={there}-"]
