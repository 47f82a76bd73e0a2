"""Pre-training and fine-tuning as tasks of the loop: what they load, what learns, what is left out."""

import shutil
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support.refusals import refused
from torch.nn import functional

from sewcli.base.errors import DataError, UsageError
from sewcli.base.rng import seed_torch
from sewcli.data import augmentation
from sewcli.data.utterances import Utterance, read_split
from sewcli.models.ctc import CTCModel
from sewcli.models.folder import save_ctc
from sewcli.models.zoo import lookup
from sewcli.text.tokens import SPECIAL, Vocabulary
from sewcli.training import finetune, pretrain
from sewcli.training.config import FinetuneConfig, PretrainConfig
from sewcli.training.loop import train
from sewcli.training.recipes import compose

CPU = torch.device("cpu")
SMALL = ["batch.seconds=8", "batch.micro_seconds=4", "tensorboard=false"]


def finetuning(prepared: Path, *sets: str) -> finetune.Finetuning:
    flags = {"model": "sew-micro", "data": {"dir": str(prepared)}}
    config = compose(FinetuneConfig, "finetune", None, flags, [*SMALL, "extractor_gradient=1.0", *sets])
    vocabulary = Vocabulary.letters()
    seed_torch(1, "initial-weights")
    model = finetune.new_or_pretrained(config, vocabulary)
    cuts = [
        finetune.select(read_split(prepared, s), config, model, vocabulary) for s in ("train-clean-100", "dev-clean")
    ]
    return finetune.Finetuning(config, model, vocabulary, *cuts)


def pretraining(prepared: Path, *sets: str) -> pretrain.Pretraining:
    flags = {"model": "sew-micro", "data": {"dir": str(prepared)}}
    config = compose(PretrainConfig, "pretrain", None, flags, [*SMALL, "data.min_seconds=0.6", *sets])
    seed_torch(1, "initial-weights")
    cuts = [pretrain.select(read_split(prepared, s), config) for s in ("train-clean-100", "dev-clean")]
    return pretrain.Pretraining(config, pretrain.new_or_loaded(config), *cuts)


def test_a_pretraining_batch_is_cropped_and_masked_the_same_way_every_time(prepared: Path) -> None:
    task = pretraining(prepared)
    micro_batch = max(task.plan.epoch(0)[0], key=len)
    batch, again, other = (task.load(micro_batch, step, 0) for step in (3, 3, 4))
    shortest = min(task.train[i].samples for i in micro_batch)
    assert batch.waves.shape == (len(micro_batch), shortest) and (batch.lengths == shortest).all()
    assert (batch.waves == again.waves).all() and (batch.mask == again.mask).all()
    assert not (batch.mask == other.mask).all()
    counts = batch.mask.sum(1)
    assert counts.min() == counts.max() > 1 and batch.mask.shape[1] == task.model.encoder.frames(shortest)
    for row, index in zip(batch.waves, micro_batch, strict=True):  # each row is a piece of its utterance
        whole = task.train[index].wave()
        assert any((whole[o : o + shortest] == row).all() for o in range(len(whole) - shortest + 1))


def test_the_logged_terms_add_up_to_the_loss(prepared: Path) -> None:
    task = pretraining(prepared)
    task.model.train()
    batch = task.load(task.plan.epoch(0)[0][0], 0, 0)
    result = task.loss(batch, 0, 0, CPU)
    assert float(result.size) == batch.mask.sum()
    terms = sum(float(result.sums[name]) for name in ("contrastive", "diversity", "penalty"))
    assert float(result.loss.detach()) == pytest.approx(terms, rel=1e-6)
    assert 0 <= float(result.sums["accuracy"]) <= float(result.size)


@pytest.mark.parametrize("module", [pretrain, finetune])
def test_audio_at_another_rate_is_refused(module, prepared: Path) -> None:
    """Not trained on as if it were slow speech."""
    utterances = read_split(prepared, "train-clean-100")
    utterances[3] = replace(utterances[3], rate=8000)
    config = PretrainConfig(model="sew-micro") if module is pretrain else FinetuneConfig(model="sew-micro")
    model = () if module is pretrain else (CTCModel(lookup("sew-micro"), 32), Vocabulary.letters())
    with pytest.raises(DataError, match="8000 Hz, the models take 16000") as caught:
        module.select(utterances, config, *model)
    assert caught.value.where == utterances[3].id and str(utterances[3].path) in str(caught.value.hint)


