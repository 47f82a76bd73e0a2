"""Experiment folders as training, decoding, alignment and scoring leave them, without the hours these take."""

import json
import math
from pathlib import Path

import numpy as np

from sewcli.audio.io import encode_flac
from sewcli.base.files import write_bytes, write_json, write_jsonl
from sewcli.base.sample_rate import SAMPLE_RATE
from sewcli.models.config import ModelConfig
from sewcli.models.hugging_face import to_hugging_face
from sewcli.models.zoo import lookup
from sewcli.scoring.score import score_folder
from sewcli.text.tokens import Vocabulary

BAD_ID = 'u"><img src=x onerror=alert(1)>'
BAD_TEXT = "</script><script>alert('REF')</script> & A ``` B | C <!-- D"
BAD_SPEAKER = "s'\"><iframe src=//evil.example>"
WORDS = ["THE", "CAT", "SAT", "ON", "A", "MAT", "AND", "SLEPT", "UNTIL", "DAWN", "WHILE", "RAIN", "FELL"]


def corpus(data: Path, count: int, *, split: str = "test") -> dict[str, str]:
    """A split with audio of two seconds an utterance; returns references by their ids."""
    rng = np.random.default_rng(1)
    references, cuts = {}, []
    for n in range(count):
        key = BAD_ID if n == 3 else f"utt-{n:03d}"
        references[key] = BAD_TEXT if n == 3 else " ".join(rng.choice(WORDS, size=4 + n % 9))
        path = data / "audio" / f"{n}.flac"
        write_bytes(path, encode_flac(rng.normal(0, 0.1, 2 * SAMPLE_RATE).astype(np.float32)))
        source = {"type": "file", "channels": [0], "source": str(path)}
        recording = {"id": key, "sampling_rate": SAMPLE_RATE, "sources": [source]}
        supervision = {"text": references[key], "speaker": BAD_SPEAKER if n == 3 else f"speaker-{n % 4}"}
        cuts.append({"id": key, "start": 0, "duration": 2.0, "channel": 0, "recording": recording})
        cuts[-1]["supervisions"] = [supervision]
    write_jsonl(data / f"cuts_{split}.jsonl.gz", cuts)
    return references


def experiment(
    folder: Path,
    *,
    stage: str = "finetune",
    updates: int = 100,
    done: int | None = None,
    pretrained: Path | None = None,
    data: Path | None = None,
    references: dict[str, str] | None = None,
    decoded: dict[str, dict[str, str]] | None = None,
    split: str = "test",
) -> Path:
    """One experiment; `decoded`: texts by their ids, of each decoder."""
    done = updates if done is None else done
    pretrain = stage == "pretrain"
    config = {"model": str(pretrained or "sew-micro"), "updates": updates}
    config |= {"temperature": {"start": 2.0}} if pretrain else {"vocabulary": None}
    write_json(folder / "config.yaml", config)
    write_json(folder / "data.json", {"train": {"hours": 1.5}, "valid": {"hours": 0.1}})
    metrics(folder, done, pretrain=pretrain)
    model(folder / "model", pretrain=pretrain)
    for decoder, texts in (decoded or {}).items():
        decoding(folder / "decode" / f"{split}-{decoder}", decoder, texts, references or {}, data=data, split=split)
    return folder


def metrics(folder: Path, updates: int, *, pretrain: bool) -> None:
    """A row an update, now and then a validation and a speed."""
    lines = []
    for step in range(1, updates + 1):
        fall = math.exp(-step / 100)
        row = {"step": step, "epoch": 0, "loss": 5 + 200 * fall + step % 7, "lr": 1e-3 * fall, "grad_norm": 1.0}
        if pretrain:
            row |= {"loss_bits": 4 + 3 * fall, "accuracy": 0.5 * (1 - fall), "code_perplexity": 40 + 200 * (1 - fall)}
        lines.append(row)
        if step % 50 == 0:
            seen = (
                {"loss_bits": 4.1 + 3 * fall, "accuracy": 0.4} if pretrain else {"wer": 0.2 + 0.8 * fall, "empty": 0.0}
            )
            lines += [
                {"step": step, "kind": "valid", **seen},
                {"step": step, "kind": "speed", "audio_per_second": 40.0},
            ]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in lines))


def model(folder: Path, *, pretrain: bool = False) -> None:
    """The config of a model folder: a report reads no weights."""
    config: ModelConfig = lookup("sew-micro")
    vocabulary = Vocabulary.letters()
    head = ("ForPreTraining", None) if pretrain else ("ForCTC", vocabulary)
    write_json(folder / "config.json", to_hugging_face(config, *head))
    if not pretrain:
        vocabulary.save(folder)


def decoding(
    folder: Path, decoder: str, texts: dict[str, str], references: dict[str, str], *, data: Path | None, split: str
) -> Path:
    """A decode folder, scored."""
    rows = [{"id": key, "text": text, "score": -1.0, "reference": references[key]} for key, text in texts.items()]
    write_jsonl(folder / "hyps.jsonl", rows)
    beam = decoder not in ("greedy", "viterbi")
    times = {"model_seconds": 2.0, "decoder_seconds": 1.0, "audio_seconds": 96.0}
    settings = {"lm": "data/lm/4gram.arpa" if beam else None, "beam": 50 if beam else None, "device": "cpu"}
    facts = {"split": split, "decoder": decoder, "failed": 0, "data": str(data or "nowhere"), "model": "elsewhere"}
    factor = {"real_time_factor": 0.05 if beam else 0.03}
    write_json(folder / "decode.json", facts | settings | times | factor)
    score_folder(folder)
    return folder
