"""The beam search is flashlight's, and each trap of flashlight is closed (see facts in beam.py's docstring)."""

import functools
import shutil
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.refusals import refused
from support.speech_like import LETTERS, emission, frames

from sewcli.base.errors import DataError
from sewcli.decoding import beam
from sewcli.decoding.beam import EXHAUSTIVE, BeamDecoder, BeamOptions, Search
from sewcli.decoding.greedy import greedy
from sewcli.decoding.lexicon_free import LexiconFreeDecoder
from sewcli.decoding.pool import DecoderPool
from sewcli.decoding.weights import Weights
from sewcli.lm.arpa import write_arpa
from sewcli.lm.files import LanguageModelFiles
from sewcli.lm.lexicon import write_lexicon
from sewcli.lm.ngram import estimate
from sewcli.scoring.wer import word_errors
from sewcli.text.tokens import Vocabulary

THRESHOLD = 15.0  # of the papers' weights
LITTLE = BeamOptions(threshold=4.0)


@pytest.fixture(scope="module")
def decoder(lm: LanguageModelFiles) -> BeamDecoder:
    return BeamDecoder(lm, LETTERS, BeamOptions())


class PlainFlashlight:
    """flashlight as its own examples call it, with the papers' settings."""

    def __init__(self, lm: LanguageModelFiles, tokens: int, threshold: float) -> None:
        from flashlight.lib.text import decoder as fl
        from flashlight.lib.text.decoder.kenlm import KenLM
        from flashlight.lib.text.dictionary import create_word_dict, load_words

        lexicon = load_words(str(lm.lexicon))
        self.words = create_word_dict(lexicon)
        self.model = KenLM(str(lm.model), self.words)
        self.trie = fl.Trie(len(LETTERS), LETTERS.boundary)
        start = self.model.start(False)
        for word, spellings in lexicon.items():
            index = self.words.get_index(word)
            for spelling in spellings:
                symbols = [LETTERS.tokens.index(s) for s in spelling]
                self.trie.insert(symbols, index, self.model.score(start, index)[1])
        self.trie.smear(fl.SmearingMode.MAX)
        options = fl.LexiconDecoderOptions(
            50, tokens, threshold, 2.0, -1.0, float("-inf"), 0.0, False, fl.CriterionType.CTC
        )
        unknown = self.words.get_index("<unk>")
        self.search = fl.LexiconDecoder(
            options, self.trie, self.model, LETTERS.boundary, LETTERS.blank, unknown, [], False
        )

    def decode(self, values: np.ndarray) -> tuple[str, float]:
        import torch

        tensor = torch.from_numpy(values)
        best = self.search.decode(tensor.data_ptr(), *tensor.shape)[0]
        return " ".join(self.words.get_entry(w) for w in best.words if w >= 0), best.score


def with_end(values: np.ndarray) -> np.ndarray:
    """A frame in which a boundary or a blank costs nothing: ours adds it."""
    end = np.full((1, 32), beam.IMPOSSIBLE, dtype=np.float32)
    end[0, [0, 4]] = 0
    return np.concatenate([values, end])


@pytest.mark.parametrize(
    ("options", "choices", "limit"), [(BeamOptions(**EXHAUSTIVE), [32], 25.0), (BeamOptions(), [5, 10, 32], THRESHOLD)]
)
def test_texts_and_scores_of_500_utterances_are_those_of_flashlight_called_plainly(
    options: BeamOptions, choices: list[int], limit: float, lm: LanguageModelFiles, sentences: list[str]
) -> None:
    """Through the pool of processes, as `sew decode` does; half of them noisy."""
    plain = {tokens: PlainFlashlight(lm, tokens, limit) for tokens in choices}
    tokens = BeamDecoder(lm, LETTERS, options).tokens
    seen = set()
    rng = np.random.default_rng(5)
    texts = [" ".join(rng.permutation(sentences[n % len(sentences)].split())) for n in range(500)]
    values = {
        f"u{n}": emission(text, noise=2.2 * (n % 2), seed=n, peak=5 + 5 * (n % 4)) for n, text in enumerate(texts)
    }
    found = {}
    with DecoderPool(functools.partial(BeamDecoder, lm, LETTERS, options), 2) as pool:
        for name, value in values.items():
            found |= {d.name: d.hypotheses[0] for d in pool.put(name, value)}
        found |= {d.name: d.hypotheses[0] for d in pool.drain()}
    assert len({found[name].text for name in values}) > 400
    for name, value in values.items():
        seen.add(count := tokens(value))
        assert (found[name].text, found[name].score) == plain[count].decode(with_end(value)), name
    assert seen == set(choices)


