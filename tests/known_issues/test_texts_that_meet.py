"""References and hypotheses in other forms: white space, composition, marks, case, scripts; nothing in common is said."""

import json
import time
import unicodedata
from pathlib import Path

import pytest
from support.refusals import refused

from sewcli.base.errors import DataError
from sewcli.base.files import write_json, write_jsonl
from sewcli.cli.score import show_scores
from sewcli.scoring.against import compare_folders
from sewcli.scoring.agreement import compared
from sewcli.scoring.score import score_folder
from sewcli.scoring.wer import character_errors, word_errors
from sewcli.text.agreement import mismatches, text_facts
from sewcli.text.form import TextForm
from sewcli.text.tokens import SPECIAL, Vocabulary


def decoded(folder: Path, references: list[str], hypotheses: list[str], text: dict | None = None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    pairs = enumerate(zip(references, hypotheses, strict=True))
    write_jsonl(folder / "hyps.jsonl", ({"id": f"u{n}", "reference": r, "text": h} for n, (r, h) in pairs))
    write_json(
        folder / "decode.json",
        {"split": "dev", "decoder": "greedy", "data": "", "failed": 0, **({"text": text} if text else {})},
    )
    return folder


def own(symbols: str) -> Vocabulary:
    return Vocabulary((*SPECIAL, *symbols))


@pytest.mark.fault("report-37", "report-8")
@pytest.mark.parametrize("blank", ["\t", "\u00a0", "\u3000", "\u2028", "\u2003", "\x0b", " \t "])
def test_any_white_space_is_a_space(tmp_path: Path, blank: str) -> None:
    reference = f"PLAY{blank}HAPPY{blank}MUSIC IN THE OFFICE"
    score = score_folder(decoded(tmp_path, [reference], ["PLA HAPPY MUSIC IN THE OFFICE"]))
    assert (score["words"], score["substitutions"], score["wer"]) == (6, 1, 1 / 6)
    assert score["cer"] == 1 / 30
    assert word_errors([f"A{blank}B"], ["A B"]).wer == 0


@pytest.mark.fault("report-31", "report-8")
@pytest.mark.parametrize("kinds", [("NFC", "NFD"), ("NFD", "NFC"), ("NFD", "NFD")])
def test_the_form_of_unicode_makes_no_error(tmp_path: Path, kinds: tuple[str, str]) -> None:
    texts = [unicodedata.normalize(kind, "UN CAFÉ À NOËL") for kind in kinds]
    score = score_folder(decoded(tmp_path, [texts[0]], [texts[1]]))
    assert (score["wer"], score["cer"], score["words"]) == (0, 0, 4)


@pytest.mark.fault("report-29", "report-8")
def test_byte_order_marks_and_line_ends_of_hypotheses(tmp_path: Path) -> None:
    folder = decoded(tmp_path, ["\ufeffGO HOME"], ["GO HOME"])
    content = (folder / "hyps.jsonl").read_text().replace("\n", "\r\n")
    (folder / "hyps.jsonl").write_bytes(("\ufeff" + content).encode())
    assert score_folder(folder)["wer"] == 0


@pytest.mark.fault("report-10", "report-8")
@pytest.mark.parametrize("facts", [True, False])
@pytest.mark.parametrize("reference", ["TURN IT ON NOW PLEASE", "Turn it on now Please"])
def test_a_model_of_one_case_is_compared_in_its_case(tmp_path: Path, facts: bool, reference: str, capfd) -> None:
    text = text_facts(own("abcdefghijklmnopqrstuvwxyz")) if facts else None
    score = score_folder(decoded(tmp_path, [reference], ["turn it off now please"], text))
    said = capfd.readouterr().err
    if facts or reference.isupper():
        assert (score["errors"] if "errors" in score else score["substitutions"], score["case"]) == (1, "lower")
        assert "compared in lower case" in said and "lower case" in (tmp_path / "errors.txt").read_text()
    else:  # whose texts these are is not known: a model that writes both cases may have them wrong
        assert score["substitutions"] == 3 and "bring both into one case" in said


@pytest.mark.fault("report-10")
def test_a_model_of_both_cases_is_compared_as_it_is(tmp_path: Path) -> None:
    text = text_facts(own("abcdeABCDE"))
    assert score_folder(decoded(tmp_path, ["Bad cab"], ["bad cab"], text))["substitutions"] == 1


@pytest.mark.fault("report-10")
def test_letters_without_one_counterpart_are_said(tmp_path: Path, capfd) -> None:
    text = text_facts(own("abcdefghijklmnopqrstuvwxyzß"))
    score = score_folder(decoded(tmp_path, ["DIE STRASSE", "ÉGAL İÇ"], ["die straße", "egal ic"], text))
    assert score["case"] == "lower" and "1 words such as 'İÇ'" in capfd.readouterr().err
    turkish = text_facts(own("abcçdefgğhıijklmnoöprsştuüvyz"))
    assert score_folder(decoded(tmp_path, ["IŞIK İÇİN"], ["ışık için"], turkish))["wer"] == 0


@pytest.mark.fault("report-8")
@pytest.mark.parametrize(
    ("reference", "hypothesis", "said"),
    [
        ("ПРИВЕТ КАК ДЕЛА У ВАС", "HELLO HOW ARE YOU TODAY", "another script, or another language"),
        ("ONE TWO THREE FOUR FIVE", "SIX SEVEN EIGHT NINE TEN", "of the same utterances"),
        ("ONE TWO THREE FOUR FIVE", "", "nothing but blanks"),
    ],
)
def test_nothing_in_common_is_said_before_the_rate(
    tmp_path: Path, reference: str, hypothesis: str, said: str, sew_here
) -> None:
    folder = decoded(tmp_path / "a", [reference], [hypothesis])
    done = sew_here("score", folder)
    assert done.returncode == 0 and "100.00 %" in done.stdout
    assert said in done.stderr


@pytest.mark.fault("report-8", "report-32")
def test_what_the_model_cannot_write_is_said_before_it_decodes() -> None:
    letters = Vocabulary.letters()
    assert list(mismatches(["turn it on", "It’s\tOFF"], letters)) == []
    (said,) = mismatches(["привет как дела"], letters)
    assert "no symbol of the references" in said and "language and alphabet" in said
    (said,) = mismatches(["HELLO, WORLD 5"] * 9, letters)
    assert "18 of the 27 words" in said and ", 5" in said
    assert list(mismatches([], letters)) == list(mismatches(["GO 5", *["GO"] * 100], letters)) == []


@pytest.mark.fault("report-28")
def test_texts_without_blanks_are_said_to_have_no_words(tmp_path: Path, capfd) -> None:
    score = score_folder(decoded(tmp_path, ["今天天气很好我们去"], ["今天天气很坏我们去"]))
    assert score["cer"] == 1 / 9 and score["wer"] == 1 and score["words_separated"] is False
    assert "the CER is the rate to look at" in capfd.readouterr().err
    assert score_folder(decoded(tmp_path, ["今天 天气 很好"], ["今天 天气 很坏"]))["words_separated"] is True


@pytest.mark.fault("W7", "report-8")
def test_phones_have_a_phone_error_rate(tmp_path: Path, capfd) -> None:
    facts = {"unit": "phone", "case": "lower", "symbols": ["sh", "iy", "hh"]}
    score = score_folder(decoded(tmp_path, ["sh iy hh iy"], ["sh iy iy"], facts))
    assert (score["unit"], score["per"], score["words"]) == ("phone", 1 / 4, 4)
    assert (tmp_path / "errors.txt").read_text().startswith("PER 25.00 %")
    assert "WER" not in (tmp_path / "errors.txt").read_text()
    show_scores([score], as_json=False)
    shown = capfd.readouterr().out
    assert "PER" in shown and "errors / phones" in shown and "WER" not in shown


@pytest.mark.fault("input-37")
@pytest.mark.parametrize("measure", [word_errors, character_errors])
def test_texts_without_end_are_refused_in_time(tmp_path: Path, measure) -> None:
    began = time.monotonic()
    with refused(DataError, "too-long-to-align") as caught:
        measure(["GO", "A " * 5_000_000], ["GO", "B"], ["u1", "u2"])
    assert caught.value.where == "u2"
    if measure is character_errors:
        with refused(DataError, "too-long-to-align"):
            measure(["A" * 1_000_000], ["B" * 1_000_000])
        assert measure(["A" * 1_000_000], ["A"])[0].deletions == 999_999
    assert time.monotonic() - began < 30


@pytest.mark.fault("input-37")
def test_long_texts_do_not_hold_up_the_matched_pairs(tmp_path: Path) -> None:
    a = decoded(tmp_path / "a", ["A " * 20_000], ["B " * 20_000])
    b = decoded(tmp_path / "b", ["A " * 20_000], ["C " * 20_000])
    with pytest.raises(DataError, match="too long to be aligned as NIST does"):
        compare_folders(a, b)


def test_two_systems_of_different_case_are_compared(tmp_path: Path) -> None:
    references = ["TURN IT ON", "GO HOME"]
    a = decoded(tmp_path / "a", references, ["turn it on", "go him"], text_facts(own("abcdefghijklmnopqrstuvwxyz")))
    b = decoded(tmp_path / "b", references, ["TURN IT OFF", "GO HIM"], text_facts(Vocabulary.letters()))
    found = compare_folders(a, b)
    assert (found["wer_a"], found["wer_b"]) == (1 / 5, 2 / 5)


def test_rates_do_not_depend_on_the_form(tmp_path: Path) -> None:
    """Property: NFC or NFD, a mark or none, any white space: the same counts."""
    references, hypotheses = ["un café à noël", "où est l'été", "ça va"], ["un cafe a noël", "ou est été", "ça va bien"]
    forms = [
        lambda t: t,
        lambda t: unicodedata.normalize("NFD", t),
        lambda t: "\ufeff" + t,
        *(lambda t, b=blank: t.replace(" ", b) for blank in "\t\u00a0\u3000\u2028\u2009"),
        lambda t: f"  {t}\r",
    ]
    found = set()
    for f in forms:
        for g in forms:
            folder = decoded(tmp_path, [f(r) for r in references], [g(h) for h in hypotheses])
            found.add(json.dumps(score_folder(folder)))
    assert len(found) == 1


@pytest.mark.fault("report-8")
def test_apostrophes_of_typographers(tmp_path: Path) -> None:
    facts = text_facts(Vocabulary.letters())
    for reference, text in (("It’s on", facts), ("IT’S ON", facts), ("IT’S ON", None)):
        assert score_folder(decoded(tmp_path, [reference], ["IT'S ON"], text))["wer"] == 0
    assert (
        score_folder(decoded(tmp_path, ["IT’S ON"], ["IT’S ON"], facts))["wer"] == 1 / 2
    )  # no model of ours writes it
    assert TextForm.of("ABC’")("a’b") == "A’B"


@pytest.mark.fault("report-35", "report-37")
@pytest.mark.parametrize("mark", ["\u00ad", "\u200e", "\u200d", "\u2060", "\u202a"])
def test_marks_that_nobody_says_are_no_errors(mark: str) -> None:
    """Soft hyphens of a web page, marks of direction of a word processor, joiners; unless the model writes them itself."""
    texts = compared([f"CO{mark}OP SHOP{mark}"], ["COOP SHOP"])
    assert texts.references == texts.hypotheses
    assert not list(mismatches([f"CO{mark}OP"], Vocabulary.letters()))
    writes = Vocabulary(("<pad>", "|", *"COP", mark))
    assert compared([f"CO{mark}OP"], ["COOP"], text_facts(writes)).references == [f"CO{mark}OP"]


@pytest.mark.fault("report-35")
def test_a_zero_width_space_parts_words() -> None:
    assert compared(["A\u200bB"], ["AB"]).references == ["A\u200bB"]
