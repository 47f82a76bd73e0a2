"""fairseq's checkpoints of wav2vec 2.0, SEW and SEW-D, pre-trained or fine-tuned with CTC: read and written.

The architecture is read off the tensors' shapes, and held against the file's own config where it has one; what shapes
cannot tell (strides, heads, dropouts) comes from that config. Tensor names are in `names.py`, facts in fairseq
`wav2vec2.py` and the SEW authors' `squeeze_wav2vec2.py` and `feat_mlp_wav2vec2.py`.
"""

from __future__ import annotations

import ast
import io
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch

from sewcli.base import log
from sewcli.base.config import build
from sewcli.base.errors import DataError, SewError, UsageError
from sewcli.base.files import atomic_path, refuse_pointer
from sewcli.base.sample_rate import SAMPLE_RATE
from sewcli.models.config import ModelConfig
from sewcli.models.ctc import CTCModel
from sewcli.models.fairseq_dictionary import arranged, read_dictionary, rearranged, write_dictionary
from sewcli.models.names import FAIRSEQ_PREFIX, fairseq_names
from sewcli.models.pretraining import PretrainingModel
from sewcli.models.source import Source
from sewcli.models.tensors import Entry, Tensors
from sewcli.models.torch_files import read_torch_file
from sewcli.text.tokens import Vocabulary

SHAPED = {  # what the shapes tell, and the key of the config that must agree
    "width": "encoder_embed_dim",
    "layers": "encoder_layers",
    "feedforward": "encoder_ffn_embed_dim",
    "position_kernel": "conv_pos",
    "position_groups": "conv_pos_groups",
    "squeeze": "squeeze_factor",
    "extractor_bias": "conv_bias",
    "predictor_hidden": "mlp_hidden_size",
    "position_buckets": "position_buckets",
    "codebook_entries": "latent_vars",
    "output_upsample": "output_upsample",
}
TOLD = {  # what only the config tells
    "heads": "encoder_attention_heads",
    "norm_first": "layer_norm_first",
    "max_positions": "max_position_embeddings",
    "codebook_groups": "latent_groups",
    "negatives": "num_negatives",
    "logit_temperature": "logit_temp",
    "dropout": "dropout",
    "attention_dropout": "attention_dropout",
    "activation_dropout": "activation_dropout",
    "input_dropout": "dropout_input",
    "feature_dropout": "dropout_features",
    "layer_drop": "encoder_layerdrop",
    "extractor_gradient": "feature_grad_mult",
}
FINETUNED = {  # keys of the fine-tuning config -> those of the encoder's config that they override
    "dropout": "dropout",
    "attention_dropout": "attention_dropout",
    "activation_dropout": "activation_dropout",
    "dropout_input": "dropout_input",
    "layerdrop": "encoder_layerdrop",
    "feature_grad_mult": "feature_grad_mult",
}
FIXED: dict[str, tuple[Any, ...]] = {  # options that change the computation in a way we do not have
    "activation_fn": ("gelu",),
    "squeeze_method": ("default",),
    "feature_extractor_type": ("default",),
    "spec_feature_only": (False,),
    "quantize_input": (False,),
    "target_glu": (False,),
    "share_final_proj": (False,),
    "mlp_act_type": ("relu",),
    "cross_layer_param_share": (False,),
    "share_att_key": (True,),
    "relative_attention": (True,),
    "norm_rel_ebd": ("layer_norm",),
    "max_relative_positions": (-1,),
    "position_biased_input": (False,),
    "drop_upsample_layers": (0,),
}
STRIDES = {10: 5, 3: 2, 2: 2, 1: 1}  # by kernel, in every published model; only for files without a config
OTHERS = {  # (part of the name in the file's config, part of a tensor's name) -> what the model is
    ("wavlm", ".grep_linear."): "WavLM",
    ("data2vec", "encoder.pos_conv.0.0."): "data2vec",
    ("data2vec", "modality_encoders."): "data2vec 2.0",
    ("hubert", "label_embs_concat"): "HuBERT",
    ("hubert", ".w2v_model.label_embs_concat"): "HuBERT",
    ("conformer", ".conv_module."): "a wav2vec 2.0 model with conformer layers",
    ("adp", ".adapter_layer."): "a wav2vec 2.0 model with adapters",
}
HINTS = {
    "HuBERT": "convert it to a folder of transformers, which sew reads: "
    "transformers.models.hubert.convert_hubert_original_pytorch_checkpoint_to_pytorch"
}
ARCHITECTURES = {"wav2vec2": "wav2vec2", "sew": "squeeze_wav2vec2", "sew-d": "squeeze_wav2vec2_deberta"}


