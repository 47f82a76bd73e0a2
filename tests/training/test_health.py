"""Detectors on made series of each kind, on a real healthy run and a real collapse; the loop says, stops, and resumes."""

import json
import math
from pathlib import Path

import pytest
import torch
from test_tasks import CPU, pretraining
from tiny_task import TinyTask, tiny_config

from sewcli.base.errors import DataError
from sewcli.models.zoo import lookup
from sewcli.training import checkpoint
from sewcli.training.config import HealthConfig
from sewcli.training.health import (
    Finding,
    History,
    chance_bits,
    crowding,
    finetuning_findings,
    pretraining_findings,
    pretraining_panel,
    window_of,
)
from sewcli.training.loop import train

MODEL = lookup("w2v2-base")
CHANCE = math.log(101)
REAL = Path(__file__).parent / "series"


def kinds(findings: list[Finding]) -> list[str]:
    return [finding.kind for finding in findings]


def series(updates: int, **values) -> list[dict]:
    """Rows of updates 1 to `updates`; a value is a number or a function of the step."""
    healthy = {
        "loss": lambda n: 3 * math.exp(-n / 500) + 2,
        "contrastive": lambda n: CHANCE * (0.3 + 0.7 * math.exp(-n / 500)) + 0.1 * math.sin(n),
        "accuracy": lambda n: 0.6 - 0.59 * math.exp(-n / 500),
        "code_perplexity": lambda n: 60 + n / 10,
        "grad_norm": 1.0,
        **values,
    }
    return [
        {"step": n, **{name: value(n) if callable(value) else value for name, value in healthy.items()}}
        for n in range(1, updates + 1)
    ]


def judged(rows: list[dict], window: int = 50, patience: int = 0) -> list[str]:
    return kinds(pretraining_findings(rows, MODEL, window, patience))


def test_a_healthy_series_is_left_alone() -> None:
    rows = series(2000)
    assert all(judged(rows[:n]) == [] for n in range(1, 2001, 7))


def test_flat_at_chance() -> None:
    """As in fairseq's issues: 6.658 bits update after update, while codes are still in use."""
    rows = series(300, contrastive=lambda n: CHANCE + 0.005 * math.sin(n), accuracy=0.01)
    assert judged(rows[:99]) == [] and judged(rows[:100]) == ["at-chance"]
    finding = pretraining_findings(rows, MODEL, 50, 0)[0]
    assert finding.fatal and "6.658 bits" in finding.what and "guessing gives 6.658" in finding.what
    assert "optim.lr=1e-4" in finding.hint and "5600 s" in finding.hint
    assert judged(rows[:250], patience=251) == [] and judged(rows[:251], patience=251) == ["at-chance"]


def test_passing_through_chance_is_not_resting_there() -> None:
    falling = series(400, contrastive=lambda n: CHANCE * (1.1 - 0.2 * n / 400))
    noisy = series(400, contrastive=lambda n: CHANCE + 0.2 * math.sin(n))
    assert all(judged(rows[:n]) == [] for rows in (falling, noisy) for n in range(1, 401))


def test_chance_counts_all_distractors() -> None:
    more = MODEL.model_copy(update={"negatives": 50, "batch_negatives": 150})
    assert chance_bits(MODEL) == pytest.approx(6.658, abs=5e-4) and chance_bits(more) == pytest.approx(math.log2(201))
    rows = series(200, contrastive=math.log(201))
    assert kinds(pretraining_findings(rows, more, 50, 0)) == ["at-chance"] and judged(rows) == []


@pytest.mark.parametrize(("groups", "entries", "few"), [(2, 320, 9.9), (2, 320, 2.0), (8, 8, 8.6), (2, 32, 2.7)])
def test_few_codes(groups: int, entries: int, few: float) -> None:
    """Each codebook has at least one code in use, so that the least perplexity is their number."""
    model = MODEL.model_copy(update={"codebook_groups": groups, "codebook_entries": entries})
    findings = pretraining_findings(series(60, code_perplexity=few), model, 50, 0)
    assert kinds(findings) == ["few-codes"] and f"of {groups * entries}" in findings[0].what and findings[0].fatal
    assert "codebook-8x8" in findings[0].hint
    fine = series(60, code_perplexity=groups + 0.05 * groups * entries)
    assert pretraining_findings(fine, model, 50, 0) == []