def test_the_score_is_the_sum_it_is_said_to_be(decoder: BeamDecoder, lm: LanguageModelFiles) -> None:
    import kenlm  # of the dev extra: a test that cannot run here must fail

    # With one peak near 1 a frame, the best path is the spelling's and its acoustic score the sum of the peaks.
    values = frames("NOBODY|KNEW|WHY", peak=0.999)
    found = decoder.decode("u", values)[0]
    assert found.text == "NOBODY KNEW WHY"
    expected = 15 * np.log(0.999) + 2.0 * kenlm.Model(str(lm.model)).score(found.text) - 1.0 * 3
    assert found.score == pytest.approx(expected, abs=1e-3)


def test_the_language_model_mends_what_noise_breaks(decoder: BeamDecoder, sentences: list[str]) -> None:
    texts = sentences[:30]
    values = [emission(text, noise=2.2, seed=seed) for seed, text in enumerate(texts)]
    greedily = word_errors(texts, [LETTERS.text(greedy(v, blank=0)) for v in values]).wer
    searched = word_errors(texts, [decoder.decode("u", v)[0].text for v in values]).wer
    assert greedily > 0.2
    assert searched < greedily / 3


def test_a_model_in_lower_case_writes_the_letters_of_the_recogniser(
    lm: LanguageModelFiles, decoder: BeamDecoder, sentences: list[str], tmp_path: Path
) -> None:
    model = estimate([sentence.lower().split() for sentence in sentences], 3)
    write_arpa(model, tmp_path / "lower.arpa")
    write_lexicon([w for w in model.words if "<" not in w], LETTERS, tmp_path / "lexicon.txt")
    lower = BeamDecoder(
        LanguageModelFiles("lower", tmp_path / "lower.arpa", tmp_path / "lexicon.txt"), LETTERS, BeamOptions()
    )
    for seed, text in enumerate(sentences[:6]):
        values = emission(text, noise=2.0, seed=seed)
        assert lower.decode("u", values)[0].text == decoder.decode("u", values)[0].text


def test_a_word_that_ends_with_the_audio_is_kept_at_no_price(decoder: BeamDecoder) -> None:
    without, with_it = (decoder.decode("u", frames(s))[0] for s in ("NOBODY|KNEW|WHY", "NOBODY|KNEW|WHY|"))
    assert without.text == with_it.text == "NOBODY KNEW WHY"
    assert with_it.score - without.score == pytest.approx(np.log(0.9), abs=1e-4)


def test_a_boundary_may_last_several_frames_and_stand_at_the_start(decoder: BeamDecoder) -> None:
    once, often = (decoder.decode("u", frames(s))[0] for s in ("NOBODY|KNEW", "||NOBODY|||KNEW||"))
    assert often.text == once.text == "NOBODY KNEW"
    assert often.score - once.score == pytest.approx(6 * np.log(0.9), abs=1e-4)


def test_any_float_type_and_memory_layout_gives_the_same(decoder: BeamDecoder, sentences: list[str]) -> None:
    values = emission(sentences[0], noise=1.5)
    expected = decoder.decode("u", values)
    assert decoder.decode("u", values.astype(np.float64)) == expected
    assert decoder.decode("u", np.asfortranarray(values)) == expected
    assert decoder.decode("u", np.repeat(values, 2, axis=1)[:, ::2]) == expected


