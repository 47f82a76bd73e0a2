"""Law: a folder that `transformers` reads gives its text here, in every verb, whatever the layout of its head."""

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest
import torch
from wild_folders import GAINS, KINDS, audio, build, expected, write_audio

from sewcli.alignment.alignment import FrameTimes, align_utterance
from sewcli.decoding.beam import BeamDecoder, BeamOptions
from sewcli.decoding.greedy import greedy
from sewcli.decoding.lexicon_free import LexiconFreeDecoder
from sewcli.lm.arpa import write_arpa
from sewcli.lm.files import LanguageModelFiles
from sewcli.lm.letters import spelled
from sewcli.lm.lexicon import write_lexicon
from sewcli.lm.ngram import estimate
from sewcli.models.folder import load_ctc
from sewcli.text.tokens import Vocabulary

Sew = Callable[..., CompletedProcess[str]]
KIN = [name for name in KINDS if name not in ("HuBERT", "processor_config alone", "phones")]
"""Kinds of the same network as "blank first", with the letters in the same or the other case."""
NORMALISED = [name for name in KIN if KINDS[name].extractor.get("do_normalize")]
PERMUTED = [
    name
    for name in KIN
    if name not in NORMALISED and name not in ("padded head", "shards", "fp16", "longer vocabulary", "no architectures")
]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A folder of a kind, built once."""
    root = tmp_path_factory.mktemp("wild")
    built: dict[str, Path] = {}

    def folder(name: str) -> Path:
        if name not in built:
            built[name] = build(KINDS[name], root / name.replace(" ", "-"))
        return built[name]

    return folder


def emission_of(folder: Path, wave: np.ndarray) -> tuple[np.ndarray, Vocabulary]:
    """Log-probabilities (T, V), and the symbols."""
    model, vocabulary = load_ctc(folder)
    with torch.inference_mode():
        output = model.eval()(torch.from_numpy(wave)[None], torch.tensor([len(wave)])).logits[0]
    return torch.log_softmax(output, 1).numpy(), vocabulary


@pytest.mark.fault(
    "report-1",
    "report-4",
    "report-5",
    "report-6",
    "report-7",
    "report-9",
    "report-11",
    "report-12",
    "report-13",
    "report-14",
    "report-15",
    "report-17",
    "report-20",
    "report-21",
    "report-22",
    "report-46",
)
@pytest.mark.parametrize("name", KINDS)
def test_the_text_is_that_of_transformers_at_every_level(
    name: str, folders: Callable[[str], Path], tmp_path: Path, sew_here: Sew
) -> None:
    folder, files = folders(name), write_audio(tmp_path)
    done = sew_here("transcribe", *files, "--model", folder, "--device", "cpu")
    assert done.returncode == 0, done.stderr
    lines = [line.partition(": ") for line in done.stdout.splitlines()]
    found = [" ".join(text for label, _, text in lines if label == str(file)) for file in files]
    assert found == [expected(folder, audio() * np.float32(gain)) for gain in GAINS]
    assert len(set(found[0])) > 12, "a text of few letters would prove little"


@pytest.fixture(scope="module")
def wave() -> np.ndarray:
    """Recorded loud enough that no normalisation matters much."""
    return audio()


@pytest.mark.fault("report-1", "report-2", "report-6", "report-11")
@pytest.mark.parametrize("name", PERMUTED)
def test_searches_and_alignment_are_those_of_the_same_weights_in_our_order(
    name: str, folders: Callable[[str], Path], wave: np.ndarray, tmp_path: Path
) -> None:
    """With a language model over a lexicon, letter by letter with and without a model, n-best, and forced alignment."""
    ours, letters = emission_of(folders("blank first"), wave)
    theirs, vocabulary = emission_of(folders(name), wave)
    text = letters.text(greedy(ours, letters.blank))
    words = text.split()
    for lexicon_free in (False, True):
        found = [
            [hypothesis.text.upper() for hypothesis in _search(own, at, words, tmp_path, lexicon_free, spoken)]
            for own, at, spoken in ((letters, ours, text), (vocabulary, theirs, text))
        ]
        assert found[0] == found[1] and len(found[0][0]) > 20
    times = FrameTimes(320, 40)
    spelled_out = " ".join(reversed(words))
    first, second = (
        align_utterance("u", at, own.text_form(spelled_out), own, times, 3.0)
        for own, at in ((letters, ours), (vocabulary, theirs))
    )
    assert [(w.text.upper(), w.start, w.end) for w in first.words] == [
        (w.text.upper(), w.start, w.end) for w in second.words
    ]
    assert np.allclose([w.confidence for w in first.words], [w.confidence for w in second.words], rtol=1e-4)
    assert abs(first.path.score - second.path.score) < 1e-3


def _search(vocabulary: Vocabulary, emission: np.ndarray, words: list[str], folder: Path, free: bool, text: str):
    """The best hypotheses: over a lexicon of the words and their reverses, or of letters."""
    known = [vocabulary.text_form(word) for word in (*words, *(word[::-1] for word in words))]
    sentences = [known, known[::2], known[1::2], known[::-1]]
    arpa = folder / "lm.arpa"
    model = estimate(spelled(sentences, vocabulary) if free else sentences, 2)
    write_arpa(model, arpa)
    options = BeamOptions(nbest=4, lexicon_free=free)
    if free:
        return LexiconFreeDecoder(arpa, vocabulary, options).decode("u", emission)
    write_lexicon(known, vocabulary, folder / "lexicon.txt")
    return BeamDecoder(LanguageModelFiles("lm", arpa, folder / "lexicon.txt"), vocabulary, options).decode(
        "u", emission
    )


@pytest.mark.fault("report-1", "report-2", "report-9", "report-11", "report-66")
@pytest.mark.parametrize("name", [n for n in KINDS if n not in ("shards", "fp16", "no architectures")])
def test_what_is_exported_has_the_same_text_here_and_in_transformers(
    name: str, folders: Callable[[str], Path], wave: np.ndarray, tmp_path: Path, sew_here: Sew
) -> None:
    folder = folders(name)
    text = expected(folder, wave)
    done = sew_here("export", folder, tmp_path / "again", "--format", "hf")
    assert done.returncode == 0, done.stderr
    assert expected(tmp_path / "again", wave) == text
    before, after = emission_of(folder, wave), emission_of(tmp_path / "again", wave)
    assert before[1] == after[1] and np.abs(before[0] - after[0]).max() < 1e-5
    assert after[1].text(greedy(*(after[0], after[1].blank))) == text
