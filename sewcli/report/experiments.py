"""What experiment folders hold for a report: configs, how far each run is, its decode folders.

Nothing here fails because of one folder: what is missing, damaged or not finished becomes a note, which the report shows.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sewcli.artifacts.decode_folder import DECODED, HYPOTHESES, SCORE, SHARDS
from sewcli.artifacts.experiment_folder import CHECKPOINTS, CONFIG, DATA, DECODE, METRICS, MODEL, TENSORBOARD
from sewcli.artifacts.results import Data, Decoded, Run, Score, checked, read_checked
from sewcli.base.config import read_yaml
from sewcli.base.errors import DataError, SewError, UsageError
from sewcli.base.files import TEMPORARY, is_there, read_object

if TYPE_CHECKING:
    from sewcli.models.config import ModelConfig

PASSED_OVER = {CHECKPOINTS, TENSORBOARD, "textgrids", "labelling"}  # many files, and no experiment
PLAIN = ("greedy", "viterbi")  # decoders without a language model

Stage = Literal["pre-training", "fine-tuning", "distillation", "language model", ""]
STAGES: dict[str, Stage] = {  # by a key that only the config of such a run has; "temperature" is of two
    "teacher": "distillation",
    "temperature": "pre-training",
    "vocabulary": "fine-tuning",
    "transformer": "language model",
}


@dataclass(frozen=True)
class Decoding:
    """A decode folder that was scored: what `decode.json` and `score.json` say."""

    folder: Path
    decoded: dict[str, Any]
    score: dict[str, Any]

    @property
    def split(self) -> str:
        """What was decoded."""
        return str(self.decoded.get("split"))

    @property
    def decoder(self) -> str:
        """Its name: `greedy`, `4gram-beam50`."""
        return str(self.decoded.get("decoder") or self.folder.name)

    @property
    def plain(self) -> bool:
        """Whether no language model took part."""
        return self.decoder in PLAIN or ("decoder" not in self.decoded and self.decoded.get("lm") in (None, "none"))

    @property
    def language_model(self) -> str | None:
        """`4gram, beam 50`, or the decoder's name where that is not all of it; None of a plain decoder."""
        if self.plain:
            return None
        name, beam = Path(str(self.decoded.get("lm"))).name.split(".")[0], self.decoded.get("beam")
        return f"{name}, beam {beam}" if self.decoder == f"{name}-beam{beam}" else self.decoder