def open_fairseq(path: Path, *, trust_pickle: bool = False, dictionary: Path | None = None) -> Source:
    """A checkpoint, ready to be read.

    Args:
        path: the `.pt` file.
        trust_pickle: let the file run code (see `torch_files`).
        dictionary: `dict.ltr.txt` of a fine-tuned model; by default the one in the checkpoint or beside it.

    Raises:
        DataError: not a checkpoint, not whole, of another model, or shapes and config disagree.
    """
    refuse_pointer(path)
    content = read_torch_file(path, trust_pickle=trust_pickle)
    state = content.get("model") if isinstance(content, dict) else None
    if not isinstance(state, dict) or not state or not all(isinstance(entry, Entry) for entry in state.values()):
        raise DataError(
            "not-a-fairseq-file",
            "not a fairseq checkpoint: no tensors under 'model'",
            where=path,
            hint="a pytorch_model.bin belongs in a folder with its config.json: give that folder",
        )
    _refuse_others(content, state, path)
    finetuned = any(name.startswith(f"{FAIRSEQ_PREFIX}.") for name in state)
    prefix = f"{FAIRSEQ_PREFIX}." if finetuned else ""
    tensors = Tensors(path, state)
    told, normalize = _settings(content, path, finetuned)
    config = _infer(tensors, prefix, told, normalize)
    vocabulary = None
    if finetuned:
        vocabulary = read_dictionary(content, tensors.first_axis("w2v_encoder.proj.weight"), path, dictionary)
    else:
        _flatten_heads(tensors)
    return Source(
        where=path,
        kind="ctc" if finetuned else "pretraining" if "quantizer.vars" in state else "encoder",
        config=config,
        tensors=tensors,
        names=partial(_names, finetuned),
        vocabulary=vocabulary,
    )


def save_fairseq(model: CTCModel | PretrainingModel, vocabulary: Vocabulary | None, folder: Path) -> Path:
    """Write `model.pt`, and for a recogniser `dict.ltr.txt`, as fairseq (with the SEW authors' models) reads them.

    Raises:
        UsageError: a vocabulary that fairseq's dictionaries cannot hold.
    """
    finetuned, config = isinstance(model, CTCModel), model.config
    if config.front_end != "wave":
        raise UsageError(
            "no-fairseq-form", f"fairseq's models have no {config.front_end} front end", hint="export to another format"
        )
    if config.head_width is not None:
        raise UsageError(
            "no-fairseq-form", "fairseq has no attention with heads cut off", hint="export to another format"
        )
    if config.quantize_inputs or not (finetuned or config.standard_targets):
        raise UsageError(
            "no-fairseq-form",
            "quantized inputs and other targets than codes have no fairseq form here",
            hint="export to hf",
        )
    own = model.state_dict()
    names = fairseq_names(config, own, finetuned=finetuned)
    state = OrderedDict((names[name], _to_fairseq(name, tensor)) for name, tensor in own.items())
    encoder = {
        "model": {"_name": _architecture(config), **_model_config(config)},
        "task": {"_name": "audio_pretraining", "normalize": config.normalize_waves, "sample_rate": SAMPLE_RATE},
    }
    cfg: dict[str, Any] = encoder
    if finetuned:
        assert vocabulary is not None
        rows, symbols = arranged(vocabulary)
        for name in ("head.weight", "head.bias"):
            state[names[name]] = rearranged(state[names[name]], rows)
        training = {key: encoder["model"][of] for key, of in FINETUNED.items()}
        factor = config.output_upsample
        training |= {"output_upsample": factor if factor > 1 else 0}
        cfg = {
            "model": {"_name": "wav2vec_ctc", **training, "final_dropout": config.final_dropout, "w2v_args": encoder},
            "task": {**encoder["task"], "labels": "ltr"},
        }
        write_dictionary(symbols, folder)
    history: dict[str, Any] = {
        "criterion_name": "ctc" if finetuned else "wav2vec",
        "optimizer_name": "adam",
        "lr_scheduler_state": {},
        "num_updates": 0,
    }
    checkpoint = {
        "args": None,
        "cfg": cfg,
        "model": state,
        "optimizer_history": [history],
        "extra_state": {"train_iterator": {"epoch": 1}},
        "task_state": {},
    }
    with atomic_path(folder / "model.pt") as temporary, open(temporary, "wb", buffering=0) as file:
        noting = _Noting(file)
        torch.save(checkpoint, noting)
        if noting.fault is not None:
            raise noting.fault
    return folder / "model.pt"


