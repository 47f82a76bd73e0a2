"""fairseq's checkpoints in, ours and Hugging Face's out, and back: bit for bit."""

from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from support import fairseq_files as files
from support.fairseq_files import SIZES, THEIRS, equal
from support.model_cases import CASES, apart, noise, shaken, small
from support.refusals import refused
from transformers import AutoModelForCTC, SEWConfig, SEWDConfig, SEWForCTC

from sewcli.base.errors import DataError, UsageError
from sewcli.models.ctc import CTCModel
from sewcli.models.fairseq import open_fairseq, parse_convolutions, save_fairseq
from sewcli.models.folder import load_ctc, load_encoder, load_pretraining, load_source, save_ctc, save_model
from sewcli.models.opening import open_source
from sewcli.models.pretraining import PretrainingModel
from sewcli.models.zoo import lookup
from sewcli.text.tokens import Vocabulary

LETTERS = Vocabulary.letters()


@pytest.mark.parametrize("style", ["cfg", "args", "none"])
@pytest.mark.parametrize("name", THEIRS)
def test_fairseq_to_ours_to_transformers(name: str, style: str, tmp_path: Path) -> None:
    theirs = shaken(THEIRS[name]()).eval()
    path = files.finetuned(theirs, tmp_path / "model.pt", style=style, legacy=style == "args")
    ours, vocabulary = load_ctc(path)
    assert vocabulary == LETTERS and ours.config.family == theirs.config.model_type
    if style != "none":
        dropouts = (ours.config.dropout, ours.config.activation_dropout, ours.config.layer_drop)
        assert dropouts == (0.0, 0.1, 0.05), "the fine-tuning config overrides that of pre-training"
    save_ctc(ours, vocabulary, tmp_path / "folder")
    again = AutoModelForCTC.from_pretrained(tmp_path / "folder").eval()
    assert equal(theirs, again)
    waves = noise(2, 9_000)
    with torch.inference_mode():
        logits = ours.eval()(waves, torch.tensor([9_000, 9_000])).logits
        assert apart(logits, theirs(waves).logits) < 1e-5


@pytest.mark.parametrize("case", CASES)
def test_ours_to_fairseq_and_back(case: str, tmp_path: Path) -> None:
    model = shaken(CTCModel(small(case), 32))
    save_fairseq(model, LETTERS, tmp_path)
    again, vocabulary = load_ctc(tmp_path / "model.pt")
    assert equal(model, again) and vocabulary == LETTERS
    assert (tmp_path / "dict.ltr.txt").read_text().splitlines()[:2] == ["| 32", "E 31"]
    kept = {"name", "final_dropout"} | {f for f in type(model.config).model_fields if "predict" in f or "code" in f}
    unlike = {k for k, v in model.config if getattr(again.config, k) != v} - kept
    assert unlike <= {"feature_norm_eps", "diversity_weight", "penalty_weight", "negatives"}, unlike


def test_the_upsampling_of_a_recogniser(tmp_path: Path) -> None:
    model = shaken(CTCModel(small("wav2vec2", output_upsample=2), 32))
    save_fairseq(model, LETTERS, tmp_path)
    state = torch.load(tmp_path / "model.pt", weights_only=True)
    assert state["model"]["w2v_encoder.upsample.0.weight"].shape == (256, 128)
    assert state["cfg"]["model"]["output_upsample"] == 2
    again = load_ctc(tmp_path / "model.pt")[0]
    assert equal(model, again) and again.config.output_upsample == 2


def test_a_log_mel_front_end_is_refused(tmp_path: Path) -> None:
    with torch.device("meta"):
        model = CTCModel(lookup("sew-tiny+fbfe"), 32)
    with pytest.raises(UsageError, match="no log-mel front end"):
        save_fairseq(model, LETTERS, tmp_path)


@pytest.mark.parametrize("predictor", ["linear", "mlp", "mlp-norm", "mlp3-norm"])
@pytest.mark.parametrize("case", ["sew", "sew-d", "wav2vec2-projected"])
def test_pretrained_to_fairseq_and_back(case: str, predictor: str, tmp_path: Path) -> None:
    model = shaken(PretrainingModel(small(case, predictor=predictor)))
    model.train()(noise(2, 8000), torch.tensor([8000, 8000]), torch.ones(2, 24, dtype=torch.bool), 1.0)
    save_fairseq(model, None, tmp_path)
    again = load_pretraining(tmp_path / "model.pt")
    assert equal(model, again)
    assert {k for k, v in again.config if getattr(model.config, k) != v} <= {"name", "predictor_hidden"}