@dataclass
class Experiment:
    """An experiment folder. `notes` say what a reader of its results should know."""

    folder: Path
    name: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    stage: Stage = ""
    model: str | None = None
    parameters: int | None = None
    pretrained: bool = False
    pretrain_updates: int | None = 0
    hours: float | None = None
    decodings: list[Decoding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def updates(self) -> int | None:
        """How many the whole run has."""
        updates = self.config.get("updates")
        return updates if isinstance(updates, int) else None


def find_experiments(roots: Sequence[Path]) -> list[Experiment]:
    """Every experiment at or below the folders, in the order of their paths.

    Raises:
        UsageError: there is none.
    """
    found: dict[Path, list[Path]] = {}
    for root in roots:
        if not root.is_dir():
            raise UsageError(
                "folder-not-found", "no such folder", where=root, hint="first run: sew decode, or name its folder"
            )
        for folder, files in _walk(root):
            if HYPOTHESES in files:
                owner = folder.parents[1] if folder.parent.name == DECODE else folder.parent
                found.setdefault(owner, []).append(folder)
            elif CONFIG in files or METRICS in files:
                found.setdefault(folder, [])
    if not found:
        raise UsageError(
            "no-experiment",
            "no experiment here or below",
            where=roots[0],
            hint="first run: sew pretrain or sew finetune",
        )
    names = _names(list(found))
    return [_experiment(folder, names[folder], decoded) for folder, decoded in sorted(found.items())]


def _walk(root: Path) -> Iterator[tuple[Path, set[str]]]:
    for folder, below, files in os.walk(root):
        below[:] = sorted(
            name for name in below if name not in PASSED_OVER and not name.startswith(TEMPORARY) and SHARDS not in name
        )
        yield Path(folder), set(files)


def _names(folders: list[Path]) -> dict[Path, str]:
    """The folders' own names, with as many of those above as tell them apart."""
    names = {folder: folder.name or str(folder.absolute().name) for folder in folders}
    for depth in range(2, 8):
        often = [name for name in names.values() if list(names.values()).count(name) > 1]
        if not often:
            break
        names = {f: "/".join(f.absolute().parts[-depth:]) if name in often else name for f, name in names.items()}
    return names


def _experiment(folder: Path, name: str, decoded: Iterable[Path]) -> Experiment:
    exp = Experiment(folder, name)
    exp.config = _noted(exp, folder / CONFIG, _read_config)
    exp.stage = next((stage for key, stage in STAGES.items() if key in exp.config), "")
    train = _noted(exp, folder / DATA, partial(read_checked, Data)).get("train")
    exp.hours = train.get("hours") if train else None
    for place in decoded:
        _add_decoding(exp, place)
    for part in sorted((folder / DECODE).glob(f"*{SHARDS}")):
        if there := len(list(part.glob("*-of-*"))):
            exp.notes.append(f"{part.name}: {there} shards are decoded, others are missing")
    _add_model(exp)
    source = Path(str(exp.config.get("model") or ""))
    exp.pretrained = bool(exp.config) and is_there(source, folder=True)
    if exp.pretrained:
        exp.pretrain_updates = _noted(exp, source.parent / CONFIG, _read_config).get("updates")
    return exp


def _add_decoding(exp: Experiment, folder: Path) -> None:
    try:
        decoded = read_checked(Decoded, folder / DECODED)
        if not (folder / SCORE).is_file():
            raise DataError("not-scored", "decoded, but not scored: sew score does it", where=folder)
        score = read_checked(Score, folder / SCORE)
    except SewError as error:
        exp.notes.append(f"{error.where}: {error.what}")
        return
    if (folder / HYPOTHESES).stat().st_mtime_ns > (folder / SCORE).stat().st_mtime_ns:
        exp.notes.append(f"{folder}: its hypotheses are newer than its score: run sew score again")
    exp.decodings.append(Decoding(folder, decoded, score))


def _add_model(exp: Experiment) -> None:
    """Name and size of the model, from its config alone: the experiment's own, or the one that it decoded with."""
    named = [Path(str(decoding.decoded.get("model"))) for decoding in exp.decodings]
    folder = next((path for path in (exp.folder / MODEL, *named) if is_there(path / "config.json")), None)
    if folder is None:
        exp.model = str(exp.config.get("model") or (named[0].name if named else "")) or None
        return
    try:
        card = read_object(folder / "config.json")
        exp.model = str(card.get("sew", {}).get("name") or card.get("model_type"))
        exp.parameters = _parameters(folder, str((card.get("architectures") or [""])[0]))
    except (SewError, AttributeError, TypeError, KeyError, ValueError, OverflowError, RuntimeError) as error:
        exp.notes.append(f"{folder}: its config cannot be read ({error})")


def _parameters(folder: Path, architecture: str) -> int | None:
    """Counted without reading the weights; None of what is neither a recogniser nor a pre-trained model."""
    from sewcli.models.opening import read_config
    from sewcli.text.tokens import Vocabulary

    if architecture.endswith("ForCTC"):
        return _count(read_config(folder), len(Vocabulary.load(folder)))
    return _count(read_config(folder), None) if architecture.endswith("ForPreTraining") else None


@cache
def _count(config: ModelConfig, vocabulary: int | None) -> int:
    """Of a recogniser with so many symbols, or of a pre-trained model."""
    from sewcli.models.ctc import CTCModel
    from sewcli.models.folder import count
    from sewcli.models.pretraining import PretrainingModel
    from sewcli.nn.blank import without_weights

    with without_weights():
        return count(CTCModel(config, vocabulary) if vocabulary else PretrainingModel(config))


def _read_config(path: Path) -> dict[str, Any]:
    return checked(Run, read_yaml(path), path)


def _noted(exp: Experiment, path: Path, read: Callable[[Path], Any]) -> dict[str, Any]:
    """A file's mapping; empty when it is not there, or cannot be read, which is noted."""
    try:
        content = read(path) if is_there(path, folder=False) else {}
    except SewError as error:
        exp.notes.append(f"{error.where}: {error.what}")
        return {}
    return content if isinstance(content, dict) else {}
