"""The search without a lexicon: flashlight's own result, its parts, its words, and models that do not fit it."""

from pathlib import Path

import numpy as np
import pytest
from support.speech_like import LETTERS, emission, frames

from sewcli.base.errors import DataError
from sewcli.decoding.beam import EXHAUSTIVE, IMPOSSIBLE, BeamDecoder, BeamOptions
from sewcli.decoding.greedy import greedy
from sewcli.decoding.lexicon_free import LexiconFreeDecoder
from sewcli.decoding.nbest import LN10
from sewcli.lm.arpa import write_arpa
from sewcli.lm.files import LanguageModelFiles
from sewcli.lm.ngram import estimate
from sewcli.scoring.wer import word_errors


def spelled(text: str) -> list[str]:
    return [symbol for word in text.split() for symbol in (*word, "|")]


@pytest.fixture(scope="module")
def letter_model(sentences: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("letters") / "6gram-letter.arpa"
    write_arpa(estimate([spelled(sentence) for sentence in sentences], 6), path)
    return path


def plain_flashlight(model: Path | None, values: np.ndarray, weight: float) -> tuple[str, float]:
    """flashlight's lexicon-free decoder with a few lines of its own around it."""
    import torch
    from flashlight.lib.text import decoder as fl
    from flashlight.lib.text.decoder.kenlm import KenLM
    from flashlight.lib.text.dictionary import Dictionary

    tokens = Dictionary(list(LETTERS.tokens))
    lm = fl.ZeroLM() if model is None else KenLM(str(model), tokens)
    options = fl.LexiconFreeDecoderOptions(50, 32, 25.0, weight, 0.0, False, fl.CriterionType.CTC)
    search = fl.LexiconFreeDecoder(options, lm, LETTERS.boundary, LETTERS.blank, [])
    end = np.full((1, 32), -1e4, dtype=np.float32)
    end[0, [0, 4]] = 0
    values = np.concatenate([values, end])
    values[:, [1, 2, 3]] = -1e4
    best = search.decode(torch.from_numpy(values).data_ptr(), *values.shape)[0]
    symbols, before = [], None
    for token in best.tokens[1:-1]:
        if token not in (before, 0):
            symbols.append(LETTERS.tokens[token])
        before = token
    return " ".join("".join(symbols).replace("|", " ").split()), best.score


@pytest.mark.parametrize(("with_model", "weight"), [(True, 2.0), (True, 0.8), (False, 2.0)])
def test_texts_and_scores_are_those_of_flashlight_called_plainly(
    with_model: bool, weight: float, letter_model: Path, sentences: list[str]
) -> None:
    model = letter_model if with_model else None
    options = BeamOptions(lm_weight=weight, word_score=0, lexicon_free=True, **EXHAUSTIVE)
    decoder = LexiconFreeDecoder(model, LETTERS, options)
    for seed, text in enumerate(sentences[:8]):
        values = emission(text, noise=2.0, seed=seed)
        found = decoder.decode("u", values)[0]
        assert (found.text, found.score) == plain_flashlight(model, values, weight)


def test_the_parts_of_a_score_add_up_and_the_lm_is_kenlms(letter_model: Path, sentences: list[str]) -> None:
    import kenlm

    reference = kenlm.Model(str(letter_model))
    options = BeamOptions(nbest=20, word_score=0, lexicon_free=True)
    seen = 0
    for seed, text in enumerate(sentences[:6]):
        for found in LexiconFreeDecoder(letter_model, LETTERS, options).decode("u", emission(text, noise=2, seed=seed)):
            assert found.score == pytest.approx(found.total(2.0, 0.0), abs=1e-3)
            scores = {reference.score(" ".join(spelled(found.text)[:cut])) * LN10 for cut in (None, -1)}
            assert any(found.lm == pytest.approx(score, rel=1e-5) for score in scores)
            seen += 1
    assert seen > 20


def test_letters_are_mended_and_words_outside_a_lexicon_are_written(
    letter_model: Path, lm: LanguageModelFiles, sentences: list[str]
) -> None:
    decoder = LexiconFreeDecoder(letter_model, LETTERS, BeamOptions(word_score=0, lexicon_free=True))
    texts = sentences[:25]
    values = [emission(text, noise=2.0, seed=seed) for seed, text in enumerate(texts)]
    greedily = word_errors(texts, [LETTERS.text(greedy(v, blank=0)) for v in values]).wer
    searched = word_errors(texts, [decoder.decode("u", v)[0].text for v in values]).wer
    assert greedily > 0.15 and searched < greedily / 2
    name = "NOBODY|KNEW|ZANTHIRA"
    assert decoder.decode("u", frames(name, peak=0.999))[0].text == "NOBODY KNEW ZANTHIRA"
    assert "ZANTHIRA" not in BeamDecoder(lm, LETTERS, BeamOptions()).decode("u", frames(name, peak=0.999))[0].text


def test_without_a_model_clear_emissions_give_the_greedy_text_and_no_lm_score(sentences: list[str]) -> None:
    decoder = LexiconFreeDecoder(None, LETTERS, BeamOptions(word_score=0, nbest=5, lexicon_free=True))
    for seed, text in enumerate(sentences[:5]):
        values = emission(text, noise=0.5, seed=seed)
        found = decoder.decode("u", values)
        assert found[0].text == LETTERS.text(greedy(values, blank=0)) == text
        assert all(h.lm is None and h.score == pytest.approx(h.am, abs=1e-3) for h in found) and len(found) > 1


def test_symbols_that_no_text_has_are_not_written(letter_model: Path) -> None:
    decoder = LexiconFreeDecoder(letter_model, LETTERS, BeamOptions(word_score=0, lexicon_free=True))
    values = frames("NO", peak=0.999)
    values[1, [1, LETTERS.tokens.index("O")]] = values[1, [LETTERS.tokens.index("O"), 1]]  # `<s>` is heard, not O
    closed = values.copy()
    closed[:, 1:4] = IMPOSSIBLE
    assert decoder.decode("u", values) == decoder.decode("u", closed)
    assert decoder.decode("u", values)[0].am < -5  # of another symbol of that frame, all of which are unlikely


def test_a_model_of_words_is_refused_with_the_mend(lm: LanguageModelFiles) -> None:
    with pytest.raises(DataError, match="no model of letters") as caught:
        LexiconFreeDecoder(lm.model, LETTERS, BeamOptions(lexicon_free=True))
    assert caught.value.where == lm.model and "--unit letter" in str(caught.value.hint)


def test_letters_in_another_case_are_refused(sentences: list[str], tmp_path: Path) -> None:
    path = tmp_path / "lower.arpa"
    write_arpa(estimate([spelled(sentence.lower()) for sentence in sentences[:50]], 3), path)
    with pytest.raises(DataError, match="few of the letters"):
        LexiconFreeDecoder(path, LETTERS, BeamOptions(lexicon_free=True))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_and_infinity_are_refused_here_too(bad: float, letter_model: Path) -> None:
    values = frames("NOBODY")
    values[2, 3] = bad
    with pytest.raises(DataError):
        LexiconFreeDecoder(letter_model, LETTERS, BeamOptions(lexicon_free=True)).decode("u", values)
