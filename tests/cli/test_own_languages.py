"""One's own speech in two languages, from what people have to hypotheses with a language model, by the tutorial's commands."""

from pathlib import Path

import pytest

from sewcli.artifacts.data_folder import read_splits
from sewcli.base.files import read_jsonl
from sewcli.corpora.miniatures.languages import Plan, write_recordings
from sewcli.text.tokens import Vocabulary

INPUTS = {
    "fr": ("table", ("recordings.tsv", "--audio", "clips", "--hold-out", "dev=20%", "--hold-out", "test=20%")),
    "hi": ("commonvoice", (".",)),
}
TINY = ("batch.seconds=12", "batch.micro_seconds=12", "valid_from=0", "extractor_gradient=1", "tensorboard=false")


@pytest.mark.parametrize("language", INPUTS)
def test_from_recordings_to_hypotheses(language: str, tmp_path: Path, sew_here, monkeypatch) -> None:
    folder, data, exp = tmp_path / "recordings", tmp_path / "data", tmp_path / "exp"
    write_recordings(folder, Plan(language, train=3, dev=1, test=1, sentences=6), jobs=2)
    monkeypatch.chdir(folder)
    reader, given = INPUTS[language]
    done = sew_here("prep", reader, *given, "--language", language, "--out", data)
    assert done.returncode == 0, done.stderr
    splits = read_splits(data)
    assert set(splits) == {"train", "dev", "test"} and sum(s["utterances"] for s in splits.values()) == 30
    sets = [word for setting in TINY for word in ("--set", setting)]
    command = ("finetune", "--model", "sew-micro", "--data", data, "--exp", exp, "--config", "small-data")
    done = sew_here(*command, "--updates", 2, *sets)
    assert done.returncode == 0, done.stderr
    own = Vocabulary.read(data)
    assert Vocabulary.read(exp / "model") == own and not {*"abcdefghijklmnopqrstuvwxyz".upper()} & {*own.symbols}
    done = sew_here("lm", "ngram", "--order", 3, "--data", data)
    assert done.returncode == 0, done.stderr
    done = sew_here("decode", "--model", exp / "model", "--data", data, "--split", "test", "--lm", "3gram")
    assert done.returncode == 0, done.stderr
    (hypotheses,) = (exp / "decode").glob("*test*/hyps.jsonl")
    rows = list(read_jsonl(hypotheses))
    assert len(rows) == splits["test"]["utterances"] and all(row["reference"] for row in rows)
    assert "%" in sew_here("score", exp).stdout