def test_all_equal() -> None:
    rows = series(60, contrastive=1e-4, accuracy=1.0, code_perplexity=2.0)
    assert judged(rows) == ["all-equal", "few-codes"]
    assert judged(series(60, contrastive=0.2, accuracy=0.97)) == [], "a very good model is no collapse"


def test_a_collapse_that_only_validation_shows() -> None:
    """As the run of series/at-chance.jsonl ended: without dropout one code was left."""
    rows, fine = series(60), {"step": 40, "loss_bits": 4.0, "accuracy": 0.4, "code_perplexity": 90.0}
    valid = [fine, {"step": 50, "loss_bits": 0.0, "accuracy": 1.0, "code_perplexity": 2.0}]
    found = pretraining_findings(rows, MODEL, 50, 0, valid)
    assert kinds(found) == ["all-equal", "few-codes"] and "in the validation of update 50" in found[0].what
    assert pretraining_findings(rows, MODEL, 50, 0, [*valid, {**fine, "step": 60}]) == []


def test_continuous_targets_can_collapse_too() -> None:
    rows = [{k: v for k, v in row.items() if k != "code_perplexity"} for row in series(200, contrastive=CHANCE)]
    assert judged(rows) == ["at-chance"]


def test_losses_that_are_not_finite() -> None:
    rows = series(60, loss=lambda n: None if n % 5 == 0 else 3.0, contrastive=lambda n: None if n % 5 == 0 else 3.0)
    assert judged(rows) == ["not-finite"] and "10 of the last 50" in pretraining_findings(rows, MODEL, 50, 0)[0].what
    assert judged(series(60, grad_norm=lambda n: None if n % 20 == 0 else 1.0)) == []
    nothing = series(60, loss=None, contrastive=None, accuracy=None, code_perplexity=None, grad_norm=None)
    assert judged(nothing) == ["not-finite"]


def test_a_model_that_says_nothing() -> None:
    """The plateau of blanks: normal while the loss falls, stuck when it does not."""
    flat, falling = series(200, loss=30.0), series(200, loss=lambda n: 300 * math.exp(-n / 100))
    valid = [{"step": n, "kind": "valid", "empty": empty} for n, empty in enumerate((0.2, 1.0, 0.97, 1.0))]
    assert kinds(finetuning_findings(flat, valid, 50)) == ["stuck-at-blanks"]
    waiting = finetuning_findings(falling, valid, 50)
    assert kinds(waiting) == ["only-blanks"] and not waiting[0].fatal and "wait" in waiting[0].hint
    assert finetuning_findings(flat, valid[:3], 50) == []
    assert finetuning_findings(flat, [*valid, {"step": 9, "empty": 0.5}], 50) == []
    assert "3 validations" in waiting[0].what


def test_labels_that_do_not_fit() -> None:
    assert crowding(0, 100) is None and crowding(1, 100) is None and crowding(0, 0) is None
    found = crowding(31, 1000)
    assert found is not None and "31 of 1000 utterances (3.1 %)" in found.what and "output_upsample=2" in found.hint


def test_the_panel_of_an_update() -> None:
    row = {"loss_bits": 5.4321, "accuracy": 0.2149, "code_perplexity": 143.4, "probability_perplexity": 301.2}
    shown = pretraining_panel({**row, "temperature": 1.9876, "grad_norm": None}, MODEL)
    assert shown == (
        "5.432 bits of 6.66, accuracy 0.21, codes 143/640, probabilities 301/640, temperature 1.99, gradient -"
    )