def test_fine_tuning_without_a_dev_split_says_how_to_get_one(prepared: Path, tmp_path: Path) -> None:
    shutil.copy(prepared / "cuts_train-clean-100.jsonl.gz", tmp_path)
    shutil.copy(prepared / "cuts_test-clean.jsonl.gz", tmp_path)
    flags = {"model": "sew-micro", "data": {"dir": str(tmp_path)}}
    with pytest.raises(UsageError, match=r"no split dev\*.*there are: test-clean, train-clean-100") as caught:
        finetune.run(compose(FinetuneConfig, "finetune", None, flags, SMALL), tmp_path / "exp", "cpu")
    assert "data.valid=NAME" in str(caught.value.hint) and "--hold-out dev=" in str(caught.value.hint)
    assert not (tmp_path / "exp").exists()


def test_validation_gives_the_same_figures_every_time(prepared: Path) -> None:
    task = pretraining(prepared)
    task.model.eval()
    assert task.validate(5, CPU, False) == task.validate(5, CPU, False)
    assert task.validate(5, CPU, True) is None


def test_held_out_cuts_are_not_trained_on(prepared: Path) -> None:
    utterances = read_split(prepared, "train-clean-100")
    train_cuts, valid_cuts = pretrain.hold_out(utterances, seed=1, share=0.1)
    assert len(valid_cuts) == 3 and len(train_cuts) + len(valid_cuts) == len(utterances)
    assert not {u.id for u in train_cuts} & {u.id for u in valid_cuts}
    assert pretrain.hold_out(utterances, seed=1, share=0.1) == (train_cuts, valid_cuts)


def test_the_ctc_loss_is_that_of_each_utterance_alone(prepared: Path) -> None:
    """The batch's loss is the sum over utterances run one by one, in float64 on log-probabilities of our own."""
    task = finetuning(prepared, "time_mask.probability=0", "channel_mask.probability=0")
    task.model.eval()
    micro_batch = max(task.plan.epoch(0)[0], key=len)
    batch = task.load(micro_batch, 0, 0)
    total = task.loss(batch, 0, 0, CPU)
    assert float(total.size) == len(micro_batch) > 1
    expected = 0.0
    for index in micro_batch:
        wave = torch.from_numpy(task.train[index].wave())[None]
        with torch.no_grad():
            logits = task.model(wave, torch.tensor([wave.shape[1]])).logits[0].double()
        expected -= ctc_log_likelihood(functional.log_softmax(logits, -1).numpy(), task.labels[index])
    assert float(total.loss) == pytest.approx(expected, rel=1e-5)


def test_the_gradient_of_the_ctc_loss_is_the_formulas(prepared: Path) -> None:
    """Graves et al. 2006, equation 16: the softmax, less the probability that the path has this label at this frame."""
    task = finetuning(prepared, "time_mask.probability=0", "channel_mask.probability=0")
    task.model.eval()
    kept = []

    def keep(module: torch.nn.Module, inputs: tuple[torch.Tensor], output: torch.Tensor) -> None:
        output.retain_grad()
        kept.append(output)

    task.model.head.register_forward_hook(keep)
    micro_batch = max(task.plan.epoch(0)[0], key=len)
    batch = task.load(micro_batch, 0, 0)
    task.loss(batch, 0, 0, CPU).loss.backward()
    ((logits,), lengths) = kept, [int(task.model.encoder.frames(int(n))) for n in batch.lengths]
    assert len(set(lengths)) > 1
    for row, (index, frames) in enumerate(zip(micro_batch, lengths, strict=True)):
        log_probs = functional.log_softmax(logits[row, :frames].detach().double(), -1).numpy()
        expected = np.exp(log_probs) - ctc_occupancy(log_probs, task.labels[index])
        np.testing.assert_allclose(logits.grad[row, :frames].numpy(), expected, rtol=1e-3, atol=2e-5)
        assert not logits.grad[row, frames:].any() and np.abs(expected).max() > 0.1


