"""`sew pseudo-label`: cuts that nobody transcribed, a recogniser and a language model become a data folder with labels.

Decoding is that of `sew decode`, in pieces that are each on disk when they are done, so a kill costs one of them; shards on
several machines are joined by the last. Then filters choose, and the labels are written like any prepared split.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from sewcli.artifacts.data_folder import RejectedRow, SplitEntry, is_done
from sewcli.artifacts.decode_folder import DECODED, FAILED, HYPOTHESES, NBEST, DecodedSplit, alone, read_hypotheses
from sewcli.artifacts.digest import model_digest, settings_digest
from sewcli.artifacts.shards import Shard
from sewcli.base import log
from sewcli.base.errors import DataError
from sewcli.base.files import as_expected, read_jsonl, read_object, sha256
from sewcli.data.utterances import Utterance, read_named, read_split
from sewcli.decoding.beam import BeamOptions
from sewcli.decoding.best_path import BEST_PATHS, language_model
from sewcli.decoding.pipeline import decode
from sewcli.decoding.rescore import RescoreWeights, decoder_weights, read_weights, rescore, rescored, score_lists
from sewcli.decoding.weights import find_weights
from sewcli.lm.files import locate_model
from sewcli.lm.neural import NeuralLanguageModel, is_neural, model_folder, short_name
from sewcli.lm.tokenizer import require_transformers
from sewcli.models.source import resolve as resolve_model
from sewcli.scoring.agreement import compared
from sewcli.scoring.wer import word_errors
from sewcli.self_training.filters import Candidate, filter_labels
from sewcli.self_training.label_config import LabelConfig
from sewcli.self_training.manifest import (
    WORK,
    Provenance,
    of_utterance,
    require_free,
    require_plain,
    write_labels,
)

MAX_PIECES = 64
UNTUNED = 0.5  # weight of a neural model that was not tuned, as in `sew rescore`

Choose = Callable[[], torch.device]


@dataclass(frozen=True)
class Labelled:
    """The labels of a split.

    entry: in prep.json; None while shards are missing. failed: cuts that cannot be read. new: this process wrote them.
    """

    split: str
    entry: SplitEntry | None
    failed: int = 0
    new: bool = False


def pseudo_label(
    model: Path,
    data: Path,
    splits: Sequence[str],
    config: LabelConfig,
    *,
    out: Path,
    device: Choose,
    shard: Shard = (1, 1),
    without: Sequence[str] = (),
    number: int | None = None,
) -> list[Labelled]:
    """Label splits of a corpus with a model.

    Args:
        model: a recogniser: folder, file or Hub id.
        data: folder of a prepared corpus.
        splits: names of its splits; texts that they have are not looked at, but for telling how good the labels are.
        config: of the search and the filters.
        out: the data folder to write.
        device: tells where the model runs.
        shard: (i, n) decodes the i-th of n shares; the last to end writes the labels.
        without: splits of `data` whose cuts get no label: they have true ones.
        number: of the round of self-training, which the labels then tell.

    Raises:
        SewError: something is missing or not valid.
        DataError: no cut can be decoded, or no text passes the filters.
    """
    require_models(config, data)
    for split in splits:
        require_plain(data, split)
        require_free(out, split)
    known_cuts = {u.id for split in without for u in read_split(data, split)}
    work = _Work(model, data, config, out, device, shard, known_cuts, number)
    return [work.label(split) for split in splits]


def require_models(config: LabelConfig, data: Path) -> None:
    """Refuse, before hours of decoding, what search or rescoring would lack.

    Raises:
        UsageError: no such weights, no such language model, or a package is missing.
        DataError: a file of something else.
    """
    find_weights(config.search.weights)
    if config.lm not in BEST_PATHS:
        locate_model(config.lm, data)
    if config.rescore:
        require_transformers()
        if not is_neural(folder := model_folder(config.rescore)):
            raise DataError(
                "not-a-causal-lm",
                "not a causal language model",
                where=folder,
                hint="give a folder of sew lm train, or of a Hugging Face causal language model",
            )
    if config.search.rescore_weights:
        read_weights(Path(config.search.rescore_weights))


@dataclass(frozen=True)
class _Work:
    """What all splits have in common; see `pseudo_label`. known_cuts: ids of those that need no label."""

    model: Path
    data: Path
    config: LabelConfig
    out: Path
    device: Choose
    shard: Shard
    known_cuts: Collection[str]
    number: int | None

    def label(self, split: str) -> Labelled:
        """Decode a split, or this shard of it; the last shard chooses among the texts and writes the labels."""
        utterances = {u.id: u for u in read_named(self.data, split) if u.id not in self.known_cuts}
        unfit = {name: reason for name, u in utterances.items() if (reason := _unfit(u, self.config))}
        if len(utterances) == len(unfit):
            raise DataError(
                "no-usable-utterance", f"no cut to label: {len(unfit)} are of a length that is left out", where=split
            )
        hours = sum(u.seconds for name, u in utterances.items() if name not in unfit) / 3600
        done = self._decode(split, hours, {*self.known_cuts, *unfit})
        if done.part:
            return Labelled(split, None, done.failed)
        failed = {str(row["id"]): f"unreadable: {row['reason']}" for row in _failures(done.folder)}
        with alone(self.out):  # another shard may have been as late
            chosen = _rescored(done.folder, self.config, self.device) if self.config.rescore else done.folder
            return self._write(split, utterances, {**unfit, **failed}, done.folder, chosen, len(failed))

    def _decode(self, split: str, hours: float, skip: Collection[str]) -> DecodedSplit:
        search = self.config.search
        weights = find_weights(search.weights)
        options = BeamOptions(
            beam=search.beam,
            lm_weight=weights.lm_weight,
            word_score=weights.word_score,
            nbest=search.nbest if self.config.rescore else None,
        )
        (done,) = decode(
            self.model,
            self.data,
            [split],
            out=self.out / WORK,
            device=self.device,
            lm=language_model(self.config.lm),
            options=options,
            jobs=search.jobs,
            shard=self.shard,
            pieces=max(1, min(MAX_PIECES, math.ceil(hours / search.save_hours / self.shard[1]))),
            skip=skip,
            include_greedy=True,
        )
        return done

    def _write(
        self,
        split: str,
        utterances: dict[str, Utterance],
        lost: dict[str, str],
        folder: Path,
        chosen: Path,
        failed: int,
    ) -> Labelled:
        """The labels of a decoded split; `lost` are cuts without a text, with the reason."""
        candidates = candidates_of(folder, chosen, utterances)
        account = self._account(folder, chosen, lost)
        if entry := is_done(self.out, split, account.inputs):
            log.info(f"{self.out}: {split} is labelled already, with the same model, cuts and filters")
            return Labelled(split, entry, failed)
        kept, reasons = filter_labels(candidates, self.config.filter)
        texts = {candidate.id: candidate.text for candidate in candidates}
        rejected = [
            of_utterance(utterances[name], reason, texts.get(name, "")) for name, reason in {**lost, **reasons}.items()
        ]
        account = _with_figures(account, candidates, kept, rejected)
        entry = write_labels(self.out, self.data, split, kept, rejected, account)
        log.info(f"{self.out}: {split}: {len(kept):,} of {len(utterances):,} cuts have a label")
        return Labelled(split, entry, failed, new=True)

    def _account(self, folder: Path, chosen: Path, lost: dict[str, str]) -> Provenance:
        config = self.config
        origin = {
            "model": str(self.model),
            "model_sha256": model_digest(resolve_model(self.model)),
            "decoder": read_object(chosen / DECODED).get("decoder"),
            "lm": config.lm,
        }
        if config.lm not in BEST_PATHS:
            origin["lm_sha256"] = sha256(locate_model(config.lm, self.data))
        if config.rescore:
            neural = model_digest(model_folder(config.rescore))
            origin |= {"rescored_by": config.rescore, "rescored_by_sha256": neural}
        told = {**origin, **({"round": self.number} if self.number is not None else {})}
        hypotheses = [sha256(place / HYPOTHESES) for place in (folder, chosen)]
        inputs = settings_digest([hypotheses, told, config.filter.model_dump(), sorted(lost.items())])
        return Provenance(inputs, told, {"filter": config.filter.model_dump(mode="json")})


def _unfit(utterance: Utterance, config: LabelConfig) -> str | None:
    if utterance.seconds < config.filter.min_seconds:
        return f"too short: {utterance.seconds:.2f} s"
    return f"too long: {utterance.seconds:.1f} s" if utterance.seconds > config.filter.max_seconds else None


def _rescored(folder: Path, config: LabelConfig, device: Choose) -> Path:
    """The lists in the neural model's order: those that are there, if model and weights are the same."""
    weights, model = _rescore_weights(folder, config), model_folder(str(config.rescore))
    if there := rescored(folder, model, short_name(model), weights):
        log.info(f"{there}: rescored already, with the same model and weights")
        return there
    scorer = NeuralLanguageModel(model, device())
    return rescore(score_lists(folder, scorer), scorer, weights)


