"""Words and phrases beside a language model: --words and --boost."""

import functools
import math
from pathlib import Path

import numpy as np
import pytest
from support.speech_like import LETTERS, emission, frames

from sewcli.base.errors import DataError, UsageError
from sewcli.decoding.beam import BeamDecoder, BeamOptions
from sewcli.decoding.lexicon_free import LexiconFreeDecoder
from sewcli.decoding.phrase_graph import START, Pattern, PhraseGraph
from sewcli.decoding.plan import plan_decoder
from sewcli.decoding.pool import DecoderPool
from sewcli.lm.bias import WEIGHT, Bias, read_new_words
from sewcli.lm.files import LanguageModelFiles
from sewcli.scoring.wer import word_errors
from sewcli.text.tokens import Vocabulary

NAMES = ("QUIXABELLE", "ZORVANDIR", "THAXTONBURY", "JUBRILIAN")  # in no text


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def with_names(sentences: list[str]) -> list[str]:
    """Sentences of which a word in the middle is a name."""
    found = []
    for number, sentence in enumerate(s for s in sentences if len(s.split()) > 4):
        words = sentence.split()
        words[len(words) // 2] = NAMES[number % len(NAMES)]
        found.append(" ".join(words))
    return found[:24]


def extended(lm: LanguageModelFiles, words: dict[str, float], folder: Path) -> LanguageModelFiles:
    """The same model as an ARPA file with more unigrams, and its lexicon."""
    text = lm.model.read_text()
    count = int(text.split("ngram 1=")[1].split("\n")[0])
    rows = "".join(f"{math.log10(p):.7f}\t{word}\t0.0000000\n" for word, p in words.items())
    text = text.replace(f"ngram 1={count}\n", f"ngram 1={count + len(words)}\n")
    text = text.replace("\n\n\\2-grams:", f"\n{rows.rstrip()}\n\n\\2-grams:")
    lines = "".join(f"{word}\t{' '.join(word)} |\n" for word in words)
    return LanguageModelFiles(
        "more", write(folder / "more.arpa", text), write(folder / "lexicon.txt", lm.lexicon.read_text() + lines)
    )


def test_new_words_score_as_an_arpa_file_with_more_unigrams_would(
    lm: LanguageModelFiles, sentences: list[str], tmp_path: Path
) -> None:
    probabilities = {name: 10.0 ** -(3 + number) for number, name in enumerate(NAMES)}
    given = write(tmp_path / "words.txt", "".join(f"{name}\t{p:g}\n" for name, p in probabilities.items()))
    options = BeamOptions(nbest=5)
    ours = BeamDecoder(lm, LETTERS, options, Bias(words=given))
    theirs = BeamDecoder(extended(lm, probabilities, tmp_path), LETTERS, options)
    names = 0
    for seed, text in enumerate(with_names(sentences)):
        values = emission(text, noise=1.8, seed=seed)
        found, expected = ours.decode("u", values), theirs.decode("u", values)
        assert [h.text for h in found] == [h.text for h in expected]
        assert [h.score for h in found] == pytest.approx([h.score for h in expected], abs=1e-3)
        names += any(name in found[0].text.split() for name in NAMES)
    assert names > 15


def test_names_are_recognised_with_words_more_with_boost_and_nothing_else_changes(
    lm: LanguageModelFiles, sentences: list[str], tmp_path: Path
) -> None:
    words = write(tmp_path / "words.txt", "\n".join(NAMES))
    boost = write(tmp_path / "boost.txt", "\n".join(NAMES))
    said = [(text, emission(text, noise=2.4, seed=seed, peak=4.5)) for seed, text in enumerate(with_names(sentences))]
    others = [(text, emission(text, noise=2.4, seed=seed, peak=4.5)) for seed, text in enumerate(sentences[30:90])]
    share, elsewhere = [], []
    for bias in (Bias(), Bias(words), Bias(words, boost)):
        search = BeamDecoder(lm, LETTERS, BeamOptions(), bias)
        share.append(
            sum(set(NAMES) & set(text.split()) <= set(search.decode("u", v)[0].text.split()) for text, v in said)
        )
        found = [search.decode("u", value)[0].text for _, value in others]
        elsewhere.append(word_errors([text for text, _ in others], found).wer)
    assert share[0] == 0 < len(said) / 3 < share[1] < share[2]
    assert 0.1 < elsewhere[0] == elsewhere[1] == elsewhere[2]


def test_without_a_phrase_that_is_said_the_search_is_the_same_to_the_last_digit(
    lm: LanguageModelFiles, sentences: list[str], tmp_path: Path
) -> None:
    boost = write(tmp_path / "boost.txt", "ORCHARD ORCHARD\t0.3\n")
    plain, ours = BeamDecoder(lm, LETTERS, BeamOptions()), BeamDecoder(lm, LETTERS, BeamOptions(), Bias(boost=boost))
    for seed, text in enumerate(sentences[:20]):
        values = emission(text, noise=2.0, seed=seed)
        one, other = plain.decode("u", values)[0], ours.decode("u", values)[0]
        assert (one.text, one.score) == (other.text, pytest.approx(other.score, abs=1e-4))


def test_a_phrase_counts_its_weight_a_word_and_a_part_of_it_nothing(lm: LanguageModelFiles, tmp_path: Path) -> None:
    boost = Bias(boost=write(tmp_path / "boost.txt", "nobody knew why\t0.7\n"))
    plain, ours = BeamDecoder(lm, LETTERS, BeamOptions()), BeamDecoder(lm, LETTERS, BeamOptions(), boost)
    for said, times in (
        ("NOBODY|KNEW|WHY", 3),
        ("NOBODY|KNEW", 0),
        ("NOBODY|KNEW|NOBODY|KNEW|WHY", 3),
        ("KNEW|WHY", 0),
    ):
        values = frames(said, peak=0.999)
        before, after = plain.decode("u", values)[0], ours.decode("u", values)[0]
        assert after.text == before.text == said.replace("|", " ")
        assert after.score - before.score == pytest.approx(2.0 * 0.7 * times, abs=1e-3), said


def test_the_graph_pays_each_occurrence_once_whatever_overlaps() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        drawn = {tuple(rng.integers(0, 3, rng.integers(1, 5)).tolist()) for _ in range(rng.integers(1, 7))}
        weights = {phrase: float(rng.integers(1, 9)) / 4 for phrase in drawn}
        graph = PhraseGraph(
            Pattern(phrase, [weight * (n + 1) for n in range(len(phrase))]) for phrase, weight in weights.items()
        )
        text = tuple(rng.integers(0, 4, 30).tolist())
        state, total = START, 0.0
        for end, unit in enumerate(text, start=1):
            state, gain = graph.step(state, unit)
            total += gain
            ending = sum(w * len(p) * _count(text[:end], p) for p, w in weights.items())
            assert total >= ending - 1e-9  # a part of a phrase is paid for, never charged
        assert total + graph.end(state) == pytest.approx(ending)


def _count(text: tuple[int, ...], phrase: tuple[int, ...]) -> int:
    return sum(text[n : n + len(phrase)] == phrase for n in range(len(text) - len(phrase) + 1))


def test_a_search_without_a_lexicon_finds_phrases_at_word_boundaries_only(tmp_path: Path) -> None:
    bias = write(tmp_path / "boost.txt", "KNEW WHY\t0.5\n")
    plain, ours = (
        LexiconFreeDecoder(None, LETTERS, BeamOptions()),
        LexiconFreeDecoder(None, LETTERS, BeamOptions(), bias),
    )
    for said, words in (("KNEW|WHY", 2), ("HE|KNEW|WHY|NOT", 2), ("UNKNEW|WHY", 0), ("KNEW|WHYS", 0), ("KNEW", 0)):
        values = frames(said, peak=0.999)
        before, after = plain.decode("u", values)[0], ours.decode("u", values)[0]
        assert after.text == before.text == said.replace("|", " ")
        assert after.score - before.score == pytest.approx(2.0 * 0.5 * words, abs=1e-3), said


def test_a_search_without_a_lexicon_finds_phrases_anywhere_in_a_script_without_blanks(tmp_path: Path) -> None:
    symbols = Vocabulary(("<pad>", *"今天气很好在"))
    values = np.full((5, len(symbols)), 0.02, dtype=np.float32)
    for frame, character in enumerate("今天气很好"):
        values[frame, symbols.tokens.index(character)] = 1 - 0.02 * 6
    bias = write(tmp_path / "boost.txt", "天气\t0.5\n天在\t0.1\n")
    plain, ours = (
        LexiconFreeDecoder(None, symbols, BeamOptions(), b).decode("u", np.log(values))[0] for b in (None, bias)
    )
    assert plain.text == ours.text == "今天气很好"
    assert ours.score - plain.score == pytest.approx(2.0 * 0.5 * 2, abs=1e-4)


def test_words_may_have_a_probability_and_a_spelling_in_any_case(tmp_path: Path) -> None:
    path = write(tmp_path / "words.txt", "# names\nxavier\nZoe\t1e-4\nSAOIRSE\t\tS E R S H A |\n\nXi\t0.5\tZ I |\n")
    found = [
        (new.word, "".join(LETTERS.tokens[i] for i in new.spelling), new.log10) for new in read_new_words(path, LETTERS)
    ]
    assert found == [
        ("xavier", "XAVIER|", None),
        ("Zoe", "ZOE|", -4.0),
        ("SAOIRSE", "SERSHA|", None),
        ("Xi", "ZI|", pytest.approx(math.log10(0.5))),
    ]


def test_a_word_with_another_spelling_is_written_as_it_is(lm: LanguageModelFiles, tmp_path: Path) -> None:
    words = Bias(words=write(tmp_path / "words.txt", "Saoirse\t0.01\tS E R S H A |\nnobody\t\tN O B O D I |\n"))
    search = BeamDecoder(lm, LETTERS, BeamOptions(), words)
    assert search.decode("u", frames("SERSHA|KNEW|NOBODI", peak=0.999))[0].text == "SAOIRSE KNEW NOBODY"


@pytest.mark.parametrize(
    ("kind", "content", "said"),
    [
        ("words", "NEW YORK\n", "line 1: 'NEW YORK' is 2 words"),
        ("words", "YORK\ttwice\n", "line 1: 'twice' is not a probability"),
        ("words", "YORK\t1.5\n", "line 1: '1.5' is not a probability"),
        ("words", "A\t0.1\tA |\t\t\n", "line 1: 5 columns"),
        ("words", "\n", "no word that can be spelled"),
        ("words", "Ελλάδα\n", "no word that can be spelled"),
        ("boost", "KNEW\tnan\n", "line 1: the weight 'nan'"),
        ("boost", "KNEW\t-1\n", "line 1: the weight '-1'"),
        ("boost", "KNEW\t1\nknew\t2\n", "line 2: 'knew' has another weight"),
        ("boost", "\tKNEW\n", "line 1 begins with a tab"),
        ("boost", "QUIXABELLE SAID\n", "1 of 1 phrases with words that the lexicon lacks: 'QUIXABELLE SAID'"),
        ("boost", "# nothing\n", "no phrase"),
    ],
)
def test_lines_of_another_form_are_refused_by_their_number(
    kind: str, content: str, said: str, lm: LanguageModelFiles, tmp_path: Path
) -> None:
    with pytest.raises(DataError) as caught:
        BeamDecoder(lm, LETTERS, BeamOptions(), Bias(**{kind: write(tmp_path / "given.txt", content)}))
    assert said in caught.value.what and str(caught.value.where).endswith("given.txt") and caught.value.hint


def test_phrases_with_unknown_words_are_listed_and_the_others_used(
    lm: LanguageModelFiles, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bias = Bias(boost=write(tmp_path / "boost.txt", "NOBODY KNEW\nQUIXABELLE\n"))
    search = BeamDecoder(lm, LETTERS, BeamOptions(), bias)
    assert "1 of 2 phrases" in " ".join(capsys.readouterr().err.split())
    values = frames("NOBODY|KNEW", peak=0.999)
    gain = search.decode("u", values)[0].score - BeamDecoder(lm, LETTERS, BeamOptions()).decode("u", values)[0].score
    assert gain == pytest.approx(2.0 * 2 * WEIGHT, abs=1e-3)


def test_searches_that_would_not_look_at_them_refuse_words_and_phrases_by_name(
    lm: LanguageModelFiles, tmp_path: Path
) -> None:
    data, words, boost = lm.model.parents[1], write(tmp_path / "w.txt", "ABC"), write(tmp_path / "b.txt", "WHY")
    for given in (None, "viterbi"):
        with pytest.raises(UsageError, match="--words needs a beam search"):
            plan_decoder(given, data, LETTERS, BeamOptions(), Bias(words, boost))
        with pytest.raises(UsageError, match="--boost needs a beam search"):
            plan_decoder(given, data, LETTERS, BeamOptions(), Bias(boost=boost))
    with pytest.raises(UsageError, match="--words adds to a lexicon"):
        plan_decoder(None, data, LETTERS, BeamOptions(lexicon_free=True), Bias(words))
    with pytest.raises(UsageError, match="no such list"):
        Bias(tmp_path / "none.txt")


def test_other_content_is_another_result_of_another_name(lm: LanguageModelFiles, tmp_path: Path) -> None:
    path = write(tmp_path / "w.txt", "QUIXABELLE")
    plans = [plan_decoder("3gram", lm.model.parents[1], LETTERS, BeamOptions())]
    for content in ("QUIXABELLE", "ZORVANDIR"):
        plans.append(plan_decoder("3gram", lm.model.parents[1], LETTERS, BeamOptions(), Bias(write(path, content))))
        assert plans[-1].settings()["words"]["file"] == str(path)
    plans.append(plan_decoder("3gram", lm.model.parents[1], LETTERS, BeamOptions(), Bias(boost=path)))
    del plans[2:3]
    assert len({plan.name for plan in plans}) == 3 and plans[0].name == "3gram-beam50"


def test_the_processes_of_a_pool_decode_with_them(lm: LanguageModelFiles, tmp_path: Path) -> None:
    bias = Bias(write(tmp_path / "w.txt", "ZORVANDIR"), write(tmp_path / "b.txt", "ZORVANDIR KNEW"))
    values = frames("ZORVANDIR|KNEW", peak=0.99)
    with DecoderPool(functools.partial(BeamDecoder, lm, LETTERS, BeamOptions(), bias), 1) as pool:
        found = [*pool.put("u", values), *pool.drain()]
    assert found[0].hypotheses == BeamDecoder(lm, LETTERS, BeamOptions(), bias).decode("u", values)
    assert found[0].hypotheses[0].text == "ZORVANDIR KNEW"
