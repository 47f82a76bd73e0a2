"""The model card: `README.md` of a model folder, with a head that the Hugging Face Hub reads.

What is known is said (sizes, training data, updates, word error rates), what is not is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sewcli.base.sample_rate import SAMPLE_RATE
from sewcli.models.config import ModelConfig
from sewcli.text.tokens import Vocabulary

FAMILIES = {"wav2vec2": "wav2vec 2.0", "sew": "SEW", "sew-d": "SEW-D"}
PAPERS = {
    "wav2vec2": "[Baevski et al. 2020](https://arxiv.org/abs/2006.11477)",
    "sew": "[Wu et al. 2021](https://arxiv.org/abs/2109.06870)",
    "sew-d": "[Wu et al. 2021](https://arxiv.org/abs/2109.06870)",
}
KINDS = {
    "ctc": "speech recogniser (CTC)",
    "pretraining": "pre-trained model, with its quantizer and prediction heads",
    "encoder": "encoder",
}
USAGE = {
    "ctc": """sew decode --model FOLDER --data data/librispeech""",
    "pretraining": """sew finetune --model FOLDER --config 100h""",
    "encoder": """sew finetune --model FOLDER --config 100h""",
}


def card(
    config: ModelConfig, kind: str, parameters: int, vocabulary: Vocabulary | None, facts: Mapping[str, Any]
) -> str:
    """Text of the card.

    Args:
        config: the model's.
        kind: "ctc", "pretraining" or "encoder".
        parameters: of everything in the folder.
        vocabulary: of a recogniser.
        facts: further rows of the table, by their names; those of value None are left out.
    """
    family = FAMILIES[config.family]
    rate = SAMPLE_RATE // config.samples_per_frame
    rows = {
        "Parameters": f"{parameters:,}",
        "Width, layers, heads": f"{config.width}, {config.layers}, {config.heads}",
        "Frames a second": f"{rate}"
        + (f", {rate // config.squeeze} inside the context network" * (config.squeeze > 1)),
        "Input": "16 kHz, one channel"
        + (", zero mean and unit variance" if config.normalize_waves else ", raw samples"),
        **({"Output symbols": str(len(vocabulary))} if vocabulary else {}),
        **{name: str(value) for name, value in facts.items() if value is not None},
    }
    head = ["---", "library_name: transformers", f"tags: [speech, {config.family}]"]
    head += ["pipeline_tag: automatic-speech-recognition"] * (kind == "ctc") + ["---"]
    lines = [*head, f"# {config.name}", "", f"A {family} {KINDS[kind]}; {PAPERS[config.family]}.", ""]
    lines += ["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows.items()), ""]
    lines += ["```sh", USAGE[kind], "```", ""]
    return "\n".join([*lines, *_python(config, kind)]) + "\n"


def _python(config: ModelConfig, kind: str) -> list[str]:
    if not config.standard_encoder:
        return ["`transformers` has no such model: use it with `sew`."]
    if kind == "ctc":
        code = [
            "import soundfile, torch",
            "from transformers import AutoModelForCTC, AutoProcessor",
            "",
            'processor, model = AutoProcessor.from_pretrained("FOLDER"), AutoModelForCTC.from_pretrained("FOLDER")',
            'wave, rate = soundfile.read("a.wav", dtype="float32")  # 16 kHz',
            'inputs = processor(wave, sampling_rate=rate, return_tensors="pt")',
            "with torch.inference_mode():",
            "    ids = model(inputs.input_values).logits.argmax(2)",
            "print(processor.batch_decode(ids)[0])",
        ]
    elif kind == "pretraining" and config.family == "wav2vec2" and config.predictor == "linear":
        code = [
            "from transformers import Wav2Vec2ForPreTraining",
            "",
            'model = Wav2Vec2ForPreTraining.from_pretrained("FOLDER")',
        ]
    else:
        code = [
            "from transformers import AutoModel  # the encoder",
            "",
            'model = AutoModel.from_pretrained("FOLDER")',
        ]
    return ["```python", *code, "```"]
