"""Folders and files of relatives that are another network, another rate, or not there at all: each named for what it is."""

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
import torch
from support.refusals import refused
from wild_folders import KINDS, build

from sewcli.base.errors import DataError, SewError
from sewcli.models.folder import load_ctc, load_encoder
from sewcli.models.opening import open_source

Sew = Callable[..., CompletedProcess[str]]
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The commonest layout."""
    return build(KINDS["blank last"], tmp_path / "model")


def edit(name: str, **changes: object) -> Callable[[Path], None]:
    """A change of a JSON file of a folder."""

    def change(folder: Path) -> None:
        content = json.loads((folder / name).read_text()) if (folder / name).is_file() else {}
        (folder / name).write_text(json.dumps({**content, **changes}))

    return change


def nested(folder: Path) -> None:
    """A vocabulary of two languages of which none is chosen."""
    ids = json.loads((folder / "vocab.json").read_text())
    (folder / "vocab.json").write_text(json.dumps({"eng": ids, "fra": ids}))


def without_blank(folder: Path) -> None:
    """Neither file names a padding symbol that the head has."""
    edit("config.json", pad_token_id=None)(folder)
    edit("tokenizer_config.json", pad_token="<nowhere>")(folder)
    ids = json.loads((folder / "vocab.json").read_text())
    (folder / "vocab.json").write_text(json.dumps({"ø" if token == "[PAD]" else token: i for token, i in ids.items()}))


def checkpoint_in_place(folder: Path) -> None:
    """What a training saved, with the weights inside."""
    (folder / "model.safetensors").unlink()
    torch.save({"state_dict": {"x": torch.zeros(2)}, "epoch": 3}, folder / "pytorch_model.bin")


REFUSED = {
    "WavLM": (edit("config.json", model_type="wavlm"), "'wavlm' (it has gated relative position biases"),
    "data2vec": (edit("config.json", model_type="data2vec-audio"), "'data2vec-audio' (it has several position"),
    "conformer": (edit("config.json", model_type="wav2vec2-conformer"), "conformer layers"),
    "UniSpeech": (edit("config.json", model_type="unispeech-sat"), "'unispeech-sat'"),
    "Whisper": (edit("config.json", model_type="whisper"), "a decoder that writes text"),
    "no type": (edit("config.json", model_type=None), "no model_type"),
    "adapters of a language": (edit("config.json", adapter_attn_dim=16), "a model without adapters"),
    "an adapter": (edit("config.json", add_adapter=True), "a model without add_adapter"),
    "batch norm of positions": (
        edit("config.json", model_type="hubert", conv_pos_batch_norm=True),
        "conv_pos_batch_norm",
    ),
    "no norm of features": (
        edit("config.json", model_type="hubert", feat_proj_layer_norm=False),
        "feat_proj_layer_norm",
    ),
    "8 kHz": (
        edit("processor_config.json", feature_extractor={"sampling_rate": 8000}),
        "a model of 8000 Hz; sew recognises speech at 16000 Hz only",
    ),
    "features of mel": (
        edit("processor_config.json", feature_extractor={"feature_extractor_type": "WhisperFeatureExtractor"}),
        "features of a WhisperFeatureExtractor",
    ),
    "another tokenizer": (edit("tokenizer_config.json", tokenizer_class="WhisperTokenizer"), "a WhisperTokenizer"),
    "languages, none chosen": (nested, "symbols of 2 languages (eng, fra)"),
    "no blank": (without_blank, "no output of the model is the CTC blank"),
    "head of another size": (edit("config.json", vocab_size=99), "lm_head has 30 outputs, vocab_size is 99"),
    "pointer in place of weights": (lambda f: (f / "model.safetensors").write_bytes(POINTER), "a pointer of git-lfs"),
    "pointer in place of symbols": (lambda f: (f / "vocab.json").write_bytes(POINTER), "a pointer of git-lfs"),
    "a checkpoint of a training": (checkpoint_in_place, "its weights under 'state_dict'"),
}


@pytest.mark.fault("report-5", "report-12", "report-16", "report-17", "report-19", "report-23")
@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused_by_name(name: str, folder: Path) -> None:
    spoil, said = REFUSED[name]
    spoil(folder)
    with pytest.raises(DataError) as caught:
        load_ctc(folder)
    assert said in str(caught.value) and str(folder) in str(caught.value)


@pytest.mark.fault("report-12")
def test_a_language_of_a_nested_vocabulary_is_named_in_the_hint(folder: Path) -> None:
    nested(folder)
    with pytest.raises(DataError) as caught:
        load_ctc(folder)
    assert '"target_lang": "eng"' in str(caught.value.hint)


@pytest.mark.fault("report-16", "report-18")
@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"cfg": {"model": {"_name": "hubert"}}, "model": {"label_embs_concat": torch.zeros(2)}}, "of HuBERT"),
        ({"cfg": None, "args": None, "model": {"label_embs_concat": torch.zeros(2)}}, "of HuBERT"),
        ({"cfg": {"model": {"_name": "data2vec_audio"}}, "model": {"mask_emb": torch.zeros(2)}}, "of data2vec"),
        ({"model": {"encoder.pos_conv.0.0.weight": torch.zeros(2)}}, "of data2vec"),
        (
            {"cfg": {"model": {"_name": "wav2vec2", "layer_type": "conformer"}}, "model": {"x": torch.zeros(2)}},
            "conformer",
        ),
        ({"model": {"encoder.layers.0.self_attn.grep_linear.weight": torch.zeros(2)}}, "of WavLM"),
        (
            {
                "cfg": {"model": {"_name": "wav2vec_ctc", "w2v_args": {"model": {"_name": "hubert"}}}},
                "model": {"w2v_encoder.proj.weight": torch.zeros(2)},
            },
            "of HuBERT",
        ),
    ],
)
def test_a_checkpoint_of_a_relative_is_named(content: dict, said: str, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "model.pt")
    with pytest.raises(SewError) as caught:
        open_source(tmp_path / "model.pt")
    assert said in str(caught.value) and str(tmp_path / "model.pt") in str(caught.value)


@pytest.mark.fault("report-16")
def test_a_pointer_in_place_of_a_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "model.pt").write_bytes(POINTER)
    with refused(DataError, "git-lfs-pointer"):
        open_source(tmp_path / "model.pt")


@pytest.mark.fault("report-17", "report-20")
def test_encoders_of_relatives_and_of_other_tasks(tmp_path: Path) -> None:
    """HubertModel, and a classifier on wav2vec 2.0, whose head is left out: each is the same encoder."""
    from transformers import HubertModel, Wav2Vec2ForSequenceClassification

    for kind, loaded in (("HuBERT", HubertModel), ("blank last", Wav2Vec2ForSequenceClassification)):
        source = build(KINDS[kind], tmp_path / kind)
        theirs = loaded.from_pretrained(source).eval()
        theirs.save_pretrained(tmp_path / f"{kind}-encoder")
        wave = torch.randn(1, 9_000, generator=torch.Generator().manual_seed(1)) * 0.1
        encoder = load_encoder(tmp_path / f"{kind}-encoder").eval()
        with torch.inference_mode():
            ours = encoder(wave, torch.tensor([9_000])).states
            inner = theirs if kind == "HuBERT" else theirs.wav2vec2
            assert (ours - inner(wave).last_hidden_state).abs().max() < 1e-4


@pytest.mark.fault("report-1", "report-5")
def test_side_files_come_with_a_model_of_the_hub() -> None:
    from sewcli.models.source import _wanted

    files = ["config.json", "vocab.json", "model.safetensors", "tokenizer_config.json", "special_tokens_map.json"]
    wanted = _wanted([*files, "added_tokens.json", "processor_config.json", "preprocessor_config.json", "x.msgpack"])
    assert {*files, "added_tokens.json", "processor_config.json", "preprocessor_config.json"} <= set(wanted)


@pytest.mark.fault("report-1")
def test_the_reason_stands_on_the_command_line(folder: Path, tmp_path: Path, sew_here: Sew) -> None:
    edit("config.json", adapter_attn_dim=16)(folder)
    (tmp_path / "a.wav").touch()
    done = sew_here("transcribe", tmp_path / "a.wav", "--model", folder)
    assert done.returncode == 3 and "adapter_attn_dim = 16 is not supported" in done.stderr and "MMS" in done.stderr
