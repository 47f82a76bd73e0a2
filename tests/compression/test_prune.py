"""Pruning as a command: counts of zeros and parts, folders that others load, zeros that stay through fine-tuning."""

import json
from pathlib import Path

import pytest
import torch
from recognisers import recogniser, saved
from support.refusals import refused
from transformers import AutoModelForCTC

from sewcli.base.errors import UsageError
from sewcli.compression import sensitivity
from sewcli.compression.magnitude import prune_globally, prune_layers
from sewcli.data.utterances import read_split
from sewcli.models.folder import load_ctc
from sewcli.models.sparsity import layer_of, prunable, zeros

CPU = torch.device("cpu")


@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 0.9])
def test_exactly_the_smallest_weights_become_zero(share: float) -> None:
    model, whole = recogniser(), recogniser()
    prune_globally(model, share)
    found, of = zeros(model)
    assert found == round(share * of) and of == 4 * (4 * 64 * 64 + 2 * 64 * 96)
    before, after = ({n: p.detach() for n, p in prunable(m).items()} for m in (whole, model))
    gone = [torch.where(after[name] == 0, before[name].abs(), 0.0) for name in before]
    largest_gone = max(float(tensor.max()) for tensor in gone)
    smallest_left = min(float(after[n][after[n] != 0].abs().min()) for n in before)
    assert largest_gone < smallest_left
    for name, tensor in model.state_dict().items():
        kept = whole.state_dict()[name]
        assert torch.equal(tensor, kept) if name not in after else torch.equal(tensor[tensor != 0], kept[tensor != 0])


def test_layers_have_their_own_shares() -> None:
    model = recogniser()
    prune_layers(model, {0: 0.5, 2: 0.25})
    shares = {}
    for layer in range(4):
        matrices = [m for name, m in prunable(model).items() if layer_of(name) == layer]
        shares[layer] = sum(int((m == 0).sum()) for m in matrices) / sum(m.numel() for m in matrices)
    assert shares == pytest.approx({0: 0.5, 1: 0.0, 2: 0.25, 3: 0.0}, abs=1e-4)


def test_shares_that_hurt_alike() -> None:
    """A layer that suffers twice as early gets fewer zeros; the mean is what was asked for."""
    tough, touchy = [s * 1.0 for s in sensitivity.SHARES], [s * 4.0 for s in sensitivity.SHARES]
    found = sensitivity.equal_damage({0: tough, 1: touchy}, {0: 100, 1: 100}, 0.5)
    assert sum(found.values()) / 2 == pytest.approx(0.5, abs=1e-6)
    assert found[0] * 1.0 == pytest.approx(found[1] * 4.0, rel=1e-5)
    weighted = sensitivity.equal_damage({0: tough, 1: touchy}, {0: 300, 1: 100}, 0.5)
    assert (3 * weighted[0] + weighted[1]) / 4 == pytest.approx(0.5, abs=1e-6)
    dips = [0.5, 0.1, 0.6, 0.7, 0.8, 0.9]  # a curve may fall by chance
    even = sensitivity.equal_damage({0: dips, 1: dips}, {0: 1, 1: 1}, 0.3)
    assert even[0] == pytest.approx(even[1])
    with refused(UsageError, "prune-too-much"):
        sensitivity.equal_damage({0: tough}, {0: 1}, 0.97)


def test_sensitivity_leaves_the_model_as_it_was(prepared: Path) -> None:
    model = recogniser(layers=2).eval()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with torch.no_grad():  # all of layer 1 through which nothing goes
        model.encoder.context.layers[0].contract.weight.zero_()
        model.encoder.context.layers[0].attention.output.weight.zero_()
        before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    curves = sensitivity.measure(model, read_split(prepared, "dev-clean")[:2], CPU)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert max(curves[0]) < 1e-6 < min(curves[1])
    assert curves[1][-1] > curves[1][0]


