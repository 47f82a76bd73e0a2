"""Where a model comes from: a folder, a file in a foreign format, or the Hugging Face Hub.

`--model` of every verb is resolved here. The Hub needs the extra `hub`, and only weights and their configs are fetched.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from sewcli.base.errors import UsageError
from sewcli.base.files import is_there
from sewcli.models.config import ModelConfig
from sewcli.models.foreign import hint_for
from sewcli.models.processor_files import FILES as PROCESSOR
from sewcli.models.tensors import Tensors
from sewcli.models.weights import FILES
from sewcli.models.zoo import lookup
from sewcli.text.tokenizer_files import FILES as TOKENIZER
from sewcli.text.tokens import Vocabulary

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
CONFIGS = ("config.json", *TOKENIZER, *PROCESSOR)
"""Side files that a model is fetched with."""
SHARDS = {f"{name}.index.json": f"{Path(name).stem}-*{Path(name).suffix}" for name in (FILES[0], FILES[2])}


@dataclass(frozen=True)
class Source:
    """A model that is ready to be read.

    Args:
        where: file or folder to name in errors.
        kind: what it holds: an encoder alone, with the CTC layer, or with the parts of pre-training.
        config: its architecture.
        tensors: by the names of its format.
        names: our names -> those.
        vocabulary: of a recogniser.
    """

    where: Path
    kind: Literal["encoder", "ctc", "pretraining"]
    config: ModelConfig
    tensors: Tensors
    names: Callable[[ModelConfig, Iterable[str]], dict[str, str]]
    vocabulary: Vocabulary | None = None


def resolve(reference: str | Path) -> Path:
    """The folder or file of a model: of an experiment its `model/`; of a Hub id such as `asapp/sew-tiny-100k` what it fetches.

    Raises:
        UsageError: there is no such thing, it is a name of the zoo, or the Hub cannot be reached.
    """
    path = of_experiment(Path(reference))
    if is_there(path):
        return path
    _refuse_zoo(str(reference))
    if not is_hub_id(str(reference)):
        raise UsageError(
            "model-not-found",
            "no such model folder",
            where=path,
            hint="a folder that `sew` or transformers wrote, a fairseq .pt file, or a Hub id such as asapp/sew-tiny-100k",
        )
    return _fetch(str(reference))


def locate(reference: str | Path) -> Path:
    """As `resolve`, with nothing fetched: a Hub id, or what is not there, as it is given.

    Raises:
        UsageError: a folder without a model, or a name of the zoo.
    """
    path = of_experiment(Path(reference))
    if path.is_dir() and not (path / "config.json").is_file():
        training = "its training has not kept a model yet" if (path / "config.yaml").is_file() else None
        hint = training or hint_for(path) or "name an experiment or a model folder, such as exp/NAME/model"
        raise UsageError("no-model", "no model in this folder", where=path, hint=hint)
    if not is_there(path):
        _refuse_zoo(str(reference))
    return path


def of_experiment(path: Path) -> Path:
    """`exp/NAME/model` of `exp/NAME`, where it is there; any other path as it is."""
    inner = path / "model"
    return inner if (inner / "config.json").is_file() and not (path / "config.json").is_file() else path


def _refuse_zoo(name: str) -> None:
    try:
        lookup(name)
    except UsageError:
        return
    raise UsageError(
        "model-without-weights",
        f"{name} is a model of the zoo, without weights",
        hint=f"train one: sew finetune --model {name} --set extractor_gradient=1; then: sew decode --model exp/{name}-ft",
    )


def is_model(reference: str | Path) -> bool:
    """Whether this names existing weights, on disk or on the Hub (anything else may be a name of the zoo)."""
    return is_there(reference) or is_hub_id(str(reference))


def is_hub_id(reference: str) -> bool:
    """`owner/name`, unless a folder of the owner's name is here: then it is a path with a slip in it."""
    return bool(HUB_ID.fullmatch(reference)) and not is_there(Path(reference).parent, folder=True)


def _fetch(name: str) -> Path:
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    try:
        import huggingface_hub
    except ImportError:
        raise UsageError(
            "package-missing",
            "no such folder, and to look on the Hugging Face Hub sew needs one more package",
            where=name,
            hint="pip install 'sewcli[hub]'; or give a folder",
        ) from None
    hub: Any = huggingface_hub
    try:
        wanted = _wanted(hub.HfApi().list_repo_files(name))
    except Exception:  # unreachable, or switched off: what was fetched before may still be here
        wanted = None
    try:
        return Path(hub.snapshot_download(name, allow_patterns=wanted, local_files_only=wanted is None))
    except Exception as error:  # the Hub's own errors have no common base, those of the network below it neither
        reason = " ".join(str(error).split())[:160]
        raise UsageError(
            "model-not-found",
            f"no such folder, and not to be had from the Hugging Face Hub ({reason})",
            where=name,
            hint="check the name and the network; or copy the folder here and give its path",
        ) from None


def _wanted(files: list[str]) -> list[str]:
    """The configs, and the first form of the weights."""
    weights = next((name for name in FILES if name in files), None)
    return [*CONFIGS, *([weights] if weights else []), *([SHARDS[weights]] if weights in SHARDS else [])]