def ctc_log_likelihood(log_probs: np.ndarray, labels: list[int], blank: int = 0) -> float:
    """Graves et al. 2006, the forward recursion (equations 6 to 8), in log space."""
    return float(np.logaddexp(*ctc_forward(log_probs, with_blanks(labels, blank), blank)[-1, -2:]))


def with_blanks(labels: list[int], blank: int) -> list[int]:
    return [blank, *(state for label in labels for state in (label, blank))]


def ctc_forward(log_probs: np.ndarray, states: list[int], blank: int) -> np.ndarray:
    """(frames, states): the log-probability of all ways to be there."""
    alpha = np.full((len(log_probs), len(states)), -np.inf)
    alpha[0, :2] = log_probs[0, states[:2]]
    for t, frame in enumerate(log_probs[1:], start=1):
        before, alpha[t] = alpha[t - 1], alpha[t - 1]
        alpha[t, 1:] = np.logaddexp(alpha[t, 1:], before[:-1])
        for s in range(2, len(states)):
            if states[s] not in (blank, states[s - 2]):
                alpha[t, s] = np.logaddexp(alpha[t, s], before[s - 2])
        alpha[t] += frame[states]
    return alpha


def ctc_occupancy(log_probs: np.ndarray, labels: list[int], blank: int = 0) -> np.ndarray:
    """(frames, V): how probable each symbol is at each frame, given the labels; the way back is the way there, mirrored."""
    states = with_blanks(labels, blank)
    there = ctc_forward(log_probs, states, blank)
    back = ctc_forward(log_probs[::-1], states[::-1], blank)[::-1, ::-1]
    paths = there + back - log_probs[:, states]  # both count the frame itself
    shares = np.exp(paths - np.logaddexp(there[-1, -1], there[-1, -2]))
    occupancy = np.zeros_like(log_probs)
    for s, state in enumerate(states):
        occupancy[:, state] += shares[:, s]
    return occupancy


def test_only_the_ctc_layer_learns_while_frozen(prepared: Path, tmp_path: Path) -> None:
    task = finetuning(prepared, "updates=2", "freeze_updates=2", "valid_every=100", "optim.lr=1e-2")
    before = {name: tensor.clone() for name, tensor in task.model.state_dict().items()}
    train(task, tmp_path, CPU)
    changed = {name for name, tensor in task.model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == {"head.weight", "head.bias"}


@pytest.mark.parametrize(("scale", "learns"), [("0.0", False), ("1.0", True)])
def test_the_extractor_learns_only_when_told_to(prepared: Path, tmp_path: Path, scale: str, learns: bool) -> None:
    task = finetuning(prepared, "updates=1", f"extractor_gradient={scale}", "valid_every=100", "optim.lr=1e-2")
    before = task.model.encoder.extractor.convolutions[1].weight.clone()
    train(task, tmp_path, CPU)
    assert torch.equal(task.model.encoder.extractor.convolutions[1].weight, before) != learns


def test_utterances_that_cannot_be_learned_are_left_out_and_counted(prepared: Path, capsys) -> None:
    task = finetuning(prepared)
    plain = task.train[0]
    odd: list[Utterance] = [
        replace(plain, id="crowded", text="A" * 500),
        replace(plain, id="silent", text="  "),
        replace(plain, id="short", samples=800),
        replace(plain, id="long", samples=16_000 * 100),
    ]
    kept = finetune.select([plain, *odd], task.config, task.model, task.vocabulary)
    assert kept == [plain]
    said = capsys.readouterr().err
    assert "1 too short, 1 too long, 1 no transcript, 1 more labels than frames" in " ".join(said.split())
    with refused(DataError, "no-usable-utterance"):
        finetune.select(odd, task.config, task.model, task.vocabulary)
    with refused(DataError, "outside-vocabulary") as caught:
        finetune.select([replace(plain, text="ROOM 12")], task.config, task.model, task.vocabulary)
    assert caught.value.where == plain.id


def test_all_too_short_for_pretraining_says_how_short(prepared: Path) -> None:
    task = pretraining(prepared)
    with refused(UsageError, "no-usable-utterance"):
        pretrain.select(
            task.train,
            task.config.model_copy(update={"data": task.config.data.model_copy(update={"min_seconds": 60.0})}),
        )


def test_an_override_of_a_field_that_is_not_there(prepared: Path) -> None:
    with pytest.raises(UsageError, match="did you mean 'layer_drop'"):
        finetuning(prepared, "overrides.layer_dropp=0.1")


@pytest.mark.parametrize("make", [pretraining, finetuning])
def test_a_loss_fetches_no_value_from_the_device(make, prepared: Path, monkeypatch) -> None:
    """On the meta device there are none to fetch: what runs there never makes a GPU wait, padded batches included."""
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())  # which the meta device has not
    monkeypatch.setattr(functional, "ctc_loss", lambda log_probs, *_, **__: log_probs.sum())  # nor this
    task, meta = make(prepared), torch.device("meta")
    micro_batch = max(task.plan.epoch(0)[0], key=len)
    batch = task.load(micro_batch, 0, 0)
    assert make is pretraining or len(set(batch.lengths.tolist())) > 1
    task.model.to(meta).train()
    result = task.loss(batch, 0, 0, meta)
    result.loss.backward()
    values = [result.size, *result.sums.values(), *result.means.values()]
    assert result.loss.device == meta and all(value.device == meta for value in values)