def test_a_slim_model_loads_everywhere_it_says(prepared: Path, tmp_path: Path, sew_here) -> None:
    model = saved(tmp_path / "whole/model")
    place = ("--data", prepared, "--device", "cpu", "--seconds", "10")
    slim, short = tmp_path / "slim/model", tmp_path / "short/model"
    done = sew_here("prune", model, slim, "--feedforward", "48", "--drop-layers", "1", "--json", *place)
    assert done.returncode == 0, done.stderr
    row = json.loads(done.stdout)
    network, _ = load_ctc(slim)
    assert (network.config.layers, network.config.feedforward, network.config.heads) == (3, 48, 4)
    assert row["parameters"] == sum(p.numel() for p in network.parameters()) < row["parameters_before"]
    theirs = AutoModelForCTC.from_pretrained(slim).eval()
    waves = torch.randn(1, 8000)
    with torch.inference_mode():
        ours = network.eval()(waves, torch.tensor([8000])).logits
        assert float((ours - theirs(waves).logits).abs().max()) < 1e-4
    told = json.loads((slim / "pruning.json").read_text())
    assert len(told["dropped_layers"]) == 1 and [len(units) for units in told["feedforward"]["kept"]] == [48] * 3

    done = sew_here("prune", model, short, "--heads", "3", *place)
    assert done.returncode == 0, done.stderr
    network, _ = load_ctc(short)
    assert (network.config.heads, network.config.head_width, network.config.width) == (3, 16, 64)
    with pytest.raises(ValueError):  # transformers has no such attention: it refuses, and computes nothing wrong
        AutoModelForCTC.from_pretrained(short)
    assert "no such model: use it with `sew`" in (short / "README.md").read_text()
    again = sew_here("prune", short, tmp_path / "shorter/model", "--heads", "2", *place)
    assert again.returncode == 0 and load_ctc(tmp_path / "shorter/model")[0].config.head_width == 16
    heard = sew_here("transcribe", next(iter(read_split(prepared, "dev-clean"))).path, "--model", short)
    assert heard.returncode == 0, heard.stderr
    fairseq = sew_here("export", short, tmp_path / "fairseq", "--format", "fairseq")
    assert fairseq.returncode == 2 and "heads cut off" in fairseq.stderr


@pytest.mark.parametrize("scope", ["layer", "sensitivity"])
def test_zeros_stay_zero_through_fine_tuning(scope: str, prepared: Path, tmp_path: Path, sew_here, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    saved(Path("whole/model"), layers=2)
    place = ("--data", prepared, "--device", "cpu", "--seconds", "5")
    done = sew_here("prune", "whole", "half/model", "--magnitude", "0.5", "--scope", scope, *place)
    assert done.returncode == 0 and "50.0 % zeros" in done.stdout, done.stderr
    sets = [
        "updates=6",
        "batch.seconds=6",
        "batch.micro_seconds=3",
        "tensorboard=false",
        "optim.lr=1e-3",
        "valid_every=6",
    ]
    words = [word for each in (*sets, "optim.weight_decay=0.1", "checkpoint.every=3") for word in ("--set", each)]
    tuning = ("finetune", "--model", "half/model", "--data", prepared, "--device", "cpu", "--exp", "half-ft")
    done = sew_here(*tuning, "--config", "prune", *words)
    assert done.returncode == 0, done.stderr
    (before, _), (after, _) = load_ctc("half/model"), load_ctc("half-ft/model")
    old, new = prunable(before), prunable(after)
    assert zeros(after) == zeros(before)
    for name in old:
        assert torch.equal(old[name] == 0, new[name] == 0) and not torch.equal(old[name], new[name])
    learned = [name for name, p in after.named_parameters() if not torch.equal(p, before.get_parameter(name))]
    assert "encoder.context.layers.0.expand.bias" in learned  # zeros of other tensors are free
    found, of = zeros(after)
    assert f"{found:,} of {of:,}" in (Path("half-ft/model/README.md")).read_text()
    # the same without keeping them
    done = sew_here(*tuning[:-1], "plain", "--config", "100h", "--set", "data.train=train-clean-100", *words)
    assert done.returncode == 0 and zeros(load_ctc("plain/model")[0])[0] == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "nothing to prune"),
        (("--heads", "5"), "--heads 5: at most 3"),
        (("--feedforward", "97"), "--feedforward 97: at most 95"),
        (("--heads", "4"), "--heads 4: at most 3"),
        (("--magnitude", "0"), "--magnitude 0 sets nothing to zero"),
        (("--heads", "2", "--scope", "layer"), "--scope layer without --magnitude"),
        (("--magnitude", "0.97", "--scope", "sensitivity", "--split", "none"), "--magnitude 0.97 by sensitivity"),
        (("--drop-layers", "4"), "--drop-layers 4: at most 3"),
        (("--magnitude", "1.5"), "--magnitude"),
        (("--heads", "2", "--split", "dev-claen"), "did you mean 'dev-clean'"),
    ],
)
def test_what_is_wrong_is_said(arguments, said: str, prepared: Path, tmp_path: Path, sew_here) -> None:
    model = saved(tmp_path / "whole/model")
    done = sew_here("prune", model, tmp_path / "out", "--data", prepared, "--device", "cpu", *arguments)
    assert done.returncode == 2 and said in done.stderr and "Traceback" not in done.stderr, done.stderr
    assert not (tmp_path / "out").exists()


def test_what_is_there_is_not_replaced(tmp_path: Path, sew_here) -> None:
    model = saved(tmp_path / "whole/model")
    thesis = tmp_path / "docs/thesis.txt"
    thesis.parent.mkdir()
    thesis.write_text("years of work")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for out in (thesis.parent, thesis, model, model.parent, saved(tmp_path / "other/model")):
        done = sew_here("prune", tmp_path / "whole", out, "--magnitude", "0.5", "--device", "cpu")
        assert done.returncode == 2 and "already exists" in done.stderr, out
    assert all(path.read_bytes() == content for path, content in before.items())
