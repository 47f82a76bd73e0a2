"""Prepared folders of noise with texts: enough for everything that happens before something is learned."""

from pathlib import Path

import numpy as np
import soundfile

from sewcli.base.files import write_jsonl

WORDS = ("HEAR", "THE", "SEA", "NEAR", "TEN", "TREES")


def write_noise(folder: Path, splits: dict[str, list[float]]) -> Path:
    """Write `folder` with utterances of so many seconds in each split."""
    folder.mkdir(parents=True, exist_ok=True)
    draw = np.random.default_rng(0)
    for split, lengths in splits.items():
        rows = []
        for number, seconds in enumerate(lengths):
            name = f"{split}-{number}"
            soundfile.write(folder / f"{name}.wav", draw.normal(0, 0.1, round(seconds * 16_000)), 16_000)
            duration = round(seconds * 16_000) / 16_000
            text = " ".join(draw.choice(WORDS, max(1, int(seconds))))
            rows.append(
                {
                    "id": name,
                    "start": 0,
                    "duration": duration,
                    "channel": 0,
                    "type": "MonoCut",
                    "supervisions": [
                        {
                            "id": name,
                            "recording_id": name,
                            "start": 0,
                            "duration": duration,
                            "channel": 0,
                            "text": text,
                            "speaker": f"speaker-{number % 3}",
                        }
                    ],
                    "recording": {
                        "id": name,
                        "sampling_rate": 16_000,
                        "num_samples": round(seconds * 16_000),
                        "duration": duration,
                        "channel_ids": [0],
                        "sources": [{"type": "file", "channels": [0], "source": str(folder / f"{name}.wav")}],
                    },
                }
            )
        write_jsonl(folder / f"cuts_{split}.jsonl.gz", rows)
    return folder


def tiny_model(folder: Path) -> Path:
    """A pre-training model folder that trains in milliseconds."""
    import torch

    from sewcli.models.folder import save_pretraining
    from sewcli.models.pretraining import PretrainingModel
    from sewcli.models.zoo import lookup

    torch.manual_seed(0)
    config = lookup("sew-micro").model_copy(update={"layers": 1})
    save_pretraining(PretrainingModel(config), folder, facts={})
    return folder
