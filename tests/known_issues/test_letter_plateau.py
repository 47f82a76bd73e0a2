"""A fine-tuning run that only writes the commonest letters is named as what it is; so are random weights that never learn."""

import math
from pathlib import Path

import numpy as np
import pytest
from noise_speech import write_noise

from sewcli.base.files import read_jsonl, write_jsonl
from sewcli.training.health import finetuning_findings, guessing_loss
from sewcli.training.recogniser_task import commonest

SERIES = Path(__file__).parents[1] / "training" / "series"
SMALL = ["batch.seconds=4", "batch.micro_seconds=4", "tensorboard=false"]


def kinds(findings) -> list[str]:
    return [finding.kind for finding in findings]


def losses(updates: int, loss) -> list[dict]:
    return [{"step": n, "loss": loss(n), "grad_norm": 1.0} for n in range(1, updates + 1)]


def validations(*shares: float, true: float = 0.32) -> list[dict]:
    return [
        {"step": 100 * n, "cer": 0.9, "empty": 0.1, "commonest": [share, true], "sample": {"hypothesis": "E E E"}}
        for n, share in enumerate(shares)
    ]


@pytest.mark.fault("item-9")
def test_three_validations_of_the_commonest_letters_alone() -> None:
    flat, falling = losses(200, lambda n: 66.0 + math.sin(n)), losses(200, lambda n: 300 * math.exp(-n / 100))
    found = finetuning_findings(flat, validations(0.5, 1.0, 0.93, 0.97), 50, guess=64.0)
    assert kinds(found) == ["stuck-at-letters"] and found[0].fatal
    assert "3 validations in a row with little but the commonest letters (E E E)" in found[0].what
    assert "guessing letters by their frequency, 64.0" in found[0].what and "does not fall" in found[0].what
    for word in ("optim.lr", "warmup", "time_mask.probability=0", "layer_drop=0", "pre-trained"):
        assert word in found[0].hint
    waiting = finetuning_findings(falling, validations(0.5, 1.0, 0.93, 0.97), 50, guess=64.0)
    assert kinds(waiting) == ["only-letters"] and not waiting[0].fatal and "wait" in waiting[0].hint
    assert finetuning_findings(flat, validations(1.0, 1.0), 50) == []
    assert finetuning_findings(flat, validations(1.0, 1.0, 1.0, 0.4), 50) == [], "it has begun to write words"