def recogniser(folder: Path, vocabulary: Vocabulary) -> CTCModel:
    seed_torch(2, "initial-weights")
    model = CTCModel(lookup("sew-micro"), len(vocabulary))
    save_ctc(model, vocabulary, folder)
    return model


def test_a_new_head_takes_the_encoder_of_a_recogniser(prepared: Path, tmp_path: Path) -> None:
    letters, others = Vocabulary.letters(), Vocabulary((*SPECIAL, *"აბგდ"))
    theirs = recogniser(tmp_path / "model", others)
    flags = {"model": str(tmp_path / "model"), "data": {"dir": str(prepared)}}
    config = compose(FinetuneConfig, "finetune", None, flags, SMALL)
    assert finetune.chosen_vocabulary(config) == others
    with refused(DataError, "vocabularies-differ") as caught:
        finetune.new_or_pretrained(config, letters)
    assert "--new-head" in str(caught.value.hint)
    config = compose(FinetuneConfig, "finetune", None, {**flags, "new_head": True}, SMALL)
    assert finetune.chosen_vocabulary(config) == letters
    model = finetune.new_or_pretrained(config, letters, new_head=True)
    assert model.head.out_features == len(letters)
    for name, weight in theirs.encoder.state_dict().items():
        assert torch.equal(weight, model.encoder.state_dict()[name]), name


def test_the_alphabet_beside_the_data_is_taken(prepared: Path, tmp_path: Path) -> None:
    shutil.copytree(prepared, tmp_path / "data")
    own = Vocabulary((*SPECIAL, *"აბგდ"))
    own.save(tmp_path / "data")
    for model, expected in (("sew-micro", own), (str(tmp_path / "model"), Vocabulary.letters())):
        if model != "sew-micro":  # a recogniser keeps what it writes
            recogniser(tmp_path / "model", Vocabulary.letters())
        flags = {"model": model, "data": {"dir": str(tmp_path / "data")}}
        assert finetune.chosen_vocabulary(compose(FinetuneConfig, "finetune", None, flags, SMALL)) == expected


@pytest.mark.filterwarnings("ignore:__array_wrap__:DeprecationWarning")  # lhotse
def test_augmented_waves_are_those_of_the_key_and_their_labels_fit(
    prepared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(augmentation, "ROOMS", 4)
    sets = ["augmentation.speeds=0.9,1.1,1.5", "augmentation.reverberation=0.5", "batch.seconds=30"]
    task, again = finetuning(prepared, *sets), finetuning(prepared, *sets)
    plain = finetuning(prepared, "batch.seconds=30")
    micro_batch = max(task.plan.epoch(0)[0], key=len)
    batch, same = task.load(micro_batch, 4, 1), again.load(micro_batch, 4, 1)
    assert (batch.waves == same.waves).all() and (batch.time_mask == same.time_mask).all()
    lengths = plain.load(micro_batch, 4, 1).lengths
    speeds = {round(float(old / new), 1) for old, new in zip(lengths, batch.lengths, strict=True)}
    assert len(speeds) > 1 and speeds <= {0.9, 1.0, 1.1, 1.5}
    assert all(
        finetune.fits(task.labels[n], int(samples), task.model)
        for n, samples in zip(micro_batch, batch.lengths, strict=True)
    )
