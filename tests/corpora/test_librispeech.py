"""Finding the corpus, and downloading it: every wrong folder gets the right one named."""

import http.server
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from tiny_corpus import digests

from sewcli.base.errors import UsageError
from sewcli.cli.prep import prep
from sewcli.corpora.librispeech import download, find_corpus, find_splits


def test_nothing_given_and_nothing_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SEW_CORPORA", raising=False)
    with pytest.raises(
        UsageError, match=r"^download/LibriSpeech: .*not here[\s\S]*DIR[\s\S]*--download[\s\S]*--mini"
    ) as e:
        prep("librispeech")
    assert e.value.exit_code == 2
    assert not any(tmp_path.iterdir())


def test_default_places(spoken: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEW_CORPORA", str(spoken.parent))
    assert find_corpus(None) == spoken
    monkeypatch.delenv("SEW_CORPORA")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "download").symlink_to(spoken.parent)
    assert find_corpus(None) == Path("download/LibriSpeech")


def test_one_level_off(spoken: Path) -> None:
    with pytest.raises(UsageError, match=f"one level below .*\n.*give {spoken}"):
        find_corpus(spoken.parent)
    with pytest.raises(UsageError, match=f"one part of a corpus .*\n.*{spoken} --part dev-clean"):
        find_corpus(spoken / "dev-clean")


def test_unknown_folders(spoken: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"LibriSpeach: no such folder - did you mean 'LibriSpeech'\?"):
        find_corpus(spoken.parent / "LibriSpeach")
    with pytest.raises(UsageError, match="not in the layout of LibriSpeech"):
        find_corpus(tmp_path)


@pytest.mark.parametrize("part", ["train-clean-10", "../LibriSpeech/dev-clean", "", "."])
def test_unknown_part(spoken: Path, part: str) -> None:
    with pytest.raises(UsageError, match=r"no part .*\n.*there are: dev-clean, test-clean, train-clean-100"):
        find_splits(spoken, [part])


def test_unknown_corpus() -> None:
    with pytest.raises(UsageError, match=r"no corpus 'librispech' - did you mean 'librispeech'"):
        prep("librispech")


def test_flags_that_exclude_each_other(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--mini makes a corpus of its own"):
        prep("librispeech", tmp_path, mini=True)
    with pytest.raises(UsageError, match=r"needs to know the parts[\s\S]*--part"):
        prep("librispeech", download=True)


@pytest.fixture
def server(spoken: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A true HTTP server with the archive of a part, laid out as OpenSLR's."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    root = tmp_path / "resources"
    (root / "12").mkdir(parents=True)
    with tarfile.open(root / "12" / "dev-clean.tar.gz", "w:gz") as archive:
        archive.add(spoken / "dev-clean", "LibriSpeech/dev-clean")
    (root / "12" / "test-clean.tar.gz").write_bytes((root / "12" / "dev-clean.tar.gz").read_bytes()[:5000])
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(root))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as service:
        thread = threading.Thread(target=service.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{service.server_port}"
        service.shutdown()
        thread.join()


def test_download(server: str, spoken: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "download" / "LibriSpeech"
    download(folder, ["dev-clean"], server=server)
    there = digests(folder / "dev-clean")
    assert there.pop(".completed") and there == digests(spoken / "dev-clean")
    download(folder, ["dev-clean"], server="http://127.0.0.1:9")  # there already: nobody is asked
    assert "downloaded already: dev-clean" in capsys.readouterr().err


def test_failed_downloads_are_one_clear_line(server: str, tmp_path: Path) -> None:
    folder = tmp_path / "download" / "LibriSpeech"
    with pytest.raises(UsageError, match=r"cannot download from http://127.0.0.1:9 .*refused"):
        download(folder, ["dev-clean"], server="http://127.0.0.1:9")
    with pytest.raises(UsageError, match=r"cannot download from http://127.0.0.1:.*not found"):
        download(folder, ["dev-other"], server=server)
    with pytest.raises(UsageError, match=r"an archive of test-clean is not whole[\s\S]*run the same command again"):
        download(folder, ["test-clean"], server=server)
    with pytest.raises(UsageError, match=r"no part 'dev-clear' to download - did you mean 'dev-clean'"):
        download(folder, ["dev-clear"])
    with pytest.raises(UsageError, match="unpack into a folder named LibriSpeech"):
        download(tmp_path / "elsewhere", ["dev-clean"])


def test_a_speaker_that_is_not_there_is_answered_with_those_that_are(spoken: Path) -> None:
    there = sorted((path.name for path in spoken.glob("*/*") if path.is_dir()), key=lambda name: (len(name), name))
    with pytest.raises(UsageError, match=f"no speaker 'anna' .*\n.*there are: {', '.join(there[:12])}"):
        find_splits(spoken, None, {"dev": ["anna"]})
