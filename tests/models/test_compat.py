"""Other programs' padded batches, reproduced on request: transformers' with its own code, the authors' with its modules."""

import json
from pathlib import Path

import pytest
import torch
from support.model_cases import CASES, apart, noise, shaken, small
from torch.nn import functional
from transformers import AutoModelForCTC, SEWConfig, SEWForCTC

from sewcli.base.errors import DataError
from sewcli.models.ctc import CTCModel
from sewcli.models.encoder import frames_by_chunks
from sewcli.models.folder import load_ctc, save_ctc
from sewcli.text.tokens import Vocabulary

LETTERS = Vocabulary.letters()
LENGTHS = [16_340, 9_999, 16_000, 5_300, 16_060]  # 50, 30, 49, 16 and 49 frames; the authors count 50, 31, 50, 17, 50


def padded(extra: int = 0) -> torch.Tensor:
    waves = torch.zeros(len(LENGTHS), max(LENGTHS) + extra)
    for row, samples in enumerate(LENGTHS):
        waves[row, :samples] = noise(samples, seed=row) + 0.05 * row
    return waves


def sample_mask(waves: torch.Tensor) -> torch.Tensor:
    return torch.arange(waves.shape[1]) < torch.tensor(LENGTHS).unsqueeze(1)


def both(case: str, compat: str, folder: Path):
    torch.manual_seed(0)
    save_ctc(shaken(CTCModel(small(case), len(LETTERS))), LETTERS, folder)
    ours = load_ctc(folder, overrides={"compat": compat})[0].eval()
    assert ours.config.compat == compat
    return ours, AutoModelForCTC.from_pretrained(folder).eval()


@pytest.mark.parametrize("extra", [0, 3_000])
@pytest.mark.parametrize("case", CASES)
def test_batches_of_transformers(case: str, extra: int, tmp_path: Path) -> None:
    ours, theirs = both(case, "transformers", tmp_path / "model")
    waves = padded(extra)
    with torch.inference_mode():
        reference = theirs(waves, attention_mask=sample_mask(waves).long()).logits
        found = ours(waves, torch.tensor(LENGTHS))
        right = ours.__class__(ours.config.model_copy(update={"compat": "none"}), len(LETTERS)).eval()
        right.load_state_dict(ours.state_dict())
        other = right(waves, torch.tensor(LENGTHS))
    assert found.lengths.tolist() == other.lengths.tolist() == [50, 30, 49, 16, 49]
    assert apart(found.logits, reference) < 1e-5
    differs = [apart(other.logits[row, :n], reference[row, :n]) for row, n in enumerate(found.lengths.tolist())]
    if case == "wav2vec2-layer-norm":
        assert max(differs) < 1e-5  # nothing to reproduce: no norm over time, no squeeze
    elif case == "sew-layer-norm":
        assert differs[1] < 1e-5 and differs[3] < 1e-5 and differs[2] > 1e-2 and differs[4] > 1e-2  # odd lengths only
    else:
        assert min(differs[1:]) > 1e-3  # the norm over time sees the padding


def chunked(waves: torch.Tensor, frames: int) -> torch.Tensor:
    """The authors' padding mask, literally: reshape the samples' mask to frames, padded where all of a chunk is."""
    padding = ~sample_mask(waves)
    extra = padding.shape[1] % frames
    if extra > 0:
        padding = padding[:, :-extra]
    return padding.view(padding.shape[0], frames, -1).all(-1)


