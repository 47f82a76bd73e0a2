"""What `import sewcli` offers: a recogniser in three lines, and the verbs of the command line as functions.

    import sewcli

    model = sewcli.load("exp/sew-tiny-ft")
    for segment in model.transcribe("talk.mp3"):
        print(f"{segment.start:.2f} {segment.text}")

Functions return values and print nothing; what they log goes to stderr, as on the command line. Failures are
`sewcli.base.errors.SewError`s. Shapes: S samples at 16 kHz, T frames, V symbols.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sewcli.artifacts.data_folder import Splits
from sewcli.base.errors import DataError, PartialError, SewError, UsageError
from sewcli.base.sample_rate import SAMPLE_RATE

if TYPE_CHECKING:
    import numpy as np

    from sewcli.alignment.split import AlignedSplit
    from sewcli.artifacts.decode_folder import DecodedSplit
    from sewcli.lm.bias import Bias
    from sewcli.text.tokens import Vocabulary
    from sewcli.transcription.transcriber import Transcriber

__all__ = [
    "DataError",
    "PartialError",
    "Recogniser",
    "Segment",
    "SewError",
    "UsageError",
    "Word",
    "align",
    "decode",
    "finetune",
    "load",
    "prepare",
    "pretrain",
    "score",
]

Runtime = Literal["auto", "torch", "openvino"]
Precision = Literal["auto", "fp32", "tf32", "bf16", "fp16"]
Channels = Literal["mix", "split"]


@dataclass(frozen=True)
class Word:
    """A word, its start and end in seconds, and the geometric mean of the probabilities of its symbols (not calibrated)."""

    text: str
    start: float
    end: float
    confidence: float


@dataclass(frozen=True)
class Segment:
    """What is said between two pauses of half a second.

    channel: from 0; None where all channels were mixed.
    """

    words: tuple[Word, ...]
    channel: int | None = None

    @property
    def text(self) -> str:
        """The words with spaces between."""
        return " ".join(word.text for word in self.words)

    @property
    def start(self) -> float:
        """Seconds at which the first word begins."""
        return self.words[0].start

    @property
    def end(self) -> float:
        """Seconds at which the last word ends."""
        return self.words[-1].end

    @property
    def confidence(self) -> float:
        """The geometric mean of the words' confidences."""
        return math.prod(word.confidence for word in self.words) ** (1 / len(self.words))


