"""Language models of any alphabet: whose symbols they are for, what is left out, what joins two cases, what is no sentence."""

import json
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from support.refusals import refused

from sewcli.base.errors import DataError, UsageError
from sewcli.decoding.beam import BeamDecoder, BeamOptions
from sewcli.lm.build import build_ngram
from sewcli.lm.files import resolve
from sewcli.lm.lexicon import read_lexicon
from sewcli.text.tokens import Vocabulary

HEAD = ("<pad>", "<s>", "</s>", "<unk>", "|")
TEXTS = {
    "french": "UN CAFÉ AU LAIT\nÇA Y EST LÀ OÙ LE CŒUR ÉTAIT\nL'ÉTÉ À NOËL\n" * 3,
    "arabic": "مرحبا بكم في البيت\nصباح الخير يا صديقي\n" * 3,
    "hindi": "नमस्ते दुनिया\nआप कैसे हैं\n" * 3,
    "russian": "ДОБРЫЙ ДЕНЬ\nЁЛКА И ЙОД\n" * 3,
    "vietnamese": "TIẾNG VIỆT RẤT ĐẸP\nXIN CHÀO\n" * 3,
}


def prepared(folder: Path, symbols: list[str], **texts: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps({s: i for i, s in enumerate([*HEAD, *symbols])}))
    for name, text in texts.items():
        (folder / f"text_{name}.txt").write_text(text)
    return folder


def letters_of(text: str) -> list[str]:
    return sorted(set(text) - set(" \n"))


@pytest.mark.fault("report-27")
@pytest.mark.parametrize("language", TEXTS)
@pytest.mark.parametrize("kind", ["NFC", "NFD"])
def test_the_symbols_of_the_prepared_corpus_are_used(tmp_path: Path, language: str, kind: str, sew_here) -> None:
    text = TEXTS[language]
    data = prepared(tmp_path, letters_of(text), train=unicodedata.normalize(kind, text), dev=text.splitlines()[0])
    done = sew_here("lm", "ngram", "--order", "2", "--data", data, "--json")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["lexicon_words"] == len(set(text.split())) and summary["dev"][0]["unknown"] == 0
    vocabulary = Vocabulary.read(data)
    words = {entry.word: vocabulary.text(entry.spelling) for entry in read_lexicon(data / "lm/lexicon.txt", vocabulary)}
    assert words == {word: word for word in text.split()}
    done = sew_here("lm", "ngram", "--order", "3", "--unit", "letter", "--data", data)
    assert done.returncode == 0 and "spelled" not in done.stderr, done.stderr


@pytest.mark.fault("report-27")
@pytest.mark.parametrize("given", ["file", "vocab.json", "model", "experiment"])
def test_symbols_may_be_given(tmp_path: Path, given: str) -> None:
    text = TEXTS["french"]
    (tmp_path / "text_train.txt").write_text(text)
    model = prepared(tmp_path / "exp" / "model", letters_of(text))
    (tmp_path / "symbols.txt").write_text("\ufeff" + "\n".join(letters_of(text)))
    places = {
        "file": tmp_path / "symbols.txt",
        "vocab.json": model / "vocab.json",
        "model": model,
        "experiment": model.parent,
    }
    summary = build_ngram([], 2, tmp_path, None, symbols=places[given])
    assert summary["lexicon_words"] == len(set(text.split()))
    assert "CAFÉ\tC A F É |\n" in (tmp_path / "lm/lexicon.txt").read_text()
    with pytest.raises(UsageError, match="vocab"):
        build_ngram([], 2, tmp_path, None, symbols=tmp_path / "lm")


@pytest.mark.fault("report-27")
def test_words_that_cannot_be_spelled_are_listed_and_many_are_an_error(tmp_path: Path, capfd) -> None:
    (tmp_path / "text_train.txt").write_text("UN CAFÉ AU LAIT\n")
    assert build_ngram([], 2, tmp_path, None)["lexicon_words"] == 3
    said = capfd.readouterr().err
    assert "1 of 4 words cannot be spelled" in said and "no symbol for 'É'" in said and "'CAFÉ'" in said
    (tmp_path / "text_train.txt").write_text("".join(f"MOT{'A' * n} ÉTÉ{'B' * n}\n" for n in range(1, 12)))
    for letters in (False, True):
        with pytest.raises(DataError, match="11 of 22 words cannot be spelled") as caught:
            build_ngram([], 2, tmp_path, tmp_path / "new.arpa", letters=letters)
        assert "--vocab" in str(caught.value.hint) and not (tmp_path / "new.arpa").exists()


@pytest.mark.fault("report-8", "report-29", "report-30")
def test_text_takes_the_form_of_the_recogniser(tmp_path: Path, capfd) -> None:
    (tmp_path / "text_train.txt").write_bytes("\ufeffturn it’s\u00a0on\r\n\ufeffTURN\tIT’S\u3000OFF\r\n".encode())
    build_ngram([], 2, tmp_path, None)
    assert "texts in mixed case are read in upper case" in capfd.readouterr().err
    assert [e.word for e in read_lexicon(tmp_path / "lm/lexicon.txt", Vocabulary.letters())] == [
        "IT'S",
        "OFF",
        "ON",
        "TURN",
    ]


