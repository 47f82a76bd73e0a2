"""Parameter counts of the papers, exactly (SEW tables 4, 5, 6, 10 and 13)."""

import pytest
import torch

from sewcli.base.errors import UsageError
from sewcli.models.ctc import CTCModel
from sewcli.models.sizes import sizes
from sewcli.models.zoo import describe, lookup, names

COUNTS = {  # name: (recogniser with 32 letters, extractor, with pre-training heads and without CTC layer)
    "w2v2-tiny": (11_062_944, 1_051_648, 11_432_704),
    "w2v2-small": (24_851_872, 2_363_904, 25_332_224),
    "w2v2-mid": (44_145_824, 4_200_448, 44_736_768),
    "w2v2-base": (94_396_320, 4_200_448, 95_044_608),
    "w2v2-large": (315_461_792, 4_200_448, None),
    "w2v2-large-lv60k": (315_471_520, 4_210_176, 317_390_592),
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


VARIANTS = {  # rows of tables 1, 3 and 4, as recognisers
    "w2v2-tiny+k127": 11_058_847,
    "w2v2-small+k127": 24_842_655,
    "w2v2-mid+k127": 44_129_439,
    "w2v2-tiny+e384+25hz+k127": 23_759_903,
    "w2v2-tiny+e384+25hz": 23_769_120,
    "w2v2-tiny+e384+25hz+upsample+k127": 24_055_583,
    "sew-tiny+e384+wfe-o-c256+k127": 23_924_511,
    "sew-tiny+e384+wfe-c-c96-l1+k127": 27_218_847,
    "sew-tiny+wfe-c-c48-l1+k127": 41_688_543,
    "sew-tiny+wfe-o-c512+k127": 44_654_751,
    "sew-tiny+wfe-c-c128-l0+k127": 45_601_951,
    "sew-tiny+wfe-c-c160-l0+k127": 48_332_831,
    "sew-tiny+wfe-c-c128-l1+k127": 48_354_463,
    "sew-tiny+fbfe": 42_145_055,
}
HEADS = {  # rows of table 10, with pre-training heads
    "w2v2-mid+heads-linear": 44_736_768,
    "w2v2-mid+heads-mlp": 49_791_232,
    "w2v2-mid+heads-mlp-norm": 49_799_424,
    "w2v2-mid+heads-mlp3-norm": 83_370_240,
}


@pytest.mark.parametrize("name", COUNTS)
def test_counts(name: str) -> None:
    shown = sizes(name)
    recogniser, extractor, pretraining = COUNTS[name]
    assert shown["parameters"] == recogniser and shown["extractor_parameters"] == extractor
    assert pretraining is None or shown["pretraining_parameters"] == pretraining


def test_counts_of_the_ablations() -> None:
    assert {name: sizes(name)["parameters"] for name in VARIANTS} == VARIANTS
    assert {name: sizes(name)["pretraining_parameters"] for name in HEADS} == HEADS
    assert sizes("sew-tiny+fbfe")["extractor_parameters"] == 3_263_712


def test_every_model_of_the_papers_is_counted() -> None:
    assert set(names()) - set(COUNTS) == {"w2v2-micro", "sew-micro", "sew-d-micro"}
    for name in set(names()) - set(COUNTS):
        assert "ours" in describe(name) and "ours" in sizes(name)["description"]
    assert lookup("sew-d-base+") == lookup("sew-d-base-plus")


def test_the_names_of_k127_models_are_variants() -> None:
    for name in ("sew-small", "sew-mid", "sew-d-tiny", "sew-d-small", "sew-d-mid"):
        assert lookup(f"{name}-k127") == lookup(f"{name}+k127").model_copy(update={"name": f"{name}-k127"})


def test_an_unknown_name_gets_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'sew-d-mid'"):
        lookup("sew-d-mdi")


def test_the_large_model_of_60k_hours() -> None:
    config = lookup("w2v2-large-lv60k")
    assert (config.extractor_norm, config.extractor_bias, config.norm_first) == ("layer", True, True)
    assert (config.layer_drop, config.penalty_weight, config.prediction_width) == (0.0, 0.0, 768)


@pytest.mark.parametrize("name", [name for name in COUNTS if name != "w2v2-large-lv60k"])
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
