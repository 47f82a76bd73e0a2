"""Splits whose emissions are kept, so that no audio and no model is needed to decode them."""

from pathlib import Path

import torch

from sewcli.base.files import write_jsonl
from sewcli.data.utterances import read_split
from sewcli.decoding.emission_cache import keep
from sewcli.decoding.emission_source import EmissionSource
from sewcli.runtimes.recogniser import Recogniser
from support.speech_like import emission, log_softmax


def emission_split(data: Path, split: str, texts: list[str], model: Path, out: Path) -> None:
    """Cuts of a split, and emissions of its texts as if the model had heard them."""
    cuts = []
    for number, text in enumerate(texts):
        source = {"type": "file", "channels": [0], "source": str(data / "none.wav")}
        recording = {"id": f"{split}{number}", "sources": [source], "sampling_rate": 16_000, "num_samples": 16_000}
        cut = {"id": f"{split}{number}", "start": 0, "duration": 1 + number / 100, "channel": 0, "recording": recording}
        cuts.append({**cut, "supervisions": [{"text": text}]})
    write_jsonl(data / f"cuts_{split}.jsonl.gz", cuts)
    source = EmissionSource(Recogniser(model, no_device), data, split, read_split(data, split), out)
    with keep(source.folder, (1, 1), source.inputs, "float32") as writer:
        for number, text in enumerate(texts):
            writer.add(f"{split}{number}", log_softmax(3 * emission(text, noise=2.5, seed=number)))
        writer.facts = {"device": "made", "threads": 1, "model_seconds": 1.0, "failed": []}


def no_device() -> torch.device:
    raise AssertionError("the model was to run")