@pytest.mark.fault("report-27")
def test_symbols_of_several_characters(tmp_path: Path) -> None:
    data = prepared(tmp_path, ["SCH", "CH", "S", "C", "H", "I", "A"], train="SCHICH ACH\n")
    build_ngram([], 2, data, None)
    assert (data / "lm/lexicon.txt").read_text() == "ACH\tA CH |\nSCHICH\tSCH I CH |\n"
    build_ngram([], 2, data, None, letters=True)
    assert "SCH I" in (data / "lm/2gram-letter.arpa").read_text()


@pytest.mark.fault("report-28")
def test_texts_without_blanks_need_a_model_of_letters(tmp_path: Path) -> None:
    text = "今天天气很好我们去公园\n我喜欢学习语音识别技术\n"
    data = prepared(tmp_path, letters_of(text), train=text)
    with refused(DataError, "words-not-separated") as caught:
        build_ngram([], 2, data, None)
    assert "--unit letter" in str(caught.value.hint)
    assert build_ngram([], 3, data, None, letters=True)["ngrams"][0] == len(letters_of(text)) + 4  # and the boundary


@pytest.mark.fault("report-61")
@pytest.mark.parametrize("letters", [False, True])
def test_marks_of_sentences_are_refused(tmp_path: Path, letters: bool) -> None:
    (tmp_path / "text_train.txt").write_text("GO HOME\n<s> GO HOME </s>\n")
    with pytest.raises(DataError, match="sentence 2 holds one of"):
        build_ngram([], 2, tmp_path, None, letters=letters)


@pytest.mark.fault("report-61")
@pytest.mark.parametrize("name", ["84-121123-{:04d}", "spk{:02d}_utt1", "common_voice_fr_173{:05d}", "A{:05d}X"])
def test_tables_of_transcripts_are_no_sentences(tmp_path: Path, name: str) -> None:
    lines = [f"{name.format(n)} GO HOME AND {'STAY ' * n}" for n in range(20)]
    (tmp_path / "a.trans.txt").write_text("\n".join(lines))
    with refused(DataError, "not-sentences") as caught:
        build_ngram([tmp_path / "a.trans.txt"], 2, tmp_path, None)
    assert "cut -d' ' -f2-" in str(caught.value.hint)


@pytest.mark.fault("report-61")
@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("GO HOME NOW (spk1-utt{n:03d})", "sclite's trn"),
        ("talk 1 spk {n}.5 {n}.9 <o,f0> GO HOME", "STM or CTM"),
        ("talk 1 {n}.52 0.31 HOME 0.99", "STM or CTM"),
        ('{{"id": "u{n}", "text": "GO HOME"}}', "JSON lines"),
        ("client{n}\tclip{n}.mp3\tGO HOME\t2", "ids of utterances|a table with columns"),
        ("abc\tclip.mp3\tGO HOME NOW {n}\t2", "a table with columns"),
        ("{n}\n00:00:01,000 --> 00:00:02,000\nGO HOME", "subtitles"),
    ],
)
def test_other_files_with_sentences_are_named(tmp_path: Path, line: str, said: str) -> None:
    (tmp_path / "a.txt").write_text("".join(f"{line.format(n=n)}\n" for n in range(1, 30)))
    with pytest.raises(DataError, match=said):
        build_ngram([tmp_path / "a.txt"], 2, tmp_path, None)


@pytest.mark.fault("report-61")
def test_a_language_model_is_no_text(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="ARPA"):
        build_ngram([arpa(tmp_path / "own.arpa", ["GO"])], 2, tmp_path, None)