@pytest.mark.fault("item-9")
def test_what_still_learns_is_not_stuck() -> None:
    flat = losses(200, lambda n: 66.0)
    better = [{**row, "cer": 0.9 - 0.01 * n} for n, row in enumerate(validations(1.0, 1.0, 1.0, 1.0))]
    assert kinds(finetuning_findings(flat, better, 50)) == ["only-letters"]
    soon = [{**row, "step": row["step"] // 10} for row in validations(1.0, 1.0, 1.0, 1.0)]
    assert kinds(finetuning_findings(flat, soon, 50)) == ["only-letters"], "it has not rested for long"


@pytest.mark.fault("item-9")
@pytest.mark.parametrize("window", [30, 50])
def test_a_real_run_that_learned_and_one_that_did_not(window: int) -> None:
    """From the miniature, with validations far oftener than usual: the recipe from a pre-trained sew-micro, and new weights
    under a frozen encoder.
    """
    told: dict[str, list[tuple[str, int]]] = {}
    for name in ("letters-healthy", "letters-stuck"):
        train, valid = [], []
        for row in read_jsonl(SERIES / f"{name}.jsonl"):
            (valid if row.get("kind") == "valid" else train).append(row)
            found = finetuning_findings(train, valid, window, guess=66.9)
            told.setdefault(name, []).extend((f.kind, row["step"]) for f in found if f.fatal and "letters" in f.kind)
    assert not told["letters-healthy"]
    assert told["letters-stuck"] and told["letters-stuck"][-1] == ("stuck-at-letters", 320)


@pytest.mark.fault("item-9")
def test_blanks_and_letters_are_one_rest() -> None:
    """Blanks first, then E: the run has not left the plateau between."""
    flat, blank = losses(200, lambda n: 66.0), {"step": -100, "cer": 0.9, "empty": 0.98, "commonest": [0.0, 0.3]}
    assert kinds(finetuning_findings(flat, [blank, *validations(1.0, 1.0)], 50)) == ["stuck-at-letters"]
    assert kinds(finetuning_findings(flat, [*validations(1.0, 1.0), blank], 50)) == ["stuck-at-blanks"]


@pytest.mark.fault("item-9")
def test_languages_of_few_letters_are_no_plateau() -> None:
    flat = losses(200, lambda n: 5.0)
    assert finetuning_findings(flat, validations(1.0, 1.0, 1.0, true=1.0), 50) == []
    assert finetuning_findings(flat, validations(0.9, 0.9, 0.9, true=0.7), 50) == []
    old = [{"step": n, "empty": 0.0} for n in range(4)]  # rows of a run that an earlier version began
    assert finetuning_findings(flat, old, 50) == []


@pytest.mark.fault("item-9")
def test_the_shares_and_the_loss_of_guessing() -> None:
    assert commonest(["E E", "EE T"]) == 1.0 and commonest([]) == 0.0 and commonest(["", " "]) == 0.0
    assert commonest(["ABCDE", "ABC"]) == pytest.approx(6 / 8)
    assert guessing_loss([[1, 2], [1, 2, 1, 2]]) == pytest.approx(3 * math.log(2))
    assert guessing_loss([[1, 1], []]) == 0.0 and guessing_loss([]) == 0.0


def dense_texts(data: Path) -> None:
    """As many labels as 50 frames a second can have, half of them E: what can be learned from noise is their frequency."""
    draw = np.random.default_rng(1)
    for path in data.glob("cuts_*.jsonl.gz"):
        rows = list(read_jsonl(path))
        for row in rows:
            words = [
                "".join(f"E{letter}" for letter in draw.choice(list("ABCDFGHIKLMNOPRSTUWY"), 6)) for _ in range(3)
            ]  # 38 labels
            row["supervisions"][0]["text"] = " ".join(words)
        write_jsonl(path, rows)


@pytest.mark.fault("item-9")
def test_a_real_run_that_only_learns_that_e_is_common(tmp_path: Path, sew_here) -> None:
    data = write_noise(tmp_path / "data", {"train-a": [0.9] * 8, "dev-a": [0.9] * 2})
    dense_texts(data)
    sets = ["extractor_gradient=1", "optim.lr=1e-2", "schedule.warmup=0", "valid_every=8", "log_every=8"]
    sets += ["health.window=4", "health.stop=true", "checkpoint.every=100"]
    chosen = [part for setting in (*SMALL, *sets) for part in ("--set", setting)]
    where = ("--model", "sew-micro", "--data", data, "--exp", tmp_path / "exp", "--device", "cpu", "--updates", 80)
    done = sew_here("finetune", *where, *chosen)
    valid = [row for row in read_jsonl(tmp_path / "exp" / "metrics.jsonl") if row.get("kind") == "valid"]
    assert done.returncode == 3, (done.stderr, [row["commonest"] for row in valid])
    assert "little but the commonest letters" in done.stderr and "guessing letters by their frequency" in done.stderr
    assert valid[-1]["commonest"][0] > 0.9 > valid[-1]["commonest"][1]


@pytest.mark.fault("item-9")
@pytest.mark.parametrize(
    ("verb", "sets", "said"),
    [
        ("finetune", [], ["wave feature extractor of sew-micro has new, random weights"]),
        (
            "finetune",
            ["freeze_updates=3", "extractor_gradient=1"],
            ["random weights, and 3 updates pass before it learns"],
        ),
        ("finetune", ["freeze_updates=3"], ["extractor of sew-micro", "3 updates pass"]),
        ("finetune", ["extractor_gradient=1"], []),
        ("pretrain", ["overrides.extractor_gradient=0", "data.min_seconds=0.6"], ["overrides.extractor_gradient=0.1"]),
        ("pretrain", ["data.min_seconds=0.6"], []),
    ],
)
def test_random_weights_that_stay_so_are_named(verb: str, sets: list[str], said: list[str], tmp_path, sew_here) -> None:
    data = write_noise(tmp_path / "data", {"train-a": [1.0] * 4, "dev-a": [1.0]})
    chosen = [part for setting in (*SMALL[:2], *sets) for part in ("--set", setting)]
    done = sew_here(verb, "--model", "sew-micro", "--data", data, "--dry-run", "--device", "cpu", *chosen)
    assert done.returncode == 0, done.stderr
    assert all(text in done.stderr for text in said)
    assert ("random" in done.stderr) == bool(said)