class Recogniser:
    """A loaded recogniser. `load` makes it."""

    def __init__(self, transcriber: Transcriber) -> None:
        self._transcriber = transcriber

    @property
    def vocabulary(self) -> Vocabulary:
        """Its V output symbols."""
        return self._transcriber.vocabulary

    def transcribe(
        self,
        audio: str | Path | np.ndarray,
        *,
        rate: int = SAMPLE_RATE,
        channels: Channels = "mix",
        words: str | Path | None = None,
        boost: str | Path | None = None,
    ) -> list[Segment]:
        """The segments of a recording of any length, in order of time.

        Args:
            audio: a sound file, or samples (S,) or (S, channels) between -1 and 1.
            rate: Hz of an array.
            channels: mix: one transcript of the mean of all channels; split: one of each.
            words: as in `load`, for this recording; with `boost` in place of those that were loaded.
            boost: likewise.

        Raises:
            DataError: a file that cannot be read, or sound that is cut off.
            UsageError: an array of another shape, or words or phrases without a language model.
        """
        chosen = self.biased(words=words, boost=boost) if words or boost else self
        return list(chosen.stream(audio, rate=rate, channels=channels))

    def biased(self, *, words: str | Path | None = None, boost: str | Path | None = None) -> Recogniser:
        """The same model with other words and phrases (files as in `load`), for many recordings."""
        return Recogniser(self._transcriber.biased(_bias(words, boost)))

    def stream(
        self, audio: str | Path | np.ndarray, *, rate: int = SAMPLE_RATE, channels: Channels = "mix"
    ) -> Iterator[Segment]:
        """As `transcribe`, but each segment as soon as it is final; memory does not grow with a file's length."""
        from sewcli.audio.streams import open_stream
        from sewcli.transcription.transcriber import LINE, OVERLAP, WINDOW, Listener
        from sewcli.transcription.windows import Layout

        layout = Layout.of(self._transcriber.config, WINDOW, OVERLAP)

        def listeners(count: int) -> list[Listener]:
            return [Listener(self._transcriber, layout, _name(audio), LINE) for _ in range(count)]

        if isinstance(audio, str | Path):
            with open_stream(str(audio), mode=channels) as stream:
                yield from _segments(listeners(stream.channels), stream.blocks, channels)
        else:
            samples = _at_16k(audio, rate, channels)
            yield from _segments(listeners(samples.shape[1]), iter([samples]), channels)

    def emissions(self, waves: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Log-probabilities (T, V) in float32 of waves (S,) at 16 kHz, each cut to its true length.

        The company in a batch changes nothing. A wave too short for a frame gives (0, V).
        """
        import numpy as np

        waves = [np.ascontiguousarray(wave, dtype=np.float32) for wave in waves]
        if any(wave.ndim != 1 for wave in waves):
            raise UsageError("invalid-wave", "emissions are of waves with one channel: arrays of shape (S,)")
        config, model = self._transcriber.config, self._transcriber.model
        order = sorted((n for n, wave in enumerate(waves) if config.frames(len(wave))), key=lambda n: -len(waves[n]))
        found = [np.zeros((0, len(self.vocabulary)), dtype=np.float32) for _ in waves]
        while order:
            fits = max(1, int(model.batch_seconds * SAMPLE_RATE // len(waves[order[0]])))
            batch, order = order[:fits], order[fits:]
            for number, emission in zip(batch, model.run([waves[n] for n in batch]), strict=True):
                found[number] = emission
        return found

    def align(self, audio: str | Path | np.ndarray, text: str, *, rate: int = SAMPLE_RATE) -> list[Word]:
        """The words of a transcript with their times in a recording, as `sew align` finds them.

        Args:
            audio: a sound file or samples, as for `transcribe`; of several channels the mean. It is
                computed at once, so minutes, not hours.
            text: what is said in it.
            rate: Hz of an array.

        Raises:
            DataError: symbols that the model does not have, or more of them than the audio has frames for.
        """
        import numpy as np

        from sewcli.alignment.alignment import align_utterance
        from sewcli.audio.streams import open_stream

        if isinstance(audio, str | Path):
            with open_stream(str(audio), mode="mix") as stream:
                wave = np.concatenate([block[:, 0] for block in stream.blocks])
        else:
            wave = _at_16k(audio, rate, "mix")[:, 0]
        with_ = self._transcriber
        seconds = len(wave) / SAMPLE_RATE
        found = align_utterance(
            _name(audio), self.emissions([wave])[0], text, self.vocabulary, with_.times, seconds=seconds
        )
        return [Word(word.text, word.start, word.end, word.confidence) for word in found.words]


def load(
    model: str | Path,
    *,
    lm: str | Path | None = None,
    lexicon: str | Path | None = None,
    words: str | Path | None = None,
    boost: str | Path | None = None,
    beam: int = 50,
    lm_weight: float = 2.0,
    word_score: float = -1.0,
    device: str = "auto",
    runtime: Runtime = "auto",
    precision: Precision = "auto",
) -> Recogniser:
    """Load a recogniser.

    Args:
        model: an experiment (`exp/NAME`), a model folder, a fairseq file, a graph of `sew quantize`, or a Hub id.
        lm: a KenLM `.bin`, `.arpa` or `.arpa.gz` for a beam search; None is greedy.
        lexicon: its words and their spellings; None looks beside it.
        words: a file of words that it lacks: `WORD`, `WORD<TAB>PROBABILITY` or with a spelling behind another tab.
        boost: a file of phrases to find likelier: `PHRASE` or `PHRASE<TAB>WEIGHT`.
        beam: hypotheses kept at each frame.
        lm_weight: of the language model's log10 probabilities.
        word_score: added for every word.
        device: auto, cpu, cuda or cuda:N.
        runtime: what computes the model; auto is OpenVINO for a graph, else PyTorch.
        precision: auto is fp32, on a GPU tf32.

    Raises:
        UsageError: no such model, or a device or package that is missing.
        DataError: files that are broken or do not fit each other.
    """
    from sewcli.base.device import choose_device
    from sewcli.decoding.beam import BeamOptions
    from sewcli.models.source import resolve
    from sewcli.runtimes.recogniser import RuntimeOptions
    from sewcli.transcription.transcriber import Transcriber

    options = BeamOptions(beam=beam, lm_weight=lm_weight, word_score=word_score)
    transcriber = Transcriber(
        resolve(model),
        str(lm) if lm else None,
        Path(lexicon) if lexicon else None,
        options,
        partial(choose_device, device),
        RuntimeOptions(runtime, precision),
        _bias(words, boost),
    )
    return Recogniser(transcriber)


def prepare(
    corpus: str,
    folder: str | Path,
    *,
    out: str | Path,
    parts: Sequence[str] | None = None,
    held_out: Mapping[str, Sequence[str]] | None = None,
    subsets: Sequence[tuple[str, float, int]] = (),
    jobs: int | None = None,
    force: bool = False,
) -> Splits:
    """Prepare a corpus into the data folder `out`, as `sew prep`.

    Args:
        corpus: `librispeech`, `tedlium3`, ...: what `sew prep --help` lists.
        folder: the corpus as it was unpacked.
        out: the data folder.
        parts: which; None is all that are there.
        held_out: librispeech alone: new splits by name, with the speakers that leave their parts for them.
        subsets: (name, hours, seed) of splits to draw from the train splits, balanced over speakers.
        jobs: threads and processes; None is all cores.
        force: prepare again what is done.

    Returns:
        The summary of each split by name: utterances, hours, speakers, words, rejected (see `rejected.jsonl`), published.

    Raises:
        UsageError: no such corpus, folder or part.
        DataError: a split without a single usable utterance.
    """
    from sewcli.corpora.recipes import prepare_corpus

    return prepare_corpus(
        corpus,
        Path(folder),
        Path(out),
        parts=parts,
        held_out=held_out,
        subsets=subsets,
        jobs=jobs,
        force=force,
    )


def align(
    model: str | Path,
    data: str | Path,
    splits: Sequence[str],
    *,
    out: str | Path,
    formats: Sequence[Literal["ctm", "textgrid"]] = ("ctm", "textgrid"),
    device: str = "auto",
) -> list[AlignedSplit]:
    """Align the transcripts of splits of a prepared corpus, as `sew align`; each gets the folder `out`/DATA-SPLIT.

    Returns:
        For each split its folder, the counts, and the utterances that failed with their reasons.

    Raises:
        DataError: a split of which no utterance could be aligned.
        UsageError: no such model or split.
    """
    from sewcli.alignment.corpus import align_corpus
    from sewcli.base.device import choose_device
    from sewcli.data.utterances import require_splits
    from sewcli.models.source import locate

    names = require_splits(Path(data), splits, default_prefix="")
    return align_corpus(
        locate(model), Path(data), names, out=Path(out), forms=formats, device=partial(choose_device, device)
    )


def decode(
    model: str | Path,
    data: str | Path,
    splits: Sequence[str],
    *,
    out: str | Path,
    lm: str | None = None,
    words: str | Path | None = None,
    boost: str | Path | None = None,
    beam: int = 50,
    lm_weight: float = 2.0,
    word_score: float = -1.0,
    jobs: int | None = 0,
    device: str = "auto",
) -> list[DecodedSplit]:
    """Decode splits of a prepared corpus, as `sew decode`; the hypotheses are in each folder's `hyps.jsonl`.

    jobs: decoder processes; 0 searches in this one. words, boost: files as in `load`.
    """
    from sewcli.base.device import choose_device
    from sewcli.decoding.beam import BeamOptions
    from sewcli.decoding.pipeline import decode as run
    from sewcli.models.source import locate

    options = BeamOptions(beam=beam, lm_weight=lm_weight, word_score=word_score)
    chosen = partial(choose_device, device)
    return run(
        locate(model),
        Path(data),
        splits,
        out=Path(out),
        device=chosen,
        lm=lm,
        options=options,
        bias=_bias(words, boost),
        jobs=jobs,
    )


def score(folder: str | Path, *, by_speaker: bool = False) -> dict[str, Any]:
    """Score a decode folder, as `sew score`: word and character error rates as fractions, intervals and counts."""
    from sewcli.scoring.score import score_folder

    return score_folder(Path(folder), by_speaker=by_speaker)


def pretrain(exp: str | Path, config: Mapping[str, Any], *, device: str = "auto") -> None:
    """Pre-train as `sew pretrain`; `config` holds what differs from the defaults, keys as `--print-config` shows them."""
    from sewcli.base.config import build
    from sewcli.training.config import PretrainConfig
    from sewcli.training.pretrain import run

    run(build(PretrainConfig, config), Path(exp), device)


def finetune(exp: str | Path, config: Mapping[str, Any], *, device: str = "auto") -> None:
    """Fine-tune as `sew finetune`; `config` holds what differs from the defaults, keys as `--print-config` shows them."""
    from sewcli.base.config import build
    from sewcli.training.config import FinetuneConfig
    from sewcli.training.finetune import run

    run(build(FinetuneConfig, config), Path(exp), device)


def _bias(words: str | Path | None, boost: str | Path | None) -> Bias:
    from sewcli.lm.bias import Bias

    return Bias(Path(words) if words else None, Path(boost) if boost else None)


def _name(audio: str | Path | np.ndarray) -> str:
    return str(audio) if isinstance(audio, str | Path) else "array"


def _segments(listeners: Sequence[Any], blocks: Iterator[np.ndarray], channels: Channels) -> Iterator[Segment]:
    split = channels == "split"
    for block in blocks:
        for number, listener in enumerate(listeners):
            yield from (
                _segment(line, number if split else None) for line in listener.accept_waveform(block[:, number])
            )
    for number, listener in enumerate(listeners):
        yield from (_segment(line, number if split else None) for line in listener.close())


def _segment(line: Any, channel: int | None) -> Segment:
    return Segment(tuple(Word(w.text, w.start, w.end, w.confidence) for w in line.words), channel)


def _at_16k(samples: np.ndarray, rate: int, channels: Channels) -> np.ndarray:
    """Samples (S,) or (S, channels) at any rate as float32 (S', 1 or channels) at 16 kHz."""
    import numpy as np

    from sewcli.audio.resample import to_16k

    wave = np.asarray(samples)
    if wave.ndim not in (1, 2) or wave.dtype.kind not in "fi":
        raise UsageError(
            "invalid-wave", "audio is a file's name, or an array of numbers of shape (S,) or (S, channels)"
        )
    if wave.dtype.kind == "i":
        wave = wave / -float(np.iinfo(wave.dtype).min)
    wave = np.asarray(wave, dtype=np.float32).reshape(len(wave), -1)
    if channels == "mix":
        wave = wave.mean(axis=1, keepdims=True, dtype=np.float32)
    if not np.isfinite(wave).all():
        raise UsageError("nan-samples", "the samples are not all finite numbers")
    return np.stack([to_16k(column, rate) for column in wave.T], axis=1)
