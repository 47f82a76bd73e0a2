"""Parameter counts of the papers, exactly (SEW tables 4, 5, 6, 10 and 13)."""

import pytest
import torch

from sewcli.base.errors import UsageError
from sewcli.models.ctc import CTCModel
from sewcli.models.folder import count
from sewcli.models.listing import describe, print_models
from sewcli.models.pretraining import PretrainingModel
from sewcli.models.zoo import lookup, names

COUNTS = {  # name: (recogniser with 32 letters, extractor, with pre-training heads and without CTC layer)
    "w2v2-tiny": (11_062_944, 1_051_648, 11_432_704),
    "w2v2-small": (24_851_872, 2_363_904, 25_332_224),
    "w2v2-mid": (44_145_824, 4_200_448, 44_736_768),
    "w2v2-base": (94_396_320, 4_200_448, 95_044_608),
    "w2v2-large": (315_461_792, 4_200_448, None),
    "sew-tiny": (40_725_311, 1_843_968, 46_378_911),
    "sew-small": (89_645_119, 1_843_968, 96_339_103),
    "sew-small-k127": (93_184_159, 1_843_968, None),
    "sew-mid": (174_699_583, 1_843_968, 181_393_567),
    "sew-mid-k127": (178_238_623, 1_843_968, None),
    "sew-d-tiny": (24_127_423, 1_843_968, 29_260_831),
    "sew-d-tiny-k127": (25_012_255, 1_843_968, None),
    "sew-d-small": (40_987_455, 1_843_968, 46_641_055),
    "sew-d-small-k127": (42_560_415, 1_843_968, None),
    "sew-d-mid": (78_816_063, 1_843_968, 84_469_663),
    "sew-d-mid-k127": (80_389_023, 1_843_968, 86_042_623),
    "sew-d-base": (175_092_799, 1_843_968, 181_786_783),
    "sew-d-base-plus": (177_003_711, 4_148_352, 183_861_535),
}


@pytest.mark.parametrize("name", COUNTS)
def test_counts(name: str) -> None:
    shown = describe(name)
    recogniser, extractor, pretraining = COUNTS[name]
    assert shown["recogniser"] == recogniser and shown["extractor"] == extractor
    assert pretraining is None or shown["with_pretraining"] == pretraining


def test_every_model_of_the_papers_is_counted() -> None:
    assert set(names()) - set(COUNTS) == {"sew-micro"}
    assert "ours" in describe("sew-micro")["description"]
    assert lookup("sew-d-base+") == lookup("sew-d-base-plus")


@pytest.mark.parametrize(
    ("predictor", "parameters"),
    [("linear", 44_736_768), ("mlp", 49_791_232), ("mlp-norm", 49_799_424), ("mlp3-norm", 83_370_240)],
)
def test_predictor_heads_of_table_10(predictor: str, parameters: int) -> None:
    with torch.device("meta"):
        model = PretrainingModel(lookup("w2v2-mid").model_copy(update={"predictor": predictor}))
    assert count(model) == parameters


@pytest.mark.parametrize(
    ("channels", "parameters"),
    [
        ((512,) * 7, 44_654_751),
        ((128, 256, 256, 512, 512, 1024, 1024), 45_601_951),
        ((160, 320, 320, 640, 640, 1280, 1280), 48_332_831),
    ],
)
def test_extractors_of_table_3(channels: tuple[int, ...], parameters: int) -> None:
    changes = {"family": "sew", "squeeze": 2, "position_kernel": 127, "extractor_channels": channels}
    with torch.device("meta"):
        assert count(CTCModel(lookup("w2v2-mid").model_copy(update=changes), 32)) == parameters


def test_an_unknown_name_gets_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'sew-d-mid'"):
        lookup("sew-d-mdi")


@pytest.mark.parametrize("name", COUNTS)
def test_what_the_published_configs_say(name: str) -> None:
    config = lookup(name)
    assert config.layer_drop == (0.2 if config.layers == 24 else 0.05)
    assert config.norm_eps == (1e-7 if config.family == "sew-d" else 1e-5) and config.feature_norm_eps == 1e-5
    assert (config.dropout, config.attention_dropout, config.activation_dropout) == (0.1, 0.1, 0.0)
    assert (config.input_dropout, config.feature_dropout, config.final_dropout) == (0.1, 0.1, 0.0)
    assert (config.heads * 64, config.feedforward) == (config.width, 4 * config.width)
    assert (config.codebook_groups, config.codebook_entries, config.negatives) == (2, 320, 100)
    assert (config.position_groups, config.squeeze) == (16, 1 if config.family == "wav2vec2" else 2)
    assert (config.logit_temperature, config.diversity_weight, config.penalty_weight) == (0.1, 0.1, 10.0)


def test_layers_of_sew_d_start_as_copies_and_those_of_sew_do_not() -> None:
    for name, alike in (("sew-d-tiny", True), ("sew-tiny", False)):
        torch.manual_seed(0)
        layers = CTCModel(lookup(name), 32).encoder.context.layers
        assert torch.equal(layers[0].expand.weight, layers[1].expand.weight) == alike
    assert layers[0].expand.weight.std().item() == pytest.approx(0.02, rel=0.02)


def test_the_table_is_printed(capsys) -> None:
    print_models("sew-d-mid", as_json=True)
    assert '"recogniser": 78816063' in capsys.readouterr().out
    print_models(None)
    assert "sew-d-base-plus" in capsys.readouterr().out
