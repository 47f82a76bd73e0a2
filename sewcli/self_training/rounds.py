"""`sew selftrain`: label, fine-tune, and again, as one command that is killed anywhere and goes on where it was.

`EXP/round-N/` is an experiment of `sew finetune` with its decodings, and `labels/`, the data folder that the model of round
N - 1 wrote; `EXP/final/` is that of another model at the end. A round is done when its round.json is there, written last;
what of a round is done before that is passed over by the verbs' own marks. `EXP/selftrain.json` and `.md` tell all rounds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from sewcli.artifacts.decode_folder import SCORE
from sewcli.artifacts.digest import model_digest, settings_digest
from sewcli.artifacts.experiment_folder import DECODE, MODEL
from sewcli.base import dist, log
from sewcli.base.config import dump_yaml, merge, read_yaml
from sewcli.base.device import choose_device
from sewcli.base.errors import DataError, PartialError, UsageError
from sewcli.base.files import as_expected, read_object, write_json, write_text
from sewcli.base.lock import hold
from sewcli.data.utterances import read_split, require_splits
from sewcli.data.utterances import splits as find_splits
from sewcli.decoding.beam import BeamOptions
from sewcli.decoding.best_path import language_model
from sewcli.decoding.pipeline import decode
from sewcli.decoding.weights import find_weights
from sewcli.models.opening import open_source
from sewcli.models.source import is_model
from sewcli.models.source import resolve as resolve_model
from sewcli.models.zoo import overridden
from sewcli.scoring.score import score_folder
from sewcli.self_training.config import SelfTrainingConfig
from sewcli.self_training.manifest import CUSTOM
from sewcli.self_training.pseudo_labels import pseudo_label, require_models
from sewcli.self_training.table import RESULTS, TABLE, markdown
from sewcli.text.tokens import FILE as VOCABULARY
from sewcli.training.config import FinetuneConfig
from sewcli.training.experiment import differences
from sewcli.training.finetune import run as finetune
from sewcli.training.finetune import validation_splits
from sewcli.training.recipes import compose

CONFIG, MARK, LABELS = "selftrain.yaml", "round.json", "labels"
GROWS = "rounds"  # the one key that may change under a run

Row = dict[str, Any]


def self_train(config: SelfTrainingConfig, exp: Path, device: str) -> list[Row]:
    """Run all rounds, or what is left of them.

    Returns:
        A row for each, the first of the model before: error rates, share kept, error rate of the labels.

    Raises:
        SewError: something is missing or not valid, or another run is in this folder.
        PartialError: some audio could not be read; all rounds are done.
    """
    if dist.world_size() > 1:
        raise UsageError(
            "not-under-torchrun",
            "sew selftrain under torchrun",
            hint="sew pseudo-label and sew finetune take torchrun: call them in turn, round by round (docs/self-training.md)",
        )
    resolved = _resolved(config, exp)
    run = _Run(resolved, exp, device)
    run.check()
    hold(exp, busy="another process trains in this folder", hint="wait for it, or give this run its own --exp")
    _keep_config(exp, config)
    rows = [run.start()]
    run.tell(rows)
    for number in range(1, config.rounds + 1):
        rows.append(run.round(number))
        run.tell(rows)
    if resolved.final:
        rows.append(run.final(resolved.final))
        run.tell(rows)
    if run.failed:
        raise PartialError(
            "utterances-failed",
            "self-training is done; some audio could not be read",
            where=exp,
            hint=f"rejected.jsonl in {', '.join(sorted(run.failed))} names it; sew check finds such files before a run",
        )
    return rows


def check_plan(config: SelfTrainingConfig, exp: Path) -> None:
    """Check what can be checked before anything runs; that nothing is prepared yet at the usual place is only a warning.

    Raises:
        SewError: something is missing or not valid.
    """
    if config.data == SelfTrainingConfig.model_fields["data"].default and not Path(config.data).is_dir():
        log.warn(f"{config.data}: nothing is prepared here yet, so models and splits are not checked")
    else:
        _Run(_resolved(config, exp), exp, "cpu").check()


@dataclass
class _Run:
    """The stages. failed: folders where audio could not be read."""

    config: SelfTrainingConfig
    exp: Path
    device: str

    def __post_init__(self) -> None:
        self.failed: set[str] = set()
        self.model = Path(self.config.model)  # that labels next
        self.digest = model_digest(resolve_model(self.model))

    def check(self) -> None:
        """Refuse settings of a later stage before the hours of an earlier one."""
        config = self.config
        for model, differs, recipe in (
            (config.model, config.supervised, config.supervised_recipe or config.recipe),
            (config.model, {}, config.recipe),
            (config.final or config.model, config.final_finetune, config.recipe),
        ):
            settings = self._finetuning(model, differs, [], recipe)
            overridden(open_source(model).config, settings.overrides)
            validation_splits(settings)
        require_models(config.label, Path(config.data))

    def start(self) -> Row:
        """Round 0: the model that is given, or a recogniser made of it by the true labels alone."""
        folder = self.exp / "round-0"
        if not is_recogniser(self.config.model):
            recipe = self.config.supervised_recipe or self.config.recipe
            settings = self._finetuning(self.config.model, self.config.supervised, [], recipe)
            self.model = folder / MODEL
            return self._stage(folder, 0, [], partial(self._train, settings, folder))
        return self._stage(folder, 0, [], lambda: None)

    def round(self, number: int) -> Row:
        """Label with the model there is, fine-tune on that."""
        folder = self.exp / f"round-{number}"
        begin = self.config.model if self.config.begin == "start" else str(self.model)
        settings = self._finetuning(begin, {}, self._label_splits(folder), self.config.recipe)
        return self._labelled(folder, number, settings)

    def final(self, model: str) -> Row:
        """Label once more, and fine-tune another model."""
        folder = self.exp / "final"
        settings = self._finetuning(model, self.config.final_finetune, self._label_splits(folder), self.config.recipe)
        return self._labelled(folder, self.config.rounds + 1, settings)

    def tell(self, rows: Sequence[Row]) -> None:
        """Write what is known so far."""
        write_json(self.exp / RESULTS, {"config": self.config.model_dump(mode="json"), "rounds": list(rows)})
        write_text(self.exp / TABLE, markdown(rows))

    def _labelled(self, folder: Path, number: int, settings: FinetuneConfig) -> Row:
        teacher, self.model = self.model, folder / MODEL
        entries: list[Row] = []

        def work() -> None:
            entries.extend(self._label(teacher, folder, number))
            self._train(settings, folder)

        return self._stage(folder, number, entries, work)

    def _stage(self, folder: Path, number: int, entries: list[Row], work: Callable[[], None]) -> Row:
        """Do the work, measure the model, and write the mark; or pass over all of it where the mark is there."""
        mark = folder / MARK
        inputs = settings_digest([self.config.model_dump(mode="json", exclude={GROWS}), self.digest])
        if mark.is_file() and self.model.exists():
            row: Row = read_object(mark)
            self.digest = model_digest(resolve_model(self.model))
            if row.get("inputs") == inputs and row.get("model_sha256") == self.digest:
                log.info(f"{folder}: done already")
                return row
        work()
        self.digest = model_digest(resolve_model(self.model))
        row = {
            "round": folder.name,
            "number": number,
            "model": str(self.model),
            "model_sha256": self.digest,
            "labels": entries,
            "wer": self._rates(folder),
            "inputs": inputs,
        }
        write_json(mark, row)
        return row

    def _label(self, teacher: Path, folder: Path, number: int) -> list[Row]:
        done = pseudo_label(
            teacher,
            Path(self.config.data),
            list(self.config.untranscribed),
            self.config.label,
            out=folder / LABELS,
            device=self._choose,
            without=list(self.config.labelled or ()),
            number=number,
        )
        self.failed |= {str(folder / LABELS) for labelled in done if labelled.failed}
        names = ("utterances", "hours", "rejected", "reasons")
        rows = []
        for labelled in done:
            assert labelled.entry is not None  # one process has no shards to wait for
            own = labelled.entry[CUSTOM]
            figures = {"share_kept": own["share_kept"], "label_errors": own["label_errors"]}
            told = {name: value for name, value in labelled.entry.items() if name in names}
            rows.append({"split": labelled.split, **told, **figures})
        return rows

    def _train(self, settings: FinetuneConfig, folder: Path) -> None:
        try:
            finetune(settings, folder, self.device)
        except PartialError:
            self.failed.add(str(folder))
        if not (folder / MODEL).is_dir():
            raise DataError(
                "no-model", "fine-tuning left no model", where=folder, hint="its metrics.jsonl tells how it went"
            )

    def _finetuning(self, begin: str, differs: dict[str, Any], labels: list[str], recipe: str | None) -> FinetuneConfig:
        times = f"*{self.config.labelled_times}" if labels and self.config.labelled_times > 1 else ""
        train = [*(f"{name}{times}" for name in self.config.labelled or ()), *labels]
        fixed = {"model": begin, "data": {"dir": self.config.data, "train": train, "other_hours": None}}
        own = Path(self.config.model) / VOCABULARY
        basis = {"vocabulary": str(own)} if own.is_file() else {}
        return compose(FinetuneConfig, "finetune", recipe, merge(basis, self.config.finetune, differs, fixed), [])

    def _label_splits(self, folder: Path) -> list[str]:
        return [str(folder / LABELS / split) for split in self.config.untranscribed]

    def _rates(self, folder: Path) -> dict[str, dict[str, float]]:
        """Word error rates by split: greedy, and with the language model."""
        label = self.config.label
        rates: dict[str, dict[str, float]] = {}
        weights = find_weights(label.search.weights)
        options = BeamOptions(beam=label.search.beam, lm_weight=weights.lm_weight, word_score=weights.word_score)
        for name in dict.fromkeys((None, language_model(label.lm))):
            done = decode(
                self.model,
                Path(self.config.data),
                list(self.config.test or ()),
                out=folder / DECODE,
                device=self._choose,
                lm=name,
                options=options,
                jobs=label.search.jobs,
            )
            for split, decoded in zip(self.config.test or (), done, strict=True):
                there = (decoded.folder / SCORE).is_file() and not decoded.new
                score = read_object(decoded.folder / SCORE) if there else score_folder(decoded.folder)
                with as_expected(decoded.folder / SCORE):
                    rates.setdefault(split, {})["lm" if name else "greedy"] = float(score["wer"])
        return rates

    @property
    def _choose(self) -> Callable[[], Any]:
        return partial(choose_device, self.device)


def is_recogniser(model: str) -> bool:
    """Whether a model has a CTC layer; one that has none is pre-trained only.

    Raises:
        UsageError: a name of the zoo, which has no weights, or nothing of this name.
    """
    if not is_model(model):
        raise UsageError(
            "model-without-weights",
            f"no weights of {model!r}",
            hint="give a recogniser or a pre-trained model: its folder, a fairseq file or a Hub id",
        )
    return open_source(model).kind == "ctc"


def started_from(exp: Path) -> str | None:
    """The model that a run in this folder began with: its own rounds are newer, and must not be taken for it."""
    path = exp / CONFIG
    return str(read_yaml(path).get("model")) if path.is_file() else None


def _resolved(config: SelfTrainingConfig, exp: Path) -> SelfTrainingConfig:
    """With its splits by name and the folder of its final model, all of which are there.

    Raises:
        UsageError: no such model or split, one that is labelled and untranscribed, or none to test on.
    """
    is_recogniser(config.model)
    data = config.data
    if not config.untranscribed:
        raise UsageError(
            "no-such-split", "no split to label", where=data, hint="name it: --untranscribed SPLIT (may be repeated)"
        )
    wanted = require_splits(data, config.untranscribed, default_prefix="")
    if config.labelled:
        labelled = require_splits(data, config.labelled, default_prefix="")
    else:
        labelled = [name for name in find_splits(data) if name.startswith("train") and name not in wanted]
    if not labelled:
        raise UsageError(
            "no-such-split",
            "no split with true labels is left",
            where=data,
            hint="name them: --set labelled=10h (sew prep --subset draws such)",
        )
    if both := sorted(set(labelled) & set(wanted)):
        raise UsageError(
            "split-in-both",
            f"{', '.join(both)}: labelled and untranscribed at once",
            hint="--untranscribed takes the others",
        )
    if not any(u.text.strip() for name in labelled for u in read_split(data, name)):
        raise UsageError(
            "no-text",
            f"no text in {', '.join(labelled)}",
            where=data,
            hint="--set labelled=SPLIT, of one with transcripts",
        )
    test = config.test or [name for name in find_splits(data) if name.startswith(("dev", "test"))]
    update = {"labelled": tuple(labelled), "test": tuple(require_splits(data, test, default_prefix="dev"))}
    return config.model_copy(update={**update, "final": _found(config.final, exp) if config.final else None})


def _keep_config(exp: Path, config: SelfTrainingConfig) -> None:
    """Write selftrain.yaml, or hold this run against the one there; only `rounds` may change.

    Raises:
        UsageError: another run.
    """
    path = exp / CONFIG
    if path.is_file():
        changed = differences(read_yaml(path), config.model_dump(mode="json"))
        if changed.keys() - {GROWS}:
            shown = ", ".join(f"{key} {then!r} -> {now!r}" for key, (then, now) in list(changed.items())[:4])
            raise UsageError(
                "another-run",
                f"another run is in this folder: {shown}",
                where=exp,
                hint="give the new run its own --exp",
            )
        if GROWS in changed and config.final:
            raise UsageError(
                "another-run",
                "another number of rounds, and a final model that was to follow the old one",
                where=exp,
                hint="its own --exp",
            )
    write_text(path, dump_yaml(config))


def _found(name: str, exp: Path) -> str:
    """The final model: a folder, or the pre-training of a model of the zoo, looked for in exp/NAME.

    Raises:
        UsageError: nowhere.
    """
    if is_model(name):
        return name
    for place in (exp.parent / name / MODEL, Path("exp") / name / MODEL):
        if (place / "config.json").is_file():
            return str(place)
    raise UsageError(
        "no-pretraining",
        f"no pre-training of {name}",
        where=exp.parent / name,
        hint=f"first run: sew pretrain --model {name}; or give a folder",
    )
