"""`--search wav2letter` is the decoder of the papers: flashlight with the settings that fairseq gave it, and nothing added."""

from pathlib import Path

import numpy as np
import pytest

from sewcli.decoding import beam
from sewcli.decoding.beam import EXHAUSTIVE, WAV2LETTER, BeamDecoder, BeamOptions
from sewcli.decoding.plan import plan_decoder
from sewcli.lm.build import build_ngram
from sewcli.lm.files import LanguageModelFiles, resolve
from sewcli.text.tokens import Vocabulary

TEXT = Path(__file__).parents[1] / "lm" / "golden" / "text.txt"
LETTERS = Vocabulary.letters()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    build_ngram([TEXT], 3, folder, None)
    return folder


@pytest.fixture(scope="module")
def files(data: Path) -> LanguageModelFiles:
    return resolve("3gram", data, LETTERS)


def emission(text: str, noise: float, seed: int, *, boundary: bool) -> np.ndarray:
    """(T, 32): letters of one or two frames, some boundaries of two, blanks between; `boundary`: one at the end."""
    rng = np.random.default_rng(seed)
    path = [LETTERS.blank]
    for symbol in LETTERS.encode(text) + [LETTERS.boundary] * boundary:
        path += [symbol] * int(rng.integers(1, 3)) + [LETTERS.blank] * int(rng.integers(0, 3))
    logits = noise * rng.normal(0, 1, (len(path), len(LETTERS)))
    logits[np.arange(len(path)), path] += 6
    return (logits - np.log(np.exp(logits).sum(1, keepdims=True))).astype(np.float32)


def papers_decoder(files: LanguageModelFiles, size: int, lm_weight: float, word_score: float):
    """fairseq's W2lKenLMDecoder, line by line, on flashlight: every symbol, threshold 25, silence = blank."""
    from flashlight.lib.text import decoder as fl
    from flashlight.lib.text.decoder.kenlm import KenLM
    from flashlight.lib.text.dictionary import create_word_dict, load_words

    silence = blank = LETTERS.blank
    lexicon = load_words(str(files.lexicon))
    words = create_word_dict(lexicon)
    model = KenLM(str(files.model), words)
    trie = fl.Trie(len(LETTERS), silence)
    start = model.start(False)
    for word, spellings in lexicon.items():
        index = words.get_index(word)
        for spelling in spellings:
            trie.insert([LETTERS.tokens.index(s) for s in spelling], index, model.score(start, index)[1])
    trie.smear(fl.SmearingMode.MAX)
    options = fl.LexiconDecoderOptions(
        beam_size=size,
        beam_size_token=len(LETTERS),
        beam_threshold=25.0,
        lm_weight=lm_weight,
        word_score=word_score,
        unk_score=float("-inf"),
        sil_score=0.0,
        log_add=False,
        criterion_type=fl.CriterionType.CTC,
    )
    search = fl.LexiconDecoder(options, trie, model, silence, blank, words.get_index("<unk>"), [], False)
    keep = (trie, model, words)  # flashlight keeps no references

    def decode(values: np.ndarray) -> list[tuple[str, float]]:
        found = search.decode(values.ctypes.data, *values.shape)
        assert keep
        return [(" ".join(words.get_entry(w) for w in one.words if w >= 0), one.score) for one in found]

    return decode


@pytest.mark.fault("F8")
@pytest.mark.parametrize(("size", "lm_weight", "word_score"), [(50, 2.0, -1.0), (5, 0.87, 1.5)])
def test_texts_and_scores_are_those_of_the_papers_decoder(
    size: int, lm_weight: float, word_score: float, files: LanguageModelFiles
) -> None:
    options = BeamOptions(beam=size, lm_weight=lm_weight, word_score=word_score, nbest=4, **WAV2LETTER)
    ours, theirs = BeamDecoder(files, LETTERS, options), papers_decoder(files, size, lm_weight, word_score)
    other = BeamDecoder(
        files, LETTERS, BeamOptions(beam=size, lm_weight=lm_weight, word_score=word_score, **EXHAUSTIVE)
    )
    sentences = TEXT.read_text().splitlines()
    differ = 0
    for n in range(60):
        noise = 0.3 + 2.5 * (n % 3)  # never 0: between equal scores flashlight decides by the addresses of its states
        values = emission(sentences[n % len(sentences)], noise, n, boundary=n % 2 == 0)
        found, reference = ours.decode(f"u{n}", values), theirs(values)
        assert (found[0].text, found[0].score) == reference[0]
        distinct = list(dict.fromkeys(text for text, _ in reference))
        assert [h.text for h in found] == distinct[: len(found)] and len(found) == min(4, len(distinct))
        differ += other.decode(f"u{n}", values)[0].text != found[0].text
    assert differ > 10  # a last word without a boundary is lost, among others


@pytest.mark.fault("F8")
def test_a_long_utterance_is_searched_in_one_piece(files: LanguageModelFiles, monkeypatch) -> None:
    sentences = TEXT.read_text().splitlines()
    values = np.concatenate([emission(text, 1.0, n, boundary=True) for n, text in enumerate(sentences)])[:2500]
    assert len(values) == 2500  # beyond 1800 frames the other search may go piece by piece
    monkeypatch.setattr(beam, "PIECE", 0)
    found = BeamDecoder(files, LETTERS, BeamOptions(beam=4, **WAV2LETTER)).decode("u", values)[0]
    assert (found.text, found.score) == papers_decoder(files, 4, 2.0, -1.0)(values)[0]


@pytest.mark.fault("F8")
def test_its_settings_are_named(data: Path) -> None:
    plan = plan_decoder("3gram", data, LETTERS, BeamOptions(**WAV2LETTER))
    assert plan.name == "3gram-beam50-wav2letter"
    settings = plan.settings()
    assert (settings["search"], settings["threshold"], settings["beam_tokens"]) == ("wav2letter", 25.0, None)
    others = [BeamOptions(), BeamOptions(**EXHAUSTIVE)]
    names = {plan.name, *(plan_decoder("3gram", data, LETTERS, options).name for options in others)}
    assert names == {"3gram-beam50-wav2letter", "3gram-beam50", "3gram-beam50-exhaustive"}
    with pytest.raises(ValueError, match="wav2letter goes with"):
        BeamOptions(search="wav2letter")


@pytest.mark.fault("F8")
@pytest.mark.parametrize("more", [(), ("--lm", "viterbi"), ("--lm", "3gram", "--lexicon-free")])
def test_it_needs_a_lexicon(more: tuple[str, ...], sew_here) -> None:
    done = sew_here("decode", "--search", "wav2letter", *more)
    assert done.returncode == 2 and "a beam search over a lexicon" in done.stderr