@pytest.mark.parametrize(
    "text", ["COVID-19 IS\nB2B-2 TRADE\nCOVID-19 WAS\n", "GO 2-1\nWIN 3-2\n", "U2-3\nV2-4\n", "ONE-1 TIME\n"]
)
def test_sentences_with_figures_are_sentences(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.txt").write_text(text)
    symbols = prepared(tmp_path / "v", [*"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-"])
    build_ngram([tmp_path / "a.txt"], 2, tmp_path, None, symbols=symbols)


def arpa(path: Path, words: list[str], start: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = "".join(f"-1.0\t{word}\t-0.3\n" for word in ("<unk>", "<s>", "</s>", *words))
    head = f"{start}\\data\\\nngram 1={len(words) + 3}\nngram 2=1\n\n\\1-grams:\n"
    path.write_text(f"{head}{lines}\n\\2-grams:\n-0.5\t<s> {words[0]}\n\n\\end\\\n")
    return path


@pytest.mark.fault("report-27")
@pytest.mark.parametrize("own", ["سلام", "你好吗"])
def test_scripts_without_case_are_not_in_capitals(tmp_path: Path, own: str) -> None:
    model = arpa(tmp_path / "lm/own.arpa", [own, "ok"])
    (tmp_path / "lm/lexicon.txt").write_text(f"{own}\t{' '.join(own)} |\n")
    assert resolve("own", tmp_path, Vocabulary((*HEAD, *own))).model == model


@pytest.mark.fault("report-59")
def test_a_lexicon_joins_two_cases(tmp_path: Path) -> None:
    model = arpa(tmp_path / "lm/own.arpa", ["go", "home"])
    lexicon = tmp_path / "lm/lexicon.txt"
    lexicon.write_text("go\tG O |\nhome\tH O M E |\n")
    vocabulary = Vocabulary.letters()
    decoder = BeamDecoder(resolve(str(model), tmp_path, vocabulary), vocabulary, BeamOptions())
    path = vocabulary.encode("GO HOME")
    emission = np.full((len(path), len(vocabulary)), -9.0, dtype=np.float32)
    emission[np.arange(len(path)), path] = -0.01
    assert decoder.decode("a", emission)[0].text == "GO HOME"
    lexicon.write_text("GO\tG O |\nHOME\tH O M E |\n")
    with pytest.raises(DataError, match="lower case, the model writes upper case") as caught:
        resolve(str(model), tmp_path, vocabulary)
    assert "--vocab" in str(caught.value.hint)


@pytest.mark.fault("report-59", "report-10")
def test_a_model_and_its_lexicon_in_capitals_serve_a_recogniser_in_lower_case(tmp_path: Path) -> None:
    model = arpa(tmp_path / "lm/own.arpa", ["GO", "HOME"])
    (tmp_path / "lm/lexicon.txt").write_text("GO\tG O |\nHOME\tH O M E |\n")
    vocabulary = Vocabulary((*HEAD, *"eghmo"))
    decoder = BeamDecoder(resolve(str(model), tmp_path, vocabulary), vocabulary, BeamOptions())
    path = vocabulary.encode("go home")
    emission = np.full((len(path), len(vocabulary)), -9.0, dtype=np.float32)
    emission[np.arange(len(path)), path] = -0.01
    assert decoder.decode("a", emission)[0].text == "go home"


@pytest.mark.fault("report-60")
def test_words_that_the_lexicon_lacks_are_counted(tmp_path: Path, capfd) -> None:
    words = [f"W{chr(65 + n // 26)}{chr(65 + n % 26)}" for n in range(88)]
    model = arpa(tmp_path / "lm/own.arpa", words)
    (tmp_path / "lm/lexicon.txt").write_text("".join(f"{word}\t{' '.join(word)} |\n" for word in words[:20]))
    resolve(str(model), tmp_path, Vocabulary.letters())
    assert "has 20 of the 88 words of" in capfd.readouterr().err


@pytest.mark.fault("report-31", "report-60")
def test_words_in_another_unicode_form_are_named(tmp_path: Path, capfd) -> None:
    model = arpa(tmp_path / "lm/own.arpa", ["CAFÉ", "NOËL"])
    words = [unicodedata.normalize("NFD", word) for word in ("CAFÉ", "NOËL")]
    (tmp_path / "lm/lexicon.txt").write_text("".join(f"{word}\tC A F |\n" for word in words))
    resolve(str(model), tmp_path, Vocabulary.letters())
    assert "2 of them are there in another Unicode form" in capfd.readouterr().err


@pytest.mark.fault("report-29")
def test_marks_of_byte_order(tmp_path: Path) -> None:
    (tmp_path / "lexicon.txt").write_text("\ufeffGO\tG O |\n")
    assert [e.word for e in read_lexicon(tmp_path / "lexicon.txt", Vocabulary.letters())] == ["GO"]
    (tmp_path / "v.txt").write_text("\ufeffA\nB\n")
    assert Vocabulary.read(tmp_path / "v.txt").tokens[5:] == ("A", "B")
    (tmp_path / "vocab.json").write_text("\ufeff" + json.dumps({s: i for i, s in enumerate((*HEAD, "A"))}))
    assert Vocabulary.load(tmp_path / "vocab.json").tokens == (*HEAD, "A")
    with refused(DataError, "byte-order-mark"):
        resolve(str(arpa(tmp_path / "own.arpa", ["GO"], "\ufeff")), tmp_path, Vocabulary.letters())


@pytest.mark.fault("report-30")
def test_line_ends_of_windows(tmp_path: Path) -> None:
    (tmp_path / "lexicon.txt").write_bytes(b"GO\tG O |\r\nON\tO N |\r\n")
    assert len(read_lexicon(tmp_path / "lexicon.txt", Vocabulary.letters())) == 2
    (tmp_path / "v.txt").write_bytes(b"A\r\nB\r\n")
    assert Vocabulary.read(tmp_path / "v.txt").tokens[5:] == ("A", "B")


@pytest.mark.fault("report-56")
@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "data"),
        ("\\data\\\nngram 1=1\n", "ends within"),
        ("\\data\\\nngram 1=1\n\\1-grams:\n-1\tA\n", "order of 1"),
    ],
)
def test_broken_models_are_named(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "a.arpa").write_text(content)
    (tmp_path / "lexicon.txt").write_text("A\tA |\n")
    with pytest.raises(DataError, match=said):
        resolve(str(tmp_path / "a.arpa"), tmp_path, Vocabulary.letters())