def test_names_of_the_official_pretraining_parts(tmp_path: Path) -> None:
    """Spelled out from the authors' modules: MLPv3 is a Sequential of 1x1 convolutions, BatchNorm and ReLU."""
    config = lookup("sew-d-tiny").model_copy(update={"layers": 1, "predictor_hidden": 64})
    save_fairseq(PretrainingModel(config), None, tmp_path)
    state = torch.load(tmp_path / "model.pt", weights_only=True)["model"]
    heads = {k: tuple(v.shape) for k, v in state.items() if k.startswith(("quantizer", "project_q", "final_proj"))}
    norm = dict.fromkeys(("weight", "bias", "running_mean", "running_var"), (64,)) | {"num_batches_tracked": ()}
    expected = {
        "quantizer.vars": (1, 640, 128),
        "quantizer.weight_proj.weight": (640, 512),
        "quantizer.weight_proj.bias": (640,),
    }
    for head, inputs in (("project_q", 256), ("final_proj", 384)):
        expected |= {
            f"{head}.net.0.weight": (64, inputs, 1),
            f"{head}.net.3.weight": (256, 64, 1),
            f"{head}.net.3.bias": (256,),
        }
        expected |= {f"{head}.net.1.{key}": shape for key, shape in norm.items()}
    assert heads == expected
    encoder = set(state) - set(heads)
    theirs = SEWDConfig(hidden_size=384, num_hidden_layers=1, num_attention_heads=6, intermediate_size=1536)
    assert encoder == set(files.official_names(theirs))


def test_every_model_of_the_zoo_is_told_from_its_shapes_alone(tmp_path: Path) -> None:
    for name in ("sew-d-tiny", "sew-tiny", "w2v2-tiny", "w2v2-base"):
        config = lookup(name).model_copy(update={"layers": 2})
        with torch.device("meta"):
            model = PretrainingModel(config)
        save_fairseq(model.to_empty(device="cpu"), None, tmp_path)
        content = torch.load(tmp_path / "model.pt", weights_only=True)
        files.write({"model": content["model"]}, tmp_path / "bare.pt")
        found = open_source(tmp_path / "bare.pt").config
        keys = {
            "family",
            "extractor_channels",
            "extractor_strides",
            "width",
            "layers",
            "heads",
            "feedforward",
            "squeeze",
        }
        keys |= {"position_kernel", "predictor", "norm_eps", "position_groups", "codebook_entries", "code_width"}
        assert {k: getattr(found, k) for k in keys} == {k: getattr(config, k) for k in keys}


