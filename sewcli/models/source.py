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
from sewcli.models.processor_files import FILES as PROCESSOR
from sewcli.models.tensors import Tensors
from sewcli.models.weights import FILES
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
    """The folder or file of a model, fetched first when it is a Hub id such as `asapp/sew-tiny-100k-ft-ls100h`.

    Raises:
        UsageError: there is no such thing, or the Hub cannot be reached.
    """
    path = Path(reference)
    if is_there(path):
        return path
    if not is_hub_id(str(reference)):
        raise UsageError(
            "model-not-found",
            "no such model folder",
            where=path,
            hint="a folder that `sew` or transformers wrote, a fairseq .pt file, or a Hub id such as asapp/sew-tiny-100k",
        )
    return _fetch(str(reference))


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