def test_no_frames_and_only_blanks_are_empty_texts(decoder: BeamDecoder) -> None:
    assert decoder.decode("u", np.zeros((0, 32), dtype=np.float32))[0].text == ""
    assert decoder.decode("u", frames("____"))[0].text == ""


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_and_infinity_name_the_utterance(bad: float, decoder: BeamDecoder) -> None:
    values = frames("NOBODY")
    values[3, 7] = bad
    with pytest.raises(DataError) as caught:
        decoder.decode("utterance-7", values)
    assert caught.value.where == "utterance-7"


def test_what_is_no_distribution_over_these_symbols_is_refused(decoder: BeamDecoder) -> None:
    with refused(DataError, "nan-emissions"):
        decoder.decode("u", np.full((5, 32), -np.inf, dtype=np.float32))
    with pytest.raises(DataError, match="32 symbols"):
        decoder.decode("u", np.zeros((5, 31), dtype=np.float32))
    one_impossible = frames("NOBODY")
    one_impossible[2, 9] = -np.inf
    assert decoder.decode("u", one_impossible)[0].text == "NOBODY"


def test_the_fast_search_makes_no_more_errors_than_the_exhaustive_one(
    lm: LanguageModelFiles, sentences: list[str]
) -> None:
    texts = sentences[:150]
    values = [emission(text, noise=2.6, seed=seed) for seed, text in enumerate(texts)]
    rates = {}
    for name, options in {"fast": BeamOptions(), "wide": BeamOptions(**EXHAUSTIVE), "too little": LITTLE}.items():
        search = BeamDecoder(lm, LETTERS, options)
        rates[name] = word_errors(texts, [search.decode("u", value)[0].text for value in values]).wer
    assert 0.02 < rates["fast"] <= rates["wide"] < rates["too little"]


def test_as_many_symbols_are_tried_as_hold_nearly_all_of_the_probability(lm: LanguageModelFiles) -> None:
    search = BeamDecoder(lm, LETTERS, BeamOptions())
    sure = frames("NOBODY|KNEW", peak=0.999)
    assert search.tokens(sure) == 5
    half = np.log(np.where(np.arange(32) < 12, 0.99 / 12, 0.01 / 20)).astype(np.float32)[None].repeat(50, axis=0)
    assert search.tokens(half) == search.tokens(np.concatenate([half, *[sure] * 20])) == 20  # 12 symbols have 99 %
    assert search.tokens(np.full((5, 32), -np.log(32), dtype=np.float32)) == 32
    assert BeamDecoder(lm, LETTERS, BeamOptions(**EXHAUSTIVE)).tokens(sure) == 32


def test_more_weight_of_the_model_gives_its_guesses_more_room() -> None:
    reach = BeamOptions().reach
    assert reach(Weights(2.0, -1.0)) == THRESHOLD
    assert reach(Weights(4.0, -1.0)) > THRESHOLD > reach(Weights(1.0, -1.0)) > reach(Weights(0.0, 0.0)) > 5
    assert BeamOptions(threshold=7.0).reach(Weights(4.0, -1.0)) == 7.0