def _rescore_weights(folder: Path, config: LabelConfig) -> RescoreWeights:
    if config.search.rescore_weights:
        return read_weights(Path(config.search.rescore_weights))
    log.warn(f"the neural model's weight, {UNTUNED}, is a guess (sew rescore --tune on a dev split finds a better one)")
    return decoder_weights(folder).model_copy(update={"nn_weight": UNTUNED})


def candidates_of(folder: Path, chosen: Path, utterances: dict[str, Utterance]) -> list[Candidate]:
    """Of each cut its text and the figures of it; of a rescoring the acoustic score is that of the text it took."""
    with as_expected(chosen):
        return _candidates(folder, chosen, utterances)


def _candidates(folder: Path, chosen: Path, utterances: dict[str, Utterance]) -> list[Candidate]:
    heard = {row["id"]: row for row in read_hypotheses(folder)}
    taken = {str(row["id"]): row["nbest"][0] for row in read_jsonl(chosen / NBEST)} if chosen != folder else {}
    found = []
    for row in read_hypotheses(chosen):
        name, own = str(row["id"]), heard[str(row["id"])]
        found.append(
            Candidate(
                id=name,
                text=str(row["text"]),
                seconds=utterances[name].seconds,
                am=float(taken.get(name, own)["am"]),
                score=float(row["score"]),
                greedy=str(own["greedy"]),
                greedy_score=float(own["greedy_score"]),
                reference=own.get("reference"),
            )
        )
    return found


def _failures(folder: Path) -> list[dict[str, Any]]:
    return list(read_jsonl(folder / FAILED)) if (folder / FAILED).is_file() else []


def _with_figures(
    account: Provenance, candidates: Sequence[Candidate], kept: Sequence[Candidate], rejected: Sequence[RejectedRow]
) -> Provenance:
    figures = {
        "share_kept": round(len(kept) / (len(kept) + len(rejected)), 6),
        "label_errors": {"all": _errors(candidates), "kept": _errors(kept)} if _errors(kept) else None,
    }
    return Provenance(account.inputs, account.origin, {**account.figures, **figures})


def _errors(candidates: Sequence[Candidate]) -> dict[str, Any] | None:
    """Word errors where the truth is known; None where it is known of no cut."""
    known_texts = [(c.reference, c.text) for c in candidates if c.reference]
    if not known_texts:
        return None
    texts = compared([truth for truth, _ in known_texts], [text for _, text in known_texts])
    errors = word_errors(texts.references, texts.hypotheses)
    wrong = Counter(count.errors > 0 for count in errors.utterances)
    return {
        "wer": errors.wer,
        "words": errors.total.words,
        "errors": errors.total.errors,
        "cuts": len(known_texts),
        "cuts_without_error": wrong[False],
    }