def authors_forward(theirs, family: str, waves: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The authors' order of computation, put together from transformers' modules of the same weights."""
    model = theirs.sew if family == "sew" else theirs.sew_d
    x = model.feature_extractor(waves).transpose(1, 2)
    padding = chunked(waves, x.shape[1])
    x = model.layer_norm(x)
    x = model.feature_projection(x) if model.project_features else x
    x = x.masked_fill(padding.unsqueeze(2), 0.0)
    total, encoder = x.shape[1], model.encoder
    x = x.transpose(1, 2)
    conv, pool = encoder.pos_conv_embed(x), encoder.pool(x)
    least = min(conv.shape[2], pool.shape[2])
    x = (pool[..., :least] + conv[..., :least]).transpose(1, 2)
    lengths = (~padding).sum(1) // 2
    if family == "sew":
        lengths = lengths + x.shape[1] - lengths.max()
        x = encoder.layer_norm(x)
        hidden = torch.arange(x.shape[1]) >= lengths.unsqueeze(1)
        bias = torch.zeros(hidden.shape).masked_fill(hidden, float("-inf"))[:, None, None, :]
        for layer in encoder.layers:
            x = layer(x, attention_mask=bias)
    else:
        mask = (torch.arange(x.shape[1]) < lengths.unsqueeze(1)).long()
        # DeBERTa multiplies the mask with itself, which transformers 5 leaves to the caller
        x = encoder.encoder(x, mask.unsqueeze(1) * mask.unsqueeze(2)).last_hidden_state
    x = encoder.upsample(x)
    x = functional.pad(x, (0, 0, 0, total - x.shape[1]))
    return theirs.lm_head(x), (~padding).sum(1)


def authors_wav2vec2(theirs, waves: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """fairseq's own wav2vec 2.0: no squeeze, frames by the convolutions' formula, and nothing zeroed after the encoder."""
    model, encoder = theirs.wav2vec2, theirs.wav2vec2.encoder
    x = model.feature_extractor(waves).transpose(1, 2)
    frames = theirs._get_feat_extract_output_lengths(torch.tensor(LENGTHS))
    padding = torch.arange(x.shape[1]) >= frames.unsqueeze(1)
    x = model.feature_projection(x)[0].masked_fill(padding.unsqueeze(2), 0.0)
    x = x + encoder.pos_conv_embed(x)
    first = model.config.do_stable_layer_norm
    x = x if first else encoder.layer_norm(x)
    bias = torch.zeros(padding.shape).masked_fill(padding, float("-inf"))[:, None, None, :]
    for layer in encoder.layers:
        x = layer(x, attention_mask=bias)
        x = x if isinstance(x, torch.Tensor) else x[0]
    return theirs.lm_head(encoder.layer_norm(x) if first else x), (~padding).sum(1)


AUTHORS = ["sew", "sew-layer-norm", "sew-d", "sew-d-projected", "wav2vec2", "wav2vec2-projected", "wav2vec2-layer-norm"]


@pytest.mark.parametrize("case", AUTHORS)
def test_batches_of_the_authors(case: str, tmp_path: Path) -> None:
    ours, theirs = both(case, "asapp", tmp_path / "model")
    waves = padded()
    with torch.inference_mode():
        if "wav2vec2" in case:
            reference, lengths = authors_wav2vec2(theirs, waves)
        else:
            reference, lengths = authors_forward(theirs, "sew-d" if "sew-d" in case else "sew", waves)
        found = ours(waves, torch.tensor(LENGTHS))
    assert found.lengths.tolist() == lengths.tolist()
    assert (lengths.tolist() == [50, 30, 49, 16, 49]) == ("wav2vec2" in case)
    assert apart(found.logits, reference) < 1e-5


def test_frames_by_chunks_are_the_authors() -> None:
    generator = torch.Generator().manual_seed(3)
    model = CTCModel(small("sew"), 32)
    more = 0
    for _ in range(200):
        samples = int(torch.randint(400, 400_000, (), generator=generator))
        lengths = torch.randint(400, samples + 1, (4,), generator=generator)
        lengths[0] = samples
        total = int(model.encoder.frames(samples))
        padding = torch.arange(samples) >= lengths.unsqueeze(1)
        cut = padding[:, : samples - samples % total]
        expected = (~cut.view(4, total, -1).all(-1)).sum(1)
        assert torch.equal(frames_by_chunks(lengths, samples, total), expected)
        surplus = expected - model.encoder.frames(lengths)
        more += int((surplus[1:] > 0).sum())
    assert more > 540  # of 600: the authors count too many nearly always


@pytest.mark.parametrize("compat", ["asapp", "transformers"])
@pytest.mark.parametrize("case", ["sew", "sew-d", "wav2vec2"])
def test_an_utterance_alone_is_the_same_everywhere(case: str, compat: str) -> None:
    torch.manual_seed(0)
    right, other = (shaken(CTCModel(small(case, compat=name), 32)).eval() for name in ("none", compat))
    other.load_state_dict(right.state_dict())
    with torch.inference_mode():
        for samples in (16_000, 16_340):
            one, two = (model(noise(1, samples), torch.tensor([samples])) for model in (right, other))
            assert torch.equal(one.logits, two.logits) and torch.equal(one.lengths, two.lengths)


def test_the_switch_stands_in_the_folder_and_in_nothing_that_transformers_reads(tmp_path: Path) -> None:
    theirs = SEWForCTC(SEWConfig(hidden_size=64, num_hidden_layers=1, num_attention_heads=4, intermediate_size=96))
    theirs.save_pretrained(tmp_path)
    LETTERS.save(tmp_path)
    content = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**content, "sew": {"compat": "asapp"}}))
    model, vocabulary = load_ctc(tmp_path)
    assert (model.config.compat, model.config.squeeze, model.config.predictor) == ("asapp", 2, "linear")
    save_ctc(model, vocabulary, tmp_path / "again")
    assert load_ctc(tmp_path / "again")[0].config.compat == "asapp"
    (tmp_path / "config.json").write_text(json.dumps({**content, "sew": {"compat": "fairseq"}}))
    with pytest.raises(DataError, match="compat"):
        load_ctc(tmp_path)