@pytest.mark.parametrize(
    ("search", "options"),
    [
        (BeamDecoder, BeamOptions(nbest=5)),
        (BeamDecoder, BeamOptions(log_add=True, **EXHAUSTIVE)),
        (BeamDecoder, BeamOptions(beam=300)),
        (LexiconFreeDecoder, BeamOptions()),
    ],
)
def test_in_pieces_a_long_utterance_has_the_same_text_and_scores(
    search: Any, options: BeamOptions, lm: LanguageModelFiles, sentences: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def new() -> Search:
        made: Search = search(lm if search is BeamDecoder else None, LETTERS, options)
        return made

    own = new()
    values = emission(" ".join(sentences[:30]), noise=2.2, peak=6)
    monkeypatch.setattr(beam, "LEAST", len(values) + 1)
    whole = own.decode("u", values)
    assert len(values) > 2500 and len(whole[0].text.split()) > 80
    monkeypatch.setattr(beam, "PIECE", 0)
    monkeypatch.setattr(beam, "LEAST", 800)
    kept = _frames_kept(own, monkeypatch)
    pieces = own.decode("u", values)
    assert (
        len(kept) == len(values) // 800 and max(kept) < 1400
    )  # a piece, half of the one before, and what flashlight adds
    assert pieces[0].text == whole[0].text
    assert pieces[0].score == pytest.approx(whole[0].score, abs=1e-6)
    assert pieces[0].am == pytest.approx(whole[0].am, abs=1e-6)
    assert own.decode("u", values[:80]) == new().decode("u", values[:80])


def _frames_kept(search: Search, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A list that gets the number of frames that the decoder holds each time that it is to forget some."""
    kept: list[int] = []
    forget = search._forget

    def counted(decoder: Any, frames: int) -> Any:
        kept.append(len(decoder.get_all_final_hypothesis()[0].words))
        return forget(decoder, frames)

    monkeypatch.setattr(search, "_forget", counted)
    return kept


def test_an_utterance_of_which_nothing_is_ever_sure_is_searched_in_bounded_memory_too(
    decoder: BeamDecoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All symbols alike in all frames: the hypotheses have no beginning in common."""
    flat = np.full((2000, 32), -np.log(32), dtype=np.float32)
    monkeypatch.setattr(beam, "PIECE", 0)
    monkeypatch.setattr(beam, "LEAST", 200)
    kept = _frames_kept(decoder, monkeypatch)
    decoder.decode("u", flat)
    assert len(kept) == 10 and max(kept) < 500
    assert decoder.decode("u", frames("NOBODY|KNEW"))[0].text == "NOBODY KNEW"


MEMORY = """
import sys
sys.path.insert(0, sys.argv[3])
from pathlib import Path
import numpy as np
from support.speech_like import LETTERS, emission
from sewcli.decoding.beam import EXHAUSTIVE, BeamDecoder, BeamOptions, Search
from sewcli.lm.files import LanguageModelFiles

def peak():
    return next(int(l.split()[1]) for l in Path("/proc/self/status").read_text().splitlines() if l.startswith("VmHWM"))

search = BeamDecoder(LanguageModelFiles("3gram", Path(sys.argv[1]), Path(sys.argv[2])), LETTERS, BeamOptions(**EXHAUSTIVE))
text = " ".join(Path(sys.argv[4]).read_text().splitlines()[:100])
values = np.tile(emission(text, noise=2.0), (int(sys.argv[5]), 1))
search.decode("short", values[:100])
before = peak()
found = search.decode("long", values)[0]
print(len(values), len(found.text.split()), (peak() - before) * 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
def test_memory_does_not_grow_with_the_utterance(lm: LanguageModelFiles) -> None:
    grown = {}
    for times in (2, 6):
        arguments = [
            lm.model,
            lm.lexicon,
            Path(__file__).parents[1],
            Path(__file__).parents[1] / "lm/golden/text.txt",
            times,
        ]
        done = subprocess.run(
            [sys.executable, "-c", MEMORY, *map(str, arguments)], capture_output=True, text=True, check=True
        )
        length, words, grown[times] = map(int, done.stdout.split())
        assert length > times * 8000 and words > times * 300
    assert length * 50 * beam.BYTES_PER_STATE > 5 * beam.PIECE  # what the beams of all its frames would take
    assert grown[6] < 3 * beam.PIECE
    assert grown[6] < grown[2] + beam.PIECE


def test_the_nbest_list_is_distinct_sorted_and_at_most_as_long_as_asked(
    lm: LanguageModelFiles, sentences: list[str]
) -> None:
    found = BeamDecoder(lm, LETTERS, BeamOptions(nbest=10)).decode("u", emission(sentences[0], noise=2.5))
    assert 1 < len(found) <= 10
    assert len({h.text for h in found}) == len(found)
    assert [h.score for h in found] == sorted((h.score for h in found), reverse=True)


def test_the_lists_of_the_fast_search_are_as_good_as_those_of_the_exhaustive_one(
    lm: LanguageModelFiles, sentences: list[str]
) -> None:
    """The fewest errors that choosing from each list could leave, as rescoring does."""
    texts = sentences[:60]
    values = [emission(text, noise=2.4, seed=seed, peak=6) for seed, text in enumerate(texts)]

    def oracle(**settings: Any) -> int:
        search = BeamDecoder(lm, LETTERS, BeamOptions(beam=100, nbest=50, **settings))
        lists = [[h.text for h in search.decode("u", value)] for value in values]
        return sum(
            min(word_errors([text], [found]).total.errors for found in each)
            for text, each in zip(texts, lists, strict=True)
        )

    assert oracle() <= oracle(**EXHAUSTIVE) < oracle(threshold=6.0)


def test_a_model_that_knows_no_word_of_the_lexicon_is_refused(lm: LanguageModelFiles, tmp_path: Path) -> None:
    foreign = tmp_path / "lexicon.txt"
    foreign.write_text("ZZZ\tZ Z Z |\n")
    with pytest.raises(DataError, match="knows none of the 1 words"):
        BeamDecoder(LanguageModelFiles("3gram", lm.model, foreign), LETTERS, BeamOptions())


@pytest.mark.parametrize(("known", "refused"), [(1.0, False), (0.6, False), (0.4, True)])
def test_words_that_the_model_does_not_know_are_told_and_most_of_them_refused(
    lm: LanguageModelFiles, tmp_path: Path, capsys: pytest.CaptureFixture[str], known: float, refused: bool
) -> None:
    lines = lm.lexicon.read_text().splitlines()[:100]
    count = round(100 * known)
    foreign = [f"zz{number}\t{line.split(chr(9))[1]}" for number, line in enumerate(lines[count:])]
    mixed = tmp_path / "lexicon.txt"
    mixed.write_text("\n".join([*lines[:count], *foreign]))
    with pytest.raises(DataError) if refused else nullcontext() as caught:
        BeamDecoder(LanguageModelFiles("3gram", lm.model, mixed), LETTERS, BeamOptions())
    told = str(caught.value) if refused else capsys.readouterr().err
    assert (f"knows {count} of the 100 words" in told and "'zz0', 'zz1', 'zz2'" in told) == (known < 1)
    assert ("hint: model and lexicon must come from one text" in " ".join(told.split())) == (known < 1)


def test_a_lower_case_binary_would_be_noticed_too(lm: LanguageModelFiles, tmp_path: Path) -> None:
    """Only the binary's words are hidden from us until it is loaded; the same check then holds for ARPA files."""
    model = tmp_path / "lower.arpa"
    model.write_text(lm.model.read_text().lower())
    shutil.copy(lm.lexicon, tmp_path / "lexicon.txt")
    with pytest.raises(DataError, match="same case"):
        BeamDecoder(LanguageModelFiles("lower", model, tmp_path / "lexicon.txt"), LETTERS, BeamOptions())


def test_a_cut_off_model_is_named(lm: LanguageModelFiles, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    model = tmp_path / "cut.arpa"
    model.write_bytes(lm.model.read_bytes()[: lm.model.stat().st_size // 2])
    with pytest.raises(DataError, match="KenLM cannot read it") as caught:
        BeamDecoder(LanguageModelFiles("cut", model, lm.lexicon), LETTERS, BeamOptions())
    assert caught.value.where == model
    assert capfd.readouterr().err == ""  # KenLM's own bar and complaints are kept away from the log


def test_models_without_special_symbols_work(lm: LanguageModelFiles) -> None:
    vocabulary = Vocabulary(["<pad>", "|", *"ABCDEFGHIJKLMNOPQRSTUVWXYZ'"])
    order = [LETTERS.tokens.index(token) for token in vocabulary.tokens]
    values = np.ascontiguousarray(frames("NOBODY|KNEW|WHY")[:, order])
    assert BeamDecoder(lm, vocabulary, BeamOptions()).decode("u", values)[0].text == "NOBODY KNEW WHY"
