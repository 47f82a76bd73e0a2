"""sew: efficient pre-trained speech recognition, from a corpus to a word error rate.

    import sewcli

    for segment in sewcli.load("exp/sew-tiny-ft").transcribe("talk.mp3"):
        print(f"{segment.start:.2f} {segment.text}")

The functions are in `sewcli.api`; nothing heavy is imported before one of them is used.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"
__all__ = [
    "DataError",
    "PartialError",
    "Recogniser",
    "Segment",
    "SewError",
    "UsageError",
    "Word",
    "__version__",
    "align",
    "decode",
    "finetune",
    "load",
    "prepare",
    "pretrain",
    "score",
]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module("sewcli.api"), name)
    raise AttributeError(f"module 'sewcli' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
