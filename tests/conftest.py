"""What several rooms' tests stand on: a tiny prepared corpus, and the `sew` command as a user runs it."""

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support import interpreted_triton
from support.sew_command import run_sew

interpreted_triton.choose()

pytest_plugins = ["support.decoding_fixtures"]


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """The same random tensors in every run of the tests."""
    import torch

    torch.manual_seed(0)


@pytest.fixture(scope="session")
def corpus_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A miniature of a few dozen utterances, in LibriSpeech's layout."""
    from sewcli.corpora.miniatures.librispeech import Part, Plan, write_miniature

    folder = tmp_path_factory.mktemp("corpus") / "LibriSpeech"
    parts = (Part("train-clean-100", 4, 8), Part("dev-clean", 2, 3), Part("test-clean", 2, 3))
    write_miniature(folder, Plan(parts=parts), jobs=2)
    return folder


@pytest.fixture(scope="session")
def prepared(corpus_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """That corpus after `sew prep`. Not to be written to."""
    out = tmp_path_factory.mktemp("prepared")
    done = run_sew("prep", "librispeech", str(corpus_folder), "--out", str(out))
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture
def sew() -> Callable[..., subprocess.CompletedProcess[str]]:
    """`sew` with arguments, to its end."""
    return run_sew


@pytest.fixture
def sew_here(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]):
    """`sew` with arguments in this process: for commands whose libraries take longer to load than the work itself."""
    from sewcli.cli.app import main

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        monkeypatch.setattr(sys, "argv", ["sew", *map(str, arguments)])
        handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)}
        code: object = 0
        capfd.readouterr()
        try:
            main()
        except SystemExit as left:
            code = left.code or 0
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
        return subprocess.CompletedProcess(sys.argv, int(str(code)), *capfd.readouterr())

    return run
