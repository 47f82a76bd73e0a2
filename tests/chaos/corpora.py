"""Every corpus that `sew prep` knows, a minute of it or less, in its own folders and formats; and one broken file of each."""

import atexit
import hashlib
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from sewcli.base.files import TEMPORARY
from sewcli.corpora.miniatures import librilight, librispeech, swbd_fisher, tedlium3, voxpopuli

sys.path.append(str(Path(__file__).parent.parent / "corpora"))
from telephone_corpus import write_fisher, write_switchboard

READERS = librispeech.Plan(
    parts=(librispeech.Part("train-clean-100", 6, 6), librispeech.Part("dev-clean", 2, 3)), seed=7
)


@dataclass(frozen=True)
class Tiny:
    """A corpus to make.

    Args:
        name: what `sew prep` calls it.
        write: makes it in a folder.
        sounds: the glob of sound files of which one can be lost without a split; the first is the one to break.
        converts: whether `sew prep` makes sound files of them.
    """

    name: str
    write: Callable[[Path], object]
    sounds: str
    converts: bool = False

    def command(self, folder: Path, out: Path) -> list[object]:
        """The words after `sew` that prepare it, with a subset where it is a small thing."""
        subset = ["--subset", "some=0.005@3"] if self.name == "librispeech" else []
        return ["prep", self.name, folder, "--out", out, "-j", 2, *subset]

    def broken(self, folder: Path) -> Path:
        """Cut a sound file of the corpus off in its middle."""
        path = sorted(folder.glob(self.sounds))[0]
        content = path.read_bytes()
        path.unlink()  # it may be a link
        path.write_bytes(content[: len(content) // 2])
        return path


def _raw_sessions(folder: Path) -> None:
    """VoxPopuli before the official tool has cut the clips: utterances are joined of stretches of sessions."""
    parts = (voxpopuli.Part("train", 4, 3, 7), voxpopuli.Part("dev", 2, 1, 3), voxpopuli.Part("test", 2, 2, 2))
    voxpopuli.write_miniature(folder, voxpopuli.Plan(parts=parts, sessions=3, europarl=12, seed=7), jobs=2)
    for path in (folder / "transcribed_data" / "en").iterdir():
        if path.name != "asr_en.tsv.gz":
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _talks(folder: Path) -> None:
    parts = (tedlium3.Part("train", 3, 8), tedlium3.Part("dev", 2, 4), tedlium3.Part("test", 2, 4))
    tedlium3.write_miniature(folder, tedlium3.Plan(parts=parts, lm_sentences=5, seed=5), jobs=2)


def _light(folder: Path) -> None:
    librilight.write_miniature(folder, librilight.Plan(base=READERS, folds=1, in_hour=4, books=2, sentences=12), jobs=2)


def _spoken_calls(folder: Path) -> None:
    swbd_fisher.write_miniature(folder, swbd_fisher.Plan(switchboard=2, fisher=2, turns=8), jobs=2)


LIBRISPEECH = Tiny(
    "librispeech", lambda folder: librispeech.write_miniature(folder, READERS, jobs=2), "train-*/*/*/*.flac"
)
CALLS = Tiny("swbd_fisher", lambda folder: write_fisher(write_switchboard(folder)), "**/*.sph", converts=True)
SPOKEN_CALLS = Tiny("swbd_fisher", _spoken_calls, "LDC2002S09/hub5e_00/english/en_*.sph", converts=True)
TINY = {
    "librispeech": LIBRISPEECH,
    "librilight": Tiny("librilight", _light, "librispeech_finetuning/1h/0/*/*/*/*.flac"),
    "tedlium3": Tiny("tedlium3", _talks, "legacy/train/sph/*.sph"),
    "voxpopuli": Tiny("voxpopuli", _raw_sessions, "raw_audios/original/2011/*.ogg", converts=True),
    "swbd_fisher": CALLS,
    "eval2000": SPOKEN_CALLS,
}
LONG = {"eval2000"}  # whatever is done with them


@cache
def written(tiny: Tiny) -> Path:
    """The folder of a corpus, made when it is first asked for. Not to be written to."""
    folder = Path(tempfile.mkdtemp(prefix=f"sew-{tiny.name}-"))
    atexit.register(shutil.rmtree, folder)
    tiny.write(folder / "corpus")
    return folder / "corpus"


def state(out: Path) -> dict[str, str]:
    """The digest of every file, the ledger of checked files included; nothing half-written may be left."""
    files = [path for path in sorted(out.rglob("*")) if path.is_file() and path.name != ".lock"]
    assert not [path for path in files if path.name.startswith(TEMPORARY)]
    return {str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
