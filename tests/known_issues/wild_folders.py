"""Folders as people publish them, built with `transformers`: one recogniser of random weights in many layouts.

Every kind has the same encoder and the same output for each letter; what differs is where the rows of the head lie and
what the side files say. `expected` is the text by `transformers` itself, special symbols taken out.
"""

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForCTC,
    AutoProcessor,
    HubertConfig,
    HubertForCTC,
    Wav2Vec2Config,
    Wav2Vec2CTCTokenizer,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForCTC,
    Wav2Vec2PhonemeCTCTokenizer,
    Wav2Vec2Processor,
)

RATE = 16_000
GAINS = (1.0, 0.1, 0.01)
CAPITALS = "ETAONIHSRDLUMWCFGYPBVK'XJQZ"
SMALL = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "conv_dim": (32,) * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 2,
}
CANONICAL = ["<pad>", "<s>", "</s>", "<unk>", "|", *CAPITALS]


@dataclass(frozen=True)
class Kind:
    """One layout.

    Args:
        tokens: the symbol of each row of the head; None is a row without one.
        blank, unknown, delimiter: which of them are these; the delimiter of phones is None.
        settings: of the tokenizer, as its constructor takes them.
        extractor: of the feature extractor.
        config: of the model.
        change: what is done to the folder at the end.
        classes: of config, model and tokenizer.
        readable: whether `transformers` reads the folder as it is (else as it was before the change).
    """

    tokens: list[str | None]
    blank: str = "<pad>"
    unknown: str = "<unk>"
    delimiter: str | None = "|"
    settings: dict = field(default_factory=dict)
    extractor: dict = field(default_factory=dict)
    config: dict = field(default_factory=dict)
    change: str = ""
    hubert: bool = False
    phones: bool = False
    readable: bool = True


