import shutil
from pathlib import Path

import pytest
from tiny_corpus import TALKS, TINY

from sewcli.corpora import tedlium3
from sewcli.corpora.miniatures.librispeech import write_miniature
from sewcli.corpora.miniatures.tedlium3 import write_miniature as write_talks


@pytest.fixture(scope="session")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny miniature, to look at."""
    corpus = tmp_path_factory.mktemp("spoken") / "LibriSpeech"
    assert write_miniature(corpus, TINY, jobs=2)
    return corpus


@pytest.fixture(scope="session")
def spoken_talks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny miniature of TED-LIUM, to look at."""
    corpus = tmp_path_factory.mktemp("spoken-talks") / tedlium3.NAME
    assert write_talks(corpus, TALKS, jobs=2)
    return corpus


@pytest.fixture
def corpus(spoken: Path, tmp_path: Path) -> Path:
    """A copy of it, to break."""
    return Path(shutil.copytree(spoken, tmp_path / "LibriSpeech"))
