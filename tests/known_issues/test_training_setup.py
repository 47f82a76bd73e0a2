"""What a run validates on and masks, where it must be what the papers and fairseq say."""

from pathlib import Path

import numpy as np
import pytest
from noise_speech import tiny_model, write_noise
from pydantic import ValidationError

from sewcli.base.files import read_json
from sewcli.compression.config import DistillConfig
from sewcli.data.utterances import Utterance
from sewcli.nn.masking import span_mask
from sewcli.training.config import FinetuneConfig, PretrainConfig, SpanConfig
from sewcli.training.pretrain import hold_out
from sewcli.training.recipes import compose

SMALL = ["batch.seconds=4", "batch.micro_seconds=4", "tensorboard=false", "data.min_seconds=0.6"]


def utterances(count: int, seconds: float) -> list[Utterance]:
    samples = round(seconds * 16_000)
    return [Utterance(f"u{i}", Path(f"u{i}.wav"), 0, samples, 16_000, 0, "", "s") for i in range(count)]


@pytest.mark.fault("W14")
@pytest.mark.parametrize(("valid", "of_dev"), [(None, 2), ("hold-out", 0), ("dev-a", 2)])
def test_the_hold_out_can_be_asked_for_beside_a_dev_split(valid, of_dev: int, tmp_path: Path, sew_here) -> None:
    data = write_noise(tmp_path / "data", {"train-a": [1.0] * 120, "dev-a": [1.1] * 2})
    chosen = [f"data.valid={valid}"] if valid else []
    sets = [part for setting in (*SMALL, *chosen) for part in ("--set", setting)]
    model = tiny_model(tmp_path / "model")
    done = sew_here(
        "pretrain",
        "--model",
        model,
        "--data",
        data,
        "--exp",
        tmp_path / "exp",
        "--updates",
        1,
        "--device",
        "cpu",
        *sets,
    )
    assert done.returncode == 0, done.stderr
    facts = read_json(tmp_path / "exp" / "data.json")
    held_out = 0 if of_dev else 1
    assert facts["train"]["utterances"] == 120 - held_out
    assert facts["valid"]["utterances"] == of_dev + held_out
    assert facts["valid"]["hours"] == pytest.approx((1.1 * of_dev + 1.0 * held_out) / 3600, abs=1e-4)


@pytest.mark.fault("W14", "F7")
def test_the_hold_out_is_a_hundredth_and_ten_hours_at_most() -> None:
    cuts = utterances(28_124, 12.3)
    train, valid = hold_out(cuts, seed=1)
    assert len(valid) == 281 and len(train) + len(valid) == len(cuts)
    train, valid = hold_out(large := utterances(40_000, 150.0), seed=1)
    assert 9.95 < sum(u.seconds for u in valid) / 3600 <= 10
    assert not {u.id for u in train} & {u.id for u in valid} and len(train) + len(valid) == len(large)
    assert len(hold_out(utterances(3, 50_000.0), seed=1)[1]) == 1


@pytest.mark.fault("F10")
def test_two_spans_at_least_are_masked_in_fine_tuning_as_in_fairseq() -> None:
    hundred, whole = (compose(FinetuneConfig, "finetune", name, {"model": "m"}, []) for name in ("100h", "960h"))
    assert hundred.time_mask == SpanConfig(probability=0.65, length=10, min_spans=2)
    assert whole.time_mask == SpanConfig(probability=0.5, length=10, min_spans=2)
    assert hundred.channel_mask.min_spans == 0
    frames = [14, 499, 499, 499]  # 0.3 s beside 10 s: rows are cut to the smallest count, which must not be none
    settings = FinetuneConfig(model="m").time_mask.model_dump()
    drawn = [span_mask(np.random.default_rng(s), 4, 499, lengths=frames, **settings) for s in range(300)]
    assert min(int(mask.sum()) for mask in drawn) > 0


@pytest.mark.fault("F10")
def test_probability_zero_still_masks_nothing() -> None:
    settings = SpanConfig(probability=0, length=10, min_spans=2).model_dump()
    assert not span_mask(np.random.default_rng(0), 3, 50, **settings).any()
    assert DistillConfig(model="m", teacher="t").time_mask.probability == 0
    with pytest.raises(ValidationError, match="nothing is masked"):
        PretrainConfig(time_mask=SpanConfig(probability=0, length=10, min_spans=2))