class _Noting(io.BytesIO):
    """A file whose faults are kept: PyTorch's writer says of a full disk that it is at an unexpected position."""

    def __init__(self, file: io.FileIO) -> None:
        super().__init__()
        self._file = file
        self.fault: OSError | None = None

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        done = 0
        while self.fault is None and done < len(view):
            try:
                done += self._file.write(view[done:])
            except OSError as error:
                self.fault = error
        return len(view)


def parse_convolutions(text: str, where: Path) -> list[tuple[int, int, int]]:
    """(channels, kernel, stride) of each convolution in fairseq's notation, `[(512,10,5)] + [(512,3,2)] * 4`.

    fairseq evaluates it as Python; here it can only be lists of three numbers, added and repeated.

    Raises:
        DataError: anything else.
    """

    def value(node: ast.expr) -> Any:
        match node:
            case ast.List(elts=items) | ast.Tuple(elts=items):
                return [value(item) for item in items] if isinstance(node, ast.List) else tuple(map(value, items))
            case ast.Constant(value=int(number)) if 0 < number <= 65_536:
                return number
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                a, b = value(left), value(right)
                if isinstance(a, list) and isinstance(b, list):
                    return a + b
            case ast.BinOp(left=left, op=ast.Mult(), right=right):
                a, b = value(left), value(right)
                a, b = (b, a) if isinstance(a, int) else (a, b)
                if isinstance(a, list) and isinstance(b, int) and len(a) * b <= 64:
                    return a * b
        raise ValueError

    try:
        layers = value(ast.parse(text.strip(), mode="eval").body)
        if not layers or not all(len(layer) == 3 and all(isinstance(n, int) for n in layer) for layer in layers):
            raise ValueError
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        raise DataError(
            "invalid-convolutions", f"conv_feature_layers = {text[:80]!r} is not a list of convolutions", where=where
        ) from None
    return list(layers)


def _refuse_others(content: Mapping[str, Any], state: Mapping[str, Any], path: Path) -> None:
    """Name relatives of wav2vec 2.0 whose network is another, or whose files hold another task.

    Raises:
        DataError: the checkpoint is of one.
    """
    outer, _ = _model_section(content)
    inner = outer.get("w2v_args")
    inner = inner if isinstance(inner, dict) else {}
    told, _ = _model_section({"cfg": inner} if "model" in inner else {"args": inner})
    stated = [str(section.get(key)).lower() for section in (outer, told) for key in ("_name", "arch", "layer_type")]
    for (name, tensor), kind in OTHERS.items():
        if any(name in said for said in stated) or any(tensor in each for each in state):
            raise DataError(
                "not-a-fairseq-file",
                f"a checkpoint of {kind}; of fairseq's files sew reads wav2vec 2.0, SEW and SEW-D",
                where=path,
                hint=HINTS.get(kind, "take a wav2vec 2.0, SEW or SEW-D model"),
            )


def _settings(content: Mapping[str, Any], path: Path, finetuned: bool) -> tuple[dict[str, Any], bool]:
    """The encoder's config as far as the file tells it, and whether waves are normalised first."""
    outer, task = _model_section(content)
    told, normalize = outer, bool(task.get("normalize", outer.get("normalize", False)))
    if finetuned:
        inner = outer.get("w2v_args")
        if isinstance(inner, dict):
            told, inner_task = _model_section({"cfg": inner} if "model" in inner else {"args": inner})
            normalize = normalize or bool(inner_task.get("normalize", told.get("normalize", False)))
        else:
            told = {}
            log.warn(f"{path}: the encoder's config is not in the file; reading it off the shapes")
        told = {**told, **{of: outer[key] for key, of in FINETUNED.items() if key in outer}}
        told |= {
            key: outer[key] for key in ("final_dropout", "output_upsample", "drop_upsample_layers") if key in outer
        }
    elif not told:
        log.warn(f"{path}: no config in the file; reading the architecture off the shapes")
    for key, allowed in FIXED.items():
        if key in told and told[key] not in allowed:
            raise DataError("model-option-unsupported", f"{key} = {told[key]!r} is not supported", where=path)
    if "pos_att_type" in told and sorted(str(told["pos_att_type"]).split("|")) != ["c2p", "p2c"]:
        raise DataError(
            "model-option-unsupported", f"pos_att_type = {told['pos_att_type']!r} is not supported", where=path
        )
    return told, normalize