def test_windows_follow_the_length_of_the_run() -> None:
    assert [window_of(HealthConfig(), n) for n in (700, 13_000, 100_000, 400_000)] == [50, 130, 1000, 1000]
    assert window_of(HealthConfig(window=7), 700) == 7
    history = History(10)
    history.add([{"step": n} for n in range(50)] + [{"step": 3, "kind": "valid"}, {"step": 3, "kind": "speed"}])
    assert [row["step"] for row in history.train] == list(range(30, 50)) and len(history.valid) == 1


class Sick(TinyTask):
    """Collapses after update 5, as its rows tell."""

    def findings(self, train, valid, window):
        sick = [row for row in train if row["step"] > 5]
        return [Finding("sick", f"collapsed since {sick[0]['step']}", "lower the rate")] if sick else []


def test_a_collapse_is_said_once_and_training_goes_on_unless_told_otherwise(tmp_path: Path, capsys) -> None:
    train(Sick(tiny_config()), tmp_path, CPU)
    said = capsys.readouterr().err
    assert said.count("update 6: collapsed since 6\n  hint: lower the rate") == 1
    assert checkpoint.newest(tmp_path / "checkpoints").name == "step-12"


def test_a_collapse_stops_the_run_when_told_to_with_the_checkpoint_kept(tmp_path: Path, capsys) -> None:
    config = tiny_config(health=HealthConfig(stop=True))
    with pytest.raises(DataError, match="collapsed since 6") as caught:
        train(Sick(config), tmp_path, CPU)
    assert caught.value.exit_code == 3 and "checkpoints/step-6 is kept" in str(caught.value)
    assert checkpoint.newest(tmp_path / "checkpoints").name == "step-6"
    with pytest.raises(DataError, match="collapsed since 6"):  # the same command again: the history is read back
        train(Sick(config), tmp_path, CPU)
    train(Sick(tiny_config()), tmp_path, CPU)
    assert checkpoint.newest(tmp_path / "checkpoints").name == "step-12"


def test_a_real_collapse_in_the_loop(prepared: Path, tmp_path: Path) -> None:
    """A codebook with one entry that always wins, as the model itself reports it."""
    task = pretraining(prepared, "updates=12", "log_every=2", "health.stop=true", "health.window=4", "valid_every=99")
    with torch.no_grad():
        task.model.quantizer.choice.weight.zero_()
        task.model.quantizer.choice.bias[0] = task.model.quantizer.choice.bias[32] = 1e3
    with pytest.raises(DataError, match="every distractor equals the target"):
        train(task, tmp_path, CPU)
    assert checkpoint.newest(tmp_path / "checkpoints").name == "step-4"
    row = json.loads((tmp_path / "metrics.jsonl").read_text().splitlines()[0])
    assert row["loss_bits"] == 0 and row["accuracy"] == 1 and row["code_perplexity"] == pytest.approx(2, abs=1e-3)


def real(name: str) -> list[dict]:
    return [json.loads(line) for line in (REAL / f"{name}.jsonl").read_text().splitlines()]


def test_no_false_alarm_in_a_real_healthy_run() -> None:
    """At no update of it, with the window that its length gives; it rests near chance while its warm-up lasts."""
    rows, model = real("healthy"), lookup("sew-micro")
    assert len(rows) == 700 and rows[-1]["contrastive"] < 0.75 * CHANCE
    window = window_of(HealthConfig(), 700)
    for patience in (0, 25):
        assert all(pretraining_findings(rows[:n], model, window, patience) == [] for n in range(1, 701))


def test_a_real_run_at_fifty_times_the_rate_is_found_out() -> None:
    rows, model = real("at-chance"), lookup("sew-micro")
    window = window_of(HealthConfig(), 250)
    told = [n for n in range(1, len(rows) + 1) if pretraining_findings(rows[:n], model, window, 25)]
    assert told and told[0] <= 160, "it never learned anything"
    assert kinds(pretraining_findings(rows[: told[0]], model, window, 25)) == ["at-chance"]
