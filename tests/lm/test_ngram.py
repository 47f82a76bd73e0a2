"""Our estimator beside KenLM's: the golden files were written once by lmplz 0.3.0 (--discount_fallback) from the texts."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from sewcli.base.errors import DataError, UsageError
from sewcli.lm.arpa import read_header, write_arpa
from sewcli.lm.counts import BEGIN, BEGIN_ID, END_ID, UNKNOWN_ID
from sewcli.lm.ngram import FALLBACK, estimate, evaluate, score_tokens
from sewcli.lm.store import Store

GOLDEN = Path(__file__).parent / "golden"
PRINTED = 2e-6


def sentences(name: str) -> list[list[str]]:
    return [line.split() for line in (GOLDEN / f"{name}.txt").read_text().splitlines()]


def entries(path: Path) -> dict[str, tuple[float, float]]:
    """n-gram -> (log10 probability, log10 back-off or 0)."""
    found = {}
    content = path.read_bytes()
    for line in (gzip.decompress(content) if path.suffix == ".gz" else content).decode().splitlines():
        fields = line.split("\t")
        if len(fields) > 1:
            found[fields[1]] = (float(fields[0]), float(fields[2]) if len(fields) > 2 else 0.0)
    return found


@pytest.mark.parametrize("golden", sorted(path.name for path in GOLDEN.glob("*.arpa.gz")))
def test_every_ngram_is_kenlms(golden: str, tmp_path: Path) -> None:
    name, order, *prune = golden.removesuffix(".arpa.gz").split("-")
    thresholds = [int(n) for n in prune[0].removeprefix("prune").split(",")] if prune else []
    write_arpa(estimate(sentences(name), int(order), prune=thresholds), tmp_path / "own.arpa")
    own, theirs = entries(tmp_path / "own.arpa"), entries(GOLDEN / golden)
    assert own.keys() == theirs.keys()
    assert len(own) > 100
    for ngram in own.keys() - {BEGIN}:  # lmplz prints 0 for <s>, as we do
        assert own[ngram] == pytest.approx(theirs[ngram], abs=PRINTED), ngram
    assert own[BEGIN] == pytest.approx(theirs[BEGIN], abs=PRINTED)


def test_the_golden_texts_try_both_ways_of_discounting() -> None:
    assert FALLBACK not in estimate(sentences("text"), 6).discounts
    assert FALLBACK in estimate(sentences("small"), 4).discounts


@pytest.mark.parametrize("prune", [[], [0, 0, 1], [0, 1, 2, 3], [2]])
def test_probabilities_sum_to_one_after_any_context(prune: list[int]) -> None:
    model = estimate(sentences("text"), 4, prune=prune)
    words = [word for i, word in enumerate(model.words) if i >= 3]
    rng = np.random.default_rng(0)
    contexts = [sentences("text")[i][: rng.integers(1, 4)] for i in rng.integers(0, 320, 8)]
    contexts += [list(rng.choice(words, 2)), ["NEVERSEEN"], []]
    for context in contexts:
        # p(w | context) is the score of "context w" less that of "context", w going over the words, </s> and <unk>
        start = _score_without_end(model, context)
        total = sum(10 ** (_score_without_end(model, [*context, w]) - start) for w in [*words, "NEVERSEEN"])
        total += 10 ** (evaluate(model, [[*context]]).log10_probability - start) if context else 0.0
        if not context:
            total += 10 ** _end_of_an_empty_sentence(model)
        assert total == pytest.approx(1.0, abs=1e-9), context


def _score_without_end(model, words: list[str]) -> float:
    if not words:
        return 0.0
    return float(score_tokens(model, np.array([BEGIN_ID, *map(ids_of(model), words)]))[1:].sum())


def ids_of(model):
    ids = {word: number for number, word in enumerate(model.words)}
    return lambda word: ids.get(word, UNKNOWN_ID)


def _end_of_an_empty_sentence(model) -> float:
    return float(score_tokens(model, np.array([BEGIN_ID, END_ID]))[1])


def test_scores_are_kenlms_over_sentences_seen_and_not(tmp_path: Path) -> None:
    import kenlm  # of the dev extra: a test that cannot run here must fail

    model = estimate(sentences("text")[:200], 4)
    write_arpa(model, tmp_path / "4.arpa")
    theirs = kenlm.Model(str(tmp_path / "4.arpa"))
    for sentence in [*sentences("text")[180:260], ["NEVERSEEN", "AND", "NEVERSEEN"]]:
        own = evaluate(model, [sentence]).log10_probability
        assert own == pytest.approx(theirs.score(" ".join(sentence)), abs=5e-6), sentence


def test_unknown_words_are_counted_and_priced() -> None:
    model = estimate(sentences("text"), 3)
    known, unknown = evaluate(model, [["NOBODY"]]), evaluate(model, [["NEVERSEEN"]])
    assert (known.unknown, unknown.unknown, unknown.tokens) == (0, 1, 2)
    assert unknown.perplexity > unknown.perplexity_of_known > 1


def test_the_order_of_sentences_changes_no_byte_and_gzip_none(tmp_path: Path) -> None:
    text = sentences("text")
    write_arpa(estimate(text, 3), tmp_path / "a.arpa")
    write_arpa(estimate(reversed(text), 3), tmp_path / "b.arpa")
    write_arpa(estimate(text, 3), tmp_path / "c.arpa.gz")
    plain = (tmp_path / "a.arpa").read_bytes()
    assert (tmp_path / "b.arpa").read_bytes() == plain
    assert gzip.decompress((tmp_path / "c.arpa.gz").read_bytes()) == plain
    assert b"-0.0000000" not in plain
    packed = (tmp_path / "c.arpa.gz").read_bytes()
    write_arpa(estimate(text, 3), tmp_path / "c.arpa.gz")
    assert (tmp_path / "c.arpa.gz").read_bytes() == packed


def test_headers_of_own_and_of_lmplz_files() -> None:
    header = read_header(GOLDEN / "text-4.arpa.gz")
    assert (header.order, header.case) == (4, "upper")
    assert header.counts == tuple(estimate(sentences("text"), 4).counts)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not an ARPA file"),
        (b"hello\n", "not an ARPA file"),
        (b"\\data\\\nngram 1=x\n", "not an ARPA header line"),
        (b"\\data\\\nngram 1=5\n", "ends within its header"),
        ((GOLDEN / "text-4.arpa.gz").read_bytes()[:150], "cannot be read to its end"),
        (b"\xff\xfe\x00", "UTF-16 text, not UTF-8"),
    ],
)
def test_broken_files_are_named(content: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "broken.arpa"
    path.write_bytes(content)
    with pytest.raises(DataError, match=said) as caught:
        read_header(path)
    assert caught.value.where == path


@pytest.mark.parametrize("order", [0, 7])
def test_orders_that_kenlm_cannot_read_are_refused(order: int) -> None:
    with pytest.raises(UsageError, match="1 to 6"):
        estimate([["A"]], order)


@pytest.mark.parametrize("text", [[], [[]], [["A", "<s>"]], [["<unk>"]]])
def test_texts_without_words_or_with_marks_are_refused(text: list[list[str]]) -> None:
    with pytest.raises(DataError):
        estimate(text, 2)


def test_a_vocabulary_of_all_words_changes_nothing() -> None:
    text = sentences(sorted(GOLDEN.glob("*.txt"))[0].stem)
    free, limited = estimate(text, 3), estimate(text, 3, {word for line in text for word in line})
    assert free.words == limited.words and free.discounts == limited.discounts
    for ours, theirs in zip(free.tables, limited.tables, strict=True):
        assert np.array_equal(ours.probability, theirs.probability) and np.array_equal(ours.backoff, theirs.backoff)


def test_words_outside_a_vocabulary_count_as_unknown() -> None:
    text = sentences(sorted(GOLDEN.glob("*.txt"))[0].stem)
    seen = sorted({word for line in text for word in line})
    kept = [*seen[::2], "neverseen"]
    model = estimate(text, 2, kept)
    assert model.words == ("<unk>", "<s>", "</s>", *sorted(kept))
    unigrams, bigrams = model.tables
    assert (10**unigrams.probability).sum() == pytest.approx(2.0, abs=1e-9)  # <s> counts as certain
    assert unigrams.probability[0] > unigrams.probability[model.words.index("neverseen")]
    after = bigrams.key < len(model.words)  # what follows an unknown word: seen ones, and the rest by backing off
    seen_mass = (10 ** bigrams.probability[after]).sum()
    backed_off = np.delete(10**unigrams.probability, [BEGIN_ID, *bigrams.key[after]]).sum()
    assert seen_mass + 10 ** unigrams.backoff[0] * backed_off == pytest.approx(1.0, abs=1e-9)
    outside = sum(word not in kept for line in text for word in line)
    assert evaluate(model, text).unknown == outside > 0


@pytest.mark.parametrize("prune", [[], [0, 0, 1], [1, 2]])
@pytest.mark.parametrize("order", [1, 2, 4, 6])
def test_sorted_in_files_the_model_is_the_same_to_the_last_bit(order: int, prune: list[int], tmp_path: Path) -> None:
    text = sentences("text") * 2 + sentences("small")  # more rows than may be worked on at once
    prune = prune[:order]
    plenty, little = Store(tmp_path, 1 << 30), Store(tmp_path, 32 << 10)
    free = estimate(text, order, prune=prune, store=plenty)
    tight = estimate(text, order, prune=prune, store=little)
    assert plenty.spilled == 0 and little.spilled > sum(free.counts)
    assert sum(map(len, text)) > 4 * little.rows and not list(tmp_path.iterdir())
    assert (tight.words, tight.discounts, tight.counts) == (free.words, free.discounts, free.counts)
    for ours, theirs in zip(tight.tables, free.tables, strict=True):
        assert ours.key.tobytes() == theirs.key.tobytes()
        assert ours.probability.tobytes() == theirs.probability.tobytes()
        assert ours.backoff.tobytes() == theirs.backoff.tobytes()
    assert evaluate(tight, text) == evaluate(free, text)
    write_arpa(free, tmp_path / "free.arpa")
    write_arpa(tight, tmp_path / "tight.arpa")
    assert (tmp_path / "free.arpa").read_bytes() == (tmp_path / "tight.arpa").read_bytes()


@pytest.mark.parametrize("prune", [[1, 0], [0, 0, 0, 0], [0, 2, 1]])
def test_thresholds_that_fall_or_are_too_many_are_refused(prune: list[int]) -> None:
    with pytest.raises(UsageError, match="pruning thresholds"):
        estimate(sentences("small"), 3, prune=prune)


def test_no_discount_is_zero_as_no_reader_takes_its_backoff(tmp_path: Path) -> None:
    """4, 4 and 8 bigrams seen 1, 2 and 3 times: D_2 is 0, and a word seen twice would leave log 0 to all others."""
    text = [[word] for times, words in ((1, "ab"), (2, "cd"), (3, "efgh")) for word in words for _ in range(times)]
    model = estimate(text, 2)
    assert model.discounts[1] == FALLBACK
    write_arpa(model, tmp_path / "2gram.arpa")
    assert all(np.isfinite(pair).all() for pair in entries(tmp_path / "2gram.arpa").values())
