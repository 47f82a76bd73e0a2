"""Is a prepared corpus fit to train and to test on: every cut read to its last sample, every label held against a model.

Audio is read a block at a time and by threads, so that memory does not grow with its length. Labels are counted as CTC
needs them (Graves et al. 2006, section 3): a frame a label, and a blank between equal neighbours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sewcli.audio.io import probe, read_blocks
from sewcli.audio.measure import Measures, measure
from sewcli.base.errors import DataError, UsageError
from sewcli.base.log import progress
from sewcli.base.rng import numpy_rng
from sewcli.base.sample_rate import SAMPLE_RATE
from sewcli.data.agreement import disagreements, gone, prepared_here, read_summaries
from sewcli.data.contents import contents
from sewcli.data.cuts import TOLERANCE
from sewcli.data.findings import Finding, ordered
from sewcli.data.leaks import same_ids, same_samples, same_speakers, same_stretches
from sewcli.data.loading import read_ahead
from sewcli.data.utterances import Utterance, manifests, read_split, require_splits
from sewcli.text.tokens import Vocabulary, frames_needed

# benchmarks/check.py shows where these lie in read speech
SILENT = -60.0  # dB of full scale; the softest cut of LibriSpeech's train-clean-5 has -31
CLIPPED = 1e-3  # share in flat tops: the distortion is then about 20 dB below the speech; a good recording has none
OFFSET = 0.02  # of full scale: five times the largest there
SHORTEST, LONGEST = 0.1, 40.0  # seconds: what fine-tuning leaves out unless told otherwise
LONGEST_UNLABELLED = 600.0  # seconds: pre-training reads a cut whole to take a piece of it

Corpus = dict[str, list[Utterance]]


@dataclass(frozen=True)
class Labels:
    """What labels are held against.

    Args:
        vocabulary: the symbols that can be written.
        frames: frames that the CTC layer has for so many samples.
        model: whose they are, for messages.
    """

    vocabulary: Vocabulary
    frames: Callable[[int], int]
    model: str


@dataclass(frozen=True)
class Checked:
    """What was found, in order, and how much was looked at: cuts in all, and cuts and seconds that were read."""

    findings: list[Finding]
    cuts: int
    read: int
    seconds: float


def labels_of(model: str, vocabulary: Path | None, data: Path | None = None) -> Labels:
    """The vocabulary and the frames of a model of the zoo, a folder, a fairseq file or one of the Hub.

    A model without symbols of its own is held to write those beside the data, else English letters, as in fine-tuning.

    Args:
        model: its name or path.
        vocabulary: what to take in place of its own: a `vocab.json`, a text file with a symbol a line, or a model folder.
        data: the prepared corpus, whose alphabet a model without one takes.

    Raises:
        UsageError: there is no such model or file.
        DataError: a file is broken.
    """
    from sewcli.models.encoder import make_extractor  # imported late: torch takes seconds
    from sewcli.models.opening import open_source
    from sewcli.models.source import is_model
    from sewcli.models.zoo import lookup

    if vocabulary and not vocabulary.exists():
        raise UsageError(
            "vocabulary-not-found",
            "no such vocabulary",
            where=vocabulary,
            hint="give a vocab.json, a text file with a symbol a line, or a model folder",
        )
    source = open_source(model) if is_model(model) else None
    config = source.config if source else lookup(model)
    own = source.vocabulary if source else None
    beside = Vocabulary.beside(data) if data else None
    count = make_extractor(config).frames
    return Labels(
        Vocabulary.read(vocabulary) if vocabulary else own or beside or Vocabulary.letters(),
        lambda samples: int(count(samples)) * config.output_upsample,
        model,
    )


def check(
    data: Path,
    labels: Labels,
    *,
    wanted: Sequence[str] | None = None,
    sample: int | None = None,
    seed: int = 1,
    jobs: int = 1,
) -> Checked:
    """Check the splits of a prepared corpus, each by itself and against the others.

    Args:
        data: the folder that `sew prep` wrote.
        labels: the model that shall be trained or tested on it.
        wanted: some of its splits; None takes all, and looks for those that are gone.
        sample: read only so many cuts of each split, drawn by `seed`; everything but their audio is still checked.
        seed: of that draw.
        jobs: threads.

    Raises:
        UsageError: nothing is prepared there, or no such split.
    """
    splits = list(dict.fromkeys(require_splits(data, wanted, default_prefix="")))
    plain = [split for split in splits if prepared_here(data, split)]
    summaries, findings = read_summaries(data) if plain else ({}, [])
    if not wanted:
        findings += gone(data, summaries, splits)
    corpus: Corpus = {}
    for split in splits:
        try:
            corpus[split] = read_split(data, split)
        except DataError as error:
            findings.append(Finding("manifest", split, "", str(error.where), error.what))
            continue
        if summaries and split in plain:
            findings += disagreements(data, split, corpus[split], summaries.get(split))
        findings += contents(split, manifests(data, split))
        findings += _label_findings(split, corpus[split], labels)
    chosen = {split: _draw(len(cuts), sample, seed, split) for split, cuts in corpus.items()}
    digests: dict[tuple[str, int], bytes] = {}
    seconds = 0.0
    for (split, index), (found, measures) in _read_all(corpus, chosen, jobs):
        findings += found
        seconds += corpus[split][index].seconds
        if measures and measures.rms:
            digests[split, index] = measures.digest
    findings += same_ids(corpus)
    findings += same_stretches(corpus)
    findings += same_samples(corpus, digests)
    findings += same_speakers(corpus)
    return Checked(ordered(findings), sum(map(len, corpus.values())), sum(map(len, chosen.values())), seconds)


def listen(split: str, utterance: Utterance) -> tuple[list[Finding], Measures | None]:
    """What is wrong with the audio of a cut, and its measures unless it cannot be read."""
    found = partial(Finding, split=split, id=utterance.id, file=str(utterance.path))
    if utterance.fault:
        return [found("partial", detail=utterance.fault)], None
    if utterance.derived is not None:
        return _listen_to_derived(utterance, found)
    rounded: list[Finding] = []
    try:
        info = probe(utterance.path)
        if not SAMPLE_RATE == info.rate == utterance.rate:
            promised = "" if utterance.rate == info.rate else f", the manifest says {utterance.rate} Hz"
            return [found("rate", detail=f"{info.rate} Hz, not {SAMPLE_RATE} Hz{promised}")], None
        samples = utterance.samples
        end = utterance.start + samples
        if 0 < end - info.samples <= TOLERANCE * info.rate:
            rounded = [found("rounded", detail=f"ends {end - info.samples} samples after its file")]
            samples, end = samples - (end - info.samples), info.samples
        if not (0 <= utterance.start < end <= info.samples and utterance.channel < info.channels):
            detail = f"samples {utterance.start} to {end} of channel {utterance.channel}, the file has {info.samples}"
            return [found("beyond-end", detail=f"{detail} of {info.channels}")], None
        measures = measure(
            read_blocks(utterance.path, start=utterance.start, samples=samples, channel=utterance.channel)
        )
    except DataError as error:
        return [found("unreadable", detail=error.what)], None
    return [*rounded, *_sound_findings(measures, found)], measures


def _listen_to_derived(utterance: Utterance, found: Callable[..., Finding]) -> tuple[list[Finding], Measures | None]:
    """Of audio that lhotse computes: as its utterance's wave is."""
    if utterance.rate != SAMPLE_RATE:
        return [found("rate", detail=f"{utterance.rate} Hz after its transforms, not {SAMPLE_RATE} Hz")], None
    try:
        measures = measure([utterance.wave()])
    except DataError as error:
        return [found("unreadable", detail=error.what)], None
    return _sound_findings(measures, found), measures