def test_an_encoder_alone(tmp_path: Path) -> None:
    model = shaken(PretrainingModel(small("sew")))
    save_fairseq(model, None, tmp_path)
    content = torch.load(tmp_path / "model.pt", weights_only=True)
    heads = ("quantizer", "project_q", "final_proj")
    state = OrderedDict((k, v) for k, v in content["model"].items() if not k.startswith(heads))
    files.write({**content, "model": state}, tmp_path / "encoder.pt")
    source = open_source(tmp_path / "encoder.pt")
    assert source.kind == "encoder"
    assert equal(load_encoder(tmp_path / "encoder.pt"), model.encoder)
    loaded, _ = load_source(source)
    save_model(loaded, None, tmp_path / "folder")
    assert equal(load_encoder(tmp_path / "folder"), model.encoder)
    from transformers import SEWModel

    theirs, report = SEWModel.from_pretrained(tmp_path / "folder", output_loading_info=True)
    assert not any(report[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    theirs.save_pretrained(tmp_path / "theirs")
    assert equal(load_encoder(tmp_path / "theirs"), model.encoder)
    with pytest.raises(UsageError, match="not a pre-trained model but an encoder alone"):
        load_pretraining(tmp_path / "encoder.pt")


def test_normalised_waves_follow_the_task(tmp_path: Path) -> None:
    theirs = shaken(THEIRS["wav2vec2-layer-norm"]()).eval()
    path = files.finetuned(theirs, tmp_path / "model.pt", normalize=True)
    ours = load_ctc(path)[0].eval()
    assert ours.config.normalize_waves
    save_ctc(ours, LETTERS, tmp_path / "folder")
    from transformers import AutoProcessor

    processor = AutoProcessor.from_pretrained(tmp_path / "folder")
    waves = [noise(9_000).numpy() * 3 + 0.5, noise(6_000, seed=1).numpy()]
    inputs = processor(waves, sampling_rate=16_000, return_tensors="pt", padding=True)
    padded = torch.nn.utils.rnn.pad_sequence([torch.from_numpy(w) for w in waves], batch_first=True)
    with torch.inference_mode():
        a = ours(padded, torch.tensor([9_000, 6_000]))
        b = theirs(inputs.input_values, attention_mask=inputs.attention_mask).logits
    for row, frames in enumerate(a.lengths.tolist()):
        assert apart(a.logits[row, :frames], b[row, :frames]) < 1e-5


@pytest.mark.fault("report-24")
def test_the_dictionary(tmp_path: Path) -> None:
    theirs = SEWForCTC(SEWConfig(**{**SIZES, "vocab_size": 8}))
    path = files.finetuned(theirs, tmp_path / "model.pt")
    with pytest.raises(DataError, match="8 outputs, the dictionary 32 symbols"):
        load_ctc(path)
    (tmp_path / "other.txt").write_text("| 9\nÄ   4\nB\t3\nC 1 \n")
    assert open_fairseq(path, dictionary=tmp_path / "other.txt").vocabulary == Vocabulary(
        ("<pad>", "<s>", "</s>", "<unk>", "|", "Ä", "B", "C")
    )
    (tmp_path / "other.txt").rename(tmp_path / "dict.ltr.txt")
    assert load_ctc(path)[1].tokens[5] == "Ä"


def changed(path: Path, change) -> Path:
    content = torch.load(path, weights_only=True)
    change(content)
    torch.save(content, path)
    return path


INNER = ("cfg", "model", "w2v_args", "model")


def put(content: dict, key: str, value) -> None:
    for part in INNER:
        content = content[part]
    content[key] = value


P = "w2v_encoder.w2v_model."
BREAKAGES = {
    "no model": (lambda c: c.pop("model"), "no tensors under 'model'"),
    "other layers": (lambda c: put(c, "encoder_layers", 12), "encoder_layers = 12, the tensors 2"),
    "other kernel": (lambda c: put(c, "conv_pos", 127), "conv_pos = 127, the tensors 31"),
    "other option": (lambda c: put(c, "squeeze_method", "multi-layer"), "squeeze_method = 'multi-layer'"),
    "other act": (lambda c: put(c, "activation_fn", "relu"), "activation_fn"),
    "code": (lambda c: put(c, "conv_feature_layers", "__import__('os').getcwd()"), "not a list of convolutions"),
    "other convolutions": (lambda c: put(c, "conv_feature_layers", "[(512,10,5)]"), "the tensors differ"),
    "absurd heads": (lambda c: put(c, "encoder_attention_heads", 10**9), "heads"),
    "missing": (lambda c: c["model"].pop(P + "encoder.layers.1.fc2.bias"), "missing tensors: 1"),
    "missing gain": (lambda c: c["model"].pop(P + "encoder.pos_conv.0.weight_v"), "missing tensor"),
    "extra": (lambda c: c["model"].update({P + "surplus": torch.zeros(1)}), "tensors too many: 1"),
    "shape": (lambda c: c["model"].update({P + "layer_norm.bias": torch.zeros(3)}), "has shape (3,)"),
    "one number": (lambda c: c["model"].update({P + "encoder.pos_conv.0.weight_v": torch.zeros(())}), "model.pt"),
    "no extractor": (
        lambda c: [c["model"].pop(k) for k in list(c["model"]) if "feature_extractor" in k],
        "no wave feature extractor",
    ),
}


@pytest.mark.parametrize("breakage", BREAKAGES)
def test_a_broken_checkpoint_is_explained(breakage: str, tmp_path: Path) -> None:
    spoil, said = BREAKAGES[breakage]
    path = changed(files.finetuned(THEIRS["sew"](), tmp_path / "model.pt"), spoil)
    with pytest.raises(DataError) as caught:
        load_ctc(path)
    assert said in str(caught.value) and str(path) in str(caught.value)
    assert len(str(caught.value).splitlines()) <= 2


def test_convolutions_in_fairseqs_notation() -> None:
    where = Path("x")
    text = "[(512, 10, 5)] + [(512, 3, 2)] * 4 + [(512,2,2)] + [(512,2,2)]"
    assert parse_convolutions(text, where) == [(512, 10, 5), *[(512, 3, 2)] * 4, *[(512, 2, 2)] * 2]
    assert parse_convolutions("2 * [(1, 2, 3)]", where) == [(1, 2, 3)] * 2
    for bad in (
        "[(1,2)]",
        "[1]",
        "exit()",
        "[(1,2,3)] * 10**9",
        "[(1,2,3)] * 1000000",
        "(",
        "",
        "[(1,2,-3)]",
        "[(1,2,'a')]",
    ):
        with refused(DataError, "invalid-convolutions"):
            parse_convolutions(bad, where)