def _model_section(content: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """(model, task) of a config: nested in newer files, one flat namespace in older ones."""
    cfg, args = content.get("cfg"), content.get("args")
    if isinstance(cfg, dict) and isinstance(cfg.get("model"), dict):
        task = cfg.get("task")
        return cfg["model"], task if isinstance(task, dict) else {}
    return (args, args) if isinstance(args, dict) else ({}, {})


def _infer(tensors: Tensors, prefix: str, told: Mapping[str, Any], normalize: bool) -> ModelConfig:
    path = tensors.where

    def shape(name: str, axes: int = 2) -> tuple[int, ...]:
        return _shape(tensors, prefix + name, axes)

    has = {name.removeprefix(prefix) for name in tensors.entries}
    convolutions: list[tuple[int, ...]] = []
    while f"feature_extractor.conv_layers.{len(convolutions)}.0.weight" in has:
        convolutions.append(shape(f"feature_extractor.conv_layers.{len(convolutions)}.0.weight", 3))
    if not convolutions:
        raise DataError(
            "not-a-fairseq-file", "no wave feature extractor: not a wav2vec 2.0, SEW or SEW-D model", where=path
        )
    channels, kernels = [s[0] for s in convolutions], [s[2] for s in convolutions]
    family = "sew-d" if "encoder.encoder.rel_embeddings.weight" in has else "wav2vec2"
    family = "sew" if family == "wav2vec2" and "encoder.upsample.0.weight" in has else family
    stem = "encoder.encoder.layer." if family == "sew-d" else "encoder.layers."
    layers = {name.removeprefix(stem).partition(".")[0] for name in has if name.startswith(stem)}
    width, of_group, kernel = shape("encoder.pos_conv.0.weight_v", 3)
    expand = "intermediate.dense" if family == "sew-d" else "fc1"
    by_layer = "feature_extractor.conv_layers.0.2.1.weight" in has
    found: dict[str, Any] = {
        "width": width,
        "layers": len(layers),
        "feedforward": shape(f"{stem}0.{expand}.weight")[0],
        "position_kernel": kernel,
        "position_groups": width // of_group,
        "extractor_bias": "feature_extractor.conv_layers.0.0.bias" in has,
    }
    if family != "wav2vec2":
        found["squeeze"] = shape("encoder.upsample.0.weight")[0] // width
    if family == "sew-d":
        found["position_buckets"] = shape("encoder.encoder.rel_embeddings.weight")[0] // 2
    if "w2v_encoder.upsample.0.weight" in has:
        found["output_upsample"] = tensors.first_axis("w2v_encoder.upsample.0.weight") // width
    found |= _infer_heads(tensors, told)
    for field, value in found.items():
        said = told.get(SHAPED.get(field, ""))
        if said is not None and said != value:
            raise DataError(
                "config-weights-differ", f"the config says {SHAPED[field]} = {said!r}, the tensors {value}", where=path
            )
    values: dict[str, Any] = {
        "name": path.stem,
        "family": family,
        "extractor_channels": channels,
        "extractor_kernels": kernels,
        "extractor_strides": _strides(channels, kernels, told, path),
        "extractor_norm": "layer" if by_layer else "group",
        "normalize_waves": normalize,
        "always_project": "post_extract_proj.weight" in has and channels[-1] == width,
        "heads": max(width // 64, 1),
        "norm_first": by_layer and family == "wav2vec2",
        "norm_eps": 1e-7 if family == "sew-d" else 1e-5,
        **{field: told[key] for field, key in TOLD.items() if told.get(key) is not None},
        **found,
    }
    values |= {"final_dropout": told["final_dropout"]} if "final_dropout" in told else {}
    try:
        return build(ModelConfig, values)
    except SewError as error:
        raise DataError(error.code, error.what, where=path) from None


def _infer_heads(tensors: Tensors, told: Mapping[str, Any]) -> dict[str, Any]:
    has = tensors.entries
    groups = told.get("latent_groups") or 2
    found: dict[str, Any] = {}
    if "quantizer.vars" in has and isinstance(groups, int) and groups > 0:
        _, rows, columns = _shape(tensors, "quantizer.vars", 3)
        found |= {"codebook_entries": rows // groups, "code_width": columns * groups}
    if "project_q.weight" in has:
        return found | {"predictor": "linear", "prediction_width": tensors.first_axis("project_q.weight")}
    if "project_q.net.0.weight" in has:
        norm = "project_q.net.1.running_mean" in has
        last = 6 if "project_q.net.6.weight" in has else 3
        kind = "mlp3-norm" if last == 6 else "mlp-norm" if norm else "mlp"
        hidden, outputs = (tensors.first_axis(f"project_q.net.{layer}.weight") for layer in (0, last))
        return found | {"predictor": kind, "predictor_hidden": hidden, "prediction_width": outputs}
    return found | {"predictor": "mlp-norm" if told.get("use_mlp") else "linear"}


def _shape(tensors: Tensors, name: str, axes: int) -> tuple[int, ...]:
    shape = tensors.shape(name)
    if len(shape) != axes or not all(shape):
        raise DataError("tensor-shape", f"{name} has shape {shape}, where {axes} axes are due", where=tensors.where)
    return shape


def _strides(channels: list[int], kernels: list[int], told: Mapping[str, Any], path: Path) -> list[int]:
    text = told.get("conv_feature_layers")
    if isinstance(text, str):
        layers = parse_convolutions(text, path)
        if [(c, k) for c, k, _ in layers] != list(zip(channels, kernels, strict=True)):
            raise DataError(
                "config-weights-differ",
                f"the config says conv_feature_layers = {text[:80]!r}, the tensors differ",
                where=path,
            )
        return [stride for _, _, stride in layers]
    if unknown := [k for k in kernels if k not in STRIDES]:
        raise DataError(
            "stride-unknown", f"no config in the file, and no stride is known for a kernel of {unknown[0]}", where=path
        )
    return [STRIDES[k] for k in kernels]


def _names(finetuned: bool, config: ModelConfig, names: Iterable[str]) -> dict[str, str]:
    return fairseq_names(config, names, finetuned=finetuned)


def _flatten_heads(tensors: Tensors) -> None:
    """MLP heads are convolutions of width 1 there, linear layers here."""
    for name, entry in tensors.entries.items():
        if name.startswith(("project_q.net.", "final_proj.net.")) and len(entry.shape) == 3 and entry.shape[2] == 1:
            tensors.entries[name] = Entry(entry.shape[:2], lambda entry=entry: entry.read().squeeze(2))  # type: ignore[misc]


def _to_fairseq(name: str, tensor: torch.Tensor) -> torch.Tensor:
    tensor = tensor.detach().cpu().contiguous().clone()
    in_mlp = name.startswith(("target_head.", "context_head.")) and name.split(".")[1].isdigit()
    return tensor.unsqueeze(2) if in_mlp and tensor.dim() == 2 else tensor


def _architecture(config: ModelConfig) -> str:
    plain = config.family == "wav2vec2" and config.predictor != "linear"
    return "feat_mlp_wav2vec2" if plain else ARCHITECTURES[config.family]


def _model_config(config: ModelConfig) -> dict[str, Any]:
    values = config.model_dump(mode="json")
    shape = zip(config.extractor_channels, config.extractor_kernels, config.extractor_strides, strict=True)
    keys = SHAPED | TOLD
    if config.family != "sew-d":
        keys = {field: key for field, key in keys.items() if field not in ("position_buckets", "max_positions")}
    keys.pop("output_upsample")  # of the recogniser, not of the encoder
    if config.family == "wav2vec2":
        keys.pop("squeeze")
    mlp = {
        "use_mlp": True,
        "mlp_version": "v3",
        "mlp_num_layers": 3 if config.predictor == "mlp3-norm" else 2,
        "proj_mlp_norm_type": "none" if config.predictor == "mlp" else "bn",
    }
    if config.predictor == "linear":
        keys.pop("predictor_hidden")
    return {
        **{key: values[field] for field, key in keys.items()},
        "extractor_mode": "layer_norm" if config.extractor_norm == "layer" else "default",
        "conv_feature_layers": str(list(shape)),
        "final_dim": config.prediction_width,
        "latent_dim": config.code_width,
        "quantize_targets": True,
        **(mlp if config.predictor != "linear" else {}),
    }