def _sound_findings(measures: Measures, found: Callable[..., Finding]) -> list[Finding]:
    return [found(kind, detail=detail, weight=weight) for kind, detail, weight in _sound_faults(measures)]


def _sound_faults(measures: Measures) -> Iterator[tuple[str, str, float]]:
    """Kind, detail and weight of what the measures say."""
    if measures.not_finite:
        yield "nan", f"{measures.not_finite:,} of {measures.samples:,} samples", measures.not_finite
    if not measures.rms:
        yield "no-signal", f"all {measures.samples:,} samples are {measures.offset:g}", measures.samples
    elif measures.decibels < SILENT:
        yield "silent", f"{measures.decibels:.1f} dB of full scale", -measures.decibels
    if measures.clipped > CLIPPED:
        yield "clipped", f"{measures.clipped:.2%} of the samples are in flat tops", measures.clipped
    if measures.rms and abs(measures.offset) > OFFSET:
        yield "offset", f"the mean is {measures.offset:+.3f} of full scale", abs(measures.offset)


def _label_findings(split: str, utterances: Sequence[Utterance], labels: Labels) -> Iterator[Finding]:
    """What is wrong with the lengths and labels of the cuts of a split."""
    labelled = any(u.text.strip() for u in utterances)
    for u in utterances:
        found = partial(Finding, split=split, id=u.id, file=str(u.path))
        longest = LONGEST if labelled else LONGEST_UNLABELLED
        if u.seconds < SHORTEST:
            yield found("too-short", detail=f"{u.seconds:.3f} s", weight=-u.seconds)
        elif u.seconds > longest:
            yield found("too-long", detail=f"{u.seconds:.1f} s", weight=u.seconds)
        if not u.text.strip():
            if labelled:
                yield found("no-label", detail=f"{u.seconds:.1f} s without a text", weight=u.seconds)
        elif outside := labels.vocabulary.outside(u.text):
            yield found("vocabulary", detail=f"{' '.join(outside)} in {u.text!r:.120}", weight=len(outside))
        else:
            ids = labels.vocabulary.encode(u.text)
            needed, have = frames_needed(ids), labels.frames(u.samples)
            if needed > have:
                repeats = needed - len(ids)
                detail = (
                    f"{len(ids)} labels and {repeats} blanks, {labels.model} makes {have} frames of {u.seconds:.2f} s"
                )
                yield found("too-many-labels", detail=detail, weight=needed / max(have, 1))


def _draw(cuts: int, sample: int | None, seed: int, split: str) -> list[int]:
    """Indices of the cuts to read, in order."""
    if sample is None or sample >= cuts:
        return list(range(cuts))
    drawn = numpy_rng(seed, "check-sample", split).choice(cuts, sample, replace=False)
    return sorted(drawn.tolist())


def _read_all(
    corpus: Corpus, chosen: Mapping[str, Sequence[int]], jobs: int
) -> Iterator[tuple[tuple[str, int], tuple[list[Finding], Measures | None]]]:
    """Listen to the chosen cuts of each split, in order."""
    for split, indices in chosen.items():
        utterances = corpus[split]
        with progress(f"reading {split}", len(indices)) as meter:
            cuts = (utterances[index] for index in indices)
            results = read_ahead(cuts, partial(listen, split), threads=jobs, ahead=8 * jobs)
            for index, (_, result) in zip(indices, results, strict=True):
                yield (split, index), result
                meter.advance()
