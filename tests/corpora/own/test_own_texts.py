"""Rules for the texts of one's own data: counted, recorded, by the language of each; the alphabet beside the cuts."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from own_corpus import cuts, rejected

from sewcli.text.tokens import Vocabulary

SENTENCES = {
    "en": ["It’s 21 o'clock.", "Well-known, isn't it?", "A café!", "50 % off", "[noise] yes", "At 10:30."],
    "fr": ["C’est l’été.", "Il y a 21 jours.", "50 % des gens", "Où ça ?"],
}


def table(folder: Path, language: str) -> Path:
    folder.mkdir()
    lines = ["path\tsentence\tspeaker\tsplit"]
    for number, text in enumerate(SENTENCES[language]):
        rng = np.random.default_rng(number)
        soundfile.write(folder / f"{number}.wav", rng.normal(0, 0.1, 16_000), 16_000)
        lines.append(f"{number}.wav\t{text}\tspk{number % 2}\t{'train' if number != 1 else 'dev'}")
    (folder / "all.tsv").write_text("\n".join(lines), encoding="utf-8")
    return folder / "all.tsv"


def texts(out: Path) -> dict[str, str]:
    return {name: cut["text"] for name, cut in cuts(out).items()}


def test_english_is_written_as_the_published_models_write_it(tmp_path: Path, sew_here) -> None:
    done = sew_here("prep", "table", table(tmp_path / "in", "en"), "--language", "en", "--out", tmp_path / "out")
    assert done.returncode == 4, done.stderr
    assert sorted(texts(tmp_path / "out").values()) == ["IT'S TWENTY ONE O'CLOCK", "WELL KNOWN ISN'T IT"]
    reasons = rejected(tmp_path / "out")
    assert len(reasons) == 4 and sorted(reason.split(" (")[0] for reason in reasons.values()) == [
        "a remark in brackets: '[noise]'",
        "a sign that is spoken: '%'",
        "digits: '10'",
        "symbols outside the vocabulary: 'É'",
    ]
    assert Vocabulary.read(tmp_path / "out") == Vocabulary.letters()
    assert "punctuation removed in 2" in done.stderr and "digits in words in 1" in done.stderr
    summary = json.loads((tmp_path / "out" / "prep.json").read_text())
    assert "letters en words" in json.dumps(summary)


def test_another_language_has_its_own_alphabet(tmp_path: Path, sew_here) -> None:
    given = table(tmp_path / "in", "fr")
    done = sew_here("prep", "table", given, "--language", "fr", "--out", tmp_path / "out")
    assert done.returncode == 4, done.stderr
    assert sorted(texts(tmp_path / "out").values()) == ["c'est l'été", "il y a vingt et un jours", "où ça"]
    vocabulary = Vocabulary.read(tmp_path / "out")
    assert set(vocabulary.symbols) == set("c'estléoùça")
    assert "rare symbols" in done.stderr and "ù (1, " in done.stderr
    assert "dev: symbols that train does not have" in done.stderr and "i (1, " in done.stderr
    again = sew_here("prep", "table", given, "--language", "fr", "--out", tmp_path / "out", "--text-rules", "keep-case")
    assert again.returncode == 4 and "C'est l'été" in texts(tmp_path / "out").values()


def test_given_symbols_and_digraphs(tmp_path: Path, sew_here) -> None:
    (tmp_path / "symbols.txt").write_text("\n".join(["ou", *"abcdefghijlmnopqrstuvçéù'"]), encoding="utf-8")
    done = sew_here(
        "prep", "table", table(tmp_path / "in", "fr"), "--language", "fr", "--vocabulary", tmp_path / "symbols.txt",
        "--out", tmp_path / "out", "--text-rules", "letters+aside", "--hold-out", "none",
    )  # fmt: skip
    assert done.returncode == 4, done.stderr
    assert sorted(texts(tmp_path / "out").values()) == ["c'est l'été", "où ça"]
    assert "ou" in Vocabulary.read(tmp_path / "out").symbols


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [("--text-rules", "leters", "did you mean 'letters'"), ("--text-rules", "letters+spell", "words, keep, aside")],
)
def test_unknown_rules_are_refused(option: str, value: str, message: str, tmp_path: Path, sew_here) -> None:
    done = sew_here("prep", "table", table(tmp_path / "in", "fr"), option, value, "--out", tmp_path / "out")
    assert done.returncode == 2 and message in done.stderr and not (tmp_path / "out").exists()


def test_the_alphabet_beside_the_data_is_that_of_sew_check(tmp_path: Path, sew_here) -> None:
    out = tmp_path / "data" / "fr"
    assert sew_here("prep", "table", table(tmp_path / "in", "fr"), "--language", "fr", "--out", out).returncode == 4
    done = sew_here("check", out, "--split", "train")
    assert done.returncode == 0, done.stderr
    assert '"vocabulary"' not in (out / "check.jsonl").read_text()
    Vocabulary.letters().save(tmp_path / "letters")
    english = sew_here("check", out, "--split", "train", "--vocab", tmp_path / "letters")
    assert english.returncode == 3 and '"vocabulary"' in (out / "check.jsonl").read_text()


def test_a_corpus_or_a_language_model_that_is_not_here_is_looked_for_beside(
    tmp_path: Path, sew_here, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = sew_here("prep", "table", table(tmp_path / "in", "fr"), "--language", "fr", "--out", "data/fr")
    assert done.returncode == 4, done.stderr
    missing = sew_here("check")
    assert missing.returncode == 2 and "prepared are data/fr" in missing.stderr


def test_more_text_for_the_language_model_takes_the_rules_of_the_data(tmp_path: Path, sew_here) -> None:
    out = tmp_path / "data"
    assert sew_here("prep", "table", table(tmp_path / "in", "fr"), "--language", "fr", "--out", out).returncode == 4
    books = tmp_path / "books.txt"
    books.write_text("C’est où, la télé ?\nIl y a 3 lits !\n50 % de la salle…\n", encoding="utf-8")
    done = sew_here("lm", "ngram", "--data", out, "--order", "2", out / "text_train.txt", books)
    assert done.returncode == 0, done.stderr
    assert "text rules of the data (letters fr words): 2 sentences changed, 1 left out" in done.stderr
    words = {line.split("\t")[0] for line in (out / "lm" / "lexicon.txt").read_text(encoding="utf-8").splitlines()}
    assert {"télé", "où"} <= words and not any(set(word) & set(",?!3%…") for word in words)