LOWER = CAPITALS.lower()
TUTORIAL = ["|", *sorted(LOWER), "[UNK]", "[PAD]"]
TUTORIAL_NAMES = {"blank": "[PAD]", "unknown": "[UNK]"}
PHONES = ["<pad>", "<s>", "</s>", "<unk>", *(f"{c}ː" if i % 2 else c for i, c in enumerate(LOWER.replace("'", "ʔ")))]
KINDS = {
    "blank first": Kind(CANONICAL),
    "blank last": Kind(TUTORIAL, **TUTORIAL_NAMES),
    "blank last, called <pad>": Kind(["|", *CAPITALS, "<unk>", "<pad>"]),
    "blank in the middle": Kind([*CAPITALS[:9], "<pad>", "|", *CAPITALS[9:], "<unk>"]),
    "<s> first": Kind(["<s>", "<pad>", "</s>", "<unk>", "|", *CAPITALS]),
    "added tokens": Kind([*TUTORIAL, "<s>", "</s>"], **TUTORIAL_NAMES, change="legacy"),
    "lower case": Kind(["[PAD]", "<s>", "</s>", "[UNK]", "|", *LOWER], **TUTORIAL_NAMES),
    "do_lower_case": Kind(["|", *CAPITALS, "<unk>", "<pad>"], settings={"do_lower_case": True}),
    "delimiter is a blank": Kind([" ", *LOWER, "[UNK]", "[PAD]"], **TUTORIAL_NAMES, delimiter=" "),
    "do_normalize, group norm": Kind(TUTORIAL, **TUTORIAL_NAMES, extractor={"do_normalize": True}),
    "processor_config alone": Kind(
        TUTORIAL,
        **TUTORIAL_NAMES,
        extractor={"do_normalize": True},
        config={"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True},
    ),
    "preprocessor_config alone": Kind(
        TUTORIAL,
        **TUTORIAL_NAMES,
        extractor={"do_normalize": True, "return_attention_mask": True},
        change="older files",
    ),
    "padded head": Kind([*TUTORIAL, *[None] * 11], **TUTORIAL_NAMES),
    "nested vocabulary": Kind(TUTORIAL, **TUTORIAL_NAMES, settings={"target_lang": "fra"}, change="nested"),
    "longer vocabulary": Kind(TUTORIAL, **TUTORIAL_NAMES, change="two entries more"),
    "clean_up_tokenization_spaces": Kind(TUTORIAL, **TUTORIAL_NAMES, settings={"clean_up_tokenization_spaces": True}),
    "shards": Kind(TUTORIAL, **TUTORIAL_NAMES, change="shards"),
    "fp16": Kind(TUTORIAL, **TUTORIAL_NAMES, change="fp16"),
    "weight_g in pytorch_model.bin": Kind(TUTORIAL, **TUTORIAL_NAMES, change="old names"),
    "HuBERT": Kind(TUTORIAL, **TUTORIAL_NAMES, hubert=True, extractor={"do_normalize": True}),
    "no architectures": Kind(TUTORIAL, **TUTORIAL_NAMES, change="no architectures"),
    "module. before every name": Kind(TUTORIAL, **TUTORIAL_NAMES, change="prefix", readable=False),
    "phones": Kind(PHONES, delimiter=None, phones=True),
}


def audio(seconds: float = 3.0, seed: int = 0) -> np.ndarray:
    """Tones and noises in turn, so that the frames differ."""
    rng, parts = np.random.default_rng(seed), []
    while sum(map(len, parts)) < seconds * RATE:
        size = int(rng.uniform(0.06, 0.18) * RATE)
        tone = np.sin(2 * np.pi * rng.uniform(100, 3000) / RATE * np.arange(size)) * rng.uniform(0.05, 0.3)
        parts.append(tone + rng.normal(0, rng.uniform(0.001, 0.1), size))
    return np.concatenate(parts)[: int(seconds * RATE)].astype(np.float32)


def write_audio(folder: Path, seed: int = 0) -> list[Path]:
    """The same recording at each gain, as floats."""
    paths = [folder / f"gain-{gain}.wav" for gain in GAINS]
    for path, gain in zip(paths, GAINS, strict=True):
        soundfile.write(path, audio(seed=seed) * np.float32(gain), RATE, subtype="FLOAT")
    return paths


def build(kind: Kind, folder: Path) -> Path:
    """Write a folder of this kind."""
    folder.mkdir(parents=True)
    network = _network(kind)
    network.save_pretrained(folder)
    ids = {token: i for i, token in enumerate(kind.tokens) if token is not None}
    (folder / "raw.json").write_text(json.dumps({"fra": ids} if kind.change == "nested" else ids), encoding="utf-8")
    names = {"pad_token": kind.blank, "unk_token": kind.unknown, "word_delimiter_token": kind.delimiter}
    names |= {
        role: token if token in kind.tokens else None for role, token in (("bos_token", "<s>"), ("eos_token", "</s>"))
    }
    tokenizer = Wav2Vec2PhonemeCTCTokenizer if kind.phones else Wav2Vec2CTCTokenizer
    options = {**names, **kind.settings, **({"do_phonemize": False} if kind.phones else {})}
    extractor = {"do_normalize": False, **kind.extractor}
    Wav2Vec2Processor(
        Wav2Vec2FeatureExtractor(**extractor), tokenizer(str(folder / "raw.json"), **options)
    ).save_pretrained(folder)
    (folder / "raw.json").unlink()
    shutil.copytree(folder, folder.with_name(f"{folder.name}-before")) if not kind.readable else None
    _change(kind, folder, network)
    return folder


def expected(folder: Path, wave: np.ndarray) -> str:
    """What `transformers` writes, without special symbols."""
    before = folder.with_name(f"{folder.name}-before")
    folder = before if before.is_dir() else folder
    processor, model = AutoProcessor.from_pretrained(folder), AutoModelForCTC.from_pretrained(folder).float().eval()
    inputs = processor(wave, sampling_rate=RATE, return_tensors="pt")
    with torch.inference_mode():
        ids = model(inputs.input_values).logits.argmax(-1)[0]
    text = processor.tokenizer.decode(ids)
    special = set(processor.tokenizer.all_special_tokens) - {
        getattr(processor.tokenizer, "_word_delimiter_token", None)
    }
    for token in sorted(filter(str.strip, special), key=len, reverse=True):
        text = text.replace(token, "").replace(token.lower(), "")
    return " ".join(text.split())


def _network(kind: Kind) -> torch.nn.Module:
    torch.manual_seed(5)
    config, model = (HubertConfig, HubertForCTC) if kind.hubert else (Wav2Vec2Config, Wav2Vec2ForCTC)
    ends = {"bos_token_id": "<s>", "eos_token_id": "</s>"}
    ids = {key: kind.tokens.index(token) if token in kind.tokens else None for key, token in ends.items()}
    network = model(
        config(**SMALL, **kind.config, **ids, vocab_size=len(kind.tokens), pad_token_id=kind.tokens.index(kind.blank))
    )
    for name, parameter in network.named_parameters():  # by name: HuBERT and others have the same
        generator = torch.Generator().manual_seed(sum(map(ord, name.partition(".")[2])))
        with torch.no_grad():
            parameter.add_(0.3 * parameter.std().clamp(min=0.05) * torch.randn(parameter.shape, generator=generator))
    with torch.no_grad():
        for row, token in enumerate(kind.tokens):
            weight, bias = _output(kind, token, row)
            network.lm_head.weight[row], network.lm_head.bias[row] = weight, bias
    return network.eval()


def _output(kind: Kind, token: str | None, row: int) -> tuple[torch.Tensor, float]:
    """Weights and bias of a symbol, whatever row it is in."""
    names = {kind.blank: "<pad>", kind.unknown: "<unk>", kind.delimiter: "|"}
    name = f"row {row}" if token is None else names.get(token, token.upper())
    name = name[0] if kind.phones and token not in names and not token.startswith("<") else name
    generator = torch.Generator().manual_seed(1000 + sum(ord(c) * 7**i for i, c in enumerate(name)))
    bias = {"<pad>": 1.0, "|": 0.5, "<s>": -20.0, "</s>": -20.0, "<S>": -20.0, "</S>": -20.0, "<unk>": -3.0}.get(
        name, 0.0
    )
    return 1.2 * torch.randn(SMALL["hidden_size"], generator=generator), bias - (1.0 if token is None else 0.0)


def _change(kind: Kind, folder: Path, network: torch.nn.Module) -> None:
    weights, config = folder / "model.safetensors", json.loads((folder / "config.json").read_text())
    match kind.change:
        case "legacy":  # the files of transformers 4.1x: a map of special tokens, and added ones beside the vocabulary
            ids = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
            added = {token: ids.pop(token) for token in ("<s>", "</s>")}
            (folder / "vocab.json").write_text(json.dumps(ids), encoding="utf-8")
            (folder / "added_tokens.json").write_text(json.dumps(added))
            special = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": kind.unknown, "pad_token": kind.blank}
            (folder / "special_tokens_map.json").write_text(json.dumps(special))
            (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "Wav2Vec2CTCTokenizer"}))
        case "older files":
            content = json.loads((folder / "processor_config.json").read_text())["feature_extractor"]
            (folder / "preprocessor_config.json").write_text(json.dumps(content))
            (folder / "processor_config.json").unlink()
        case "two entries more":
            ids = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
            (folder / "vocab.json").write_text(json.dumps(ids | {"é": len(ids), "ü": len(ids) + 1}), encoding="utf-8")
        case "shards":
            weights.unlink()
            network.save_pretrained(folder, max_shard_size="100KB")
            assert (folder / "model.safetensors.index.json").is_file()
        case "fp16":
            save_file({n: t.half() for n, t in load_file(weights).items()}, weights, metadata={"format": "pt"})
        case "old names":
            old = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}
            state = load_file(weights)
            for new, name in old.items():
                state = {n.replace(new, name): t for n, t in state.items()}
            torch.save(state, folder / "pytorch_model.bin")
            weights.unlink()
        case "no architectures":
            del config["architectures"]
            (folder / "config.json").write_text(json.dumps(config))
        case "prefix":
            torch.save({f"module.{n}": t for n, t in load_file(weights).items()}, folder / "pytorch_model.bin")
            weights.unlink()
