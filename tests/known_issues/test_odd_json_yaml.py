"""JSON and YAML with odd content: one error that names the file, in bounded time and memory."""

import gzip
import json
import resource
import time
from pathlib import Path

import pytest
from support.refusals import refused

from sewcli.base.config import build, parse_sets, read_yaml
from sewcli.base.errors import DataError, SewError, UsageError, quoted
from sewcli.base.files import read_json, read_jsonl, read_object, write_jsonl
from sewcli.base.sample_rate import SAMPLE_RATE
from sewcli.data.utterances import read_utterances
from sewcli.lm.neural import is_neural
from sewcli.models.opening import read_config
from sewcli.text.tokens import Vocabulary
from sewcli.training.config import FinetuneConfig

DEEP = 10_000
ODD = {
    "deep lists": "[" * DEEP + "]" * DEEP,
    "deep objects": '{"a":' * DEEP + "1" + "}" * DEEP,
    "5,000 digits": '{"a": ' + "9" * 5000 + "}",
    "400 digits": '{"a": ' + "9" * 400 + "}",
    "beyond float64": '{"a": 1e999}',
    "NaN": '{"a": NaN}',
    "Infinity": '{"a": -Infinity}',
    "a key twice": '{"a": 0, "a": 1}',
    "half a surrogate pair": '{"id": "\\ud800"}',
    "half a pair in a key": '{"\\udfff": 1}',
    "no text": "\x00\x01",
    "empty": "",
}


@pytest.mark.fault("input-22", "input-23")
@pytest.mark.parametrize("kind", ODD)
def test_odd_json_is_named_by_every_reader(kind: str, tmp_path: Path) -> None:
    for path in (tmp_path / "vocab.json", tmp_path / "config.json", tmp_path / "cuts_x.jsonl"):
        path.write_text(ODD[kind])
    for read in (
        lambda: read_json(tmp_path / "vocab.json"),
        lambda: read_object(tmp_path / "vocab.json"),
        lambda: list(read_jsonl(tmp_path / "cuts_x.jsonl")) or read_json(tmp_path / "vocab.json"),
        lambda: Vocabulary.load(tmp_path / "vocab.json"),
        lambda: read_config(tmp_path),
        lambda: read_utterances(tmp_path / "cuts_x.jsonl"),
    ):
        with pytest.raises(DataError) as caught:
            read()
        assert str(tmp_path) in str(caught.value.where) and len(str(caught.value)) < 600
    assert not is_neural(tmp_path)


@pytest.mark.fault("input-22")
def test_other_values_than_an_object_are_named(tmp_path: Path) -> None:
    for content in ("[1]", "3", '"x"', "null"):
        (tmp_path / "x.json").write_text(content)
        with refused(DataError, "not-json-object"):
            read_object(tmp_path / "x.json")


@pytest.mark.fault("input-22")
@pytest.mark.parametrize(
    "text",
    [
        "[" * DEEP + "]" * DEEP,
        "a: " + "{b: " * DEEP + "1" + "}" * DEEP,
        "updates: " + "9" * 5000,
        "a: 1\na: 2",
        "a: &a [*a]",
        "a: &a [x,x,x,x,x,x,x,x]\n"
        + "".join(f"{b}: &{b} [{','.join([f'*{a}'] * 8)}]\n" for a, b in zip("abcdefghi", "bcdefghij", strict=True)),
        "a: !!int x",
        "a: !!bool x",
        "a: 2001-99-99",
        "a: !!python/object/apply:os.system [true]",
        'a: "\\ud800"',
        "1: 2",
        "- 1",
        "a: \x01",
    ],
)
def test_odd_yaml_is_a_usage_error_that_names_the_file(text: str, tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(text)
    began = time.monotonic()
    with pytest.raises(UsageError) as caught:
        build(FinetuneConfig, read_yaml(tmp_path / "recipe.yaml"), where=tmp_path / "recipe.yaml")
    assert "recipe.yaml" in str(caught.value) and len(str(caught.value)) < 800
    assert time.monotonic() - began < 10


@pytest.mark.fault("input-22")
def test_a_setting_is_quoted_short() -> None:
    for setting in ("x" * 100_000, f"updates={'y' * 100_000}", f"updates={'[' * DEEP}", f"updates={'9' * 5000}"):
        with pytest.raises(UsageError) as caught:
            build(FinetuneConfig, {"model": "x", **parse_sets([setting])})
        assert len(str(caught.value)) < 800
    assert quoted("x" * 200) == repr("x" * 80) + "..." and quoted(3) == "3"
    assert quoted(10**5000) == "a int..."[:5] or len(quoted(10**5000)) < 90


@pytest.mark.fault("input-20")
def test_a_line_that_unpacks_to_a_gigabyte_ends_in_bounded_memory(tmp_path: Path) -> None:
    path = tmp_path / "cuts_x.jsonl.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        for _ in range(256):
            file.write(b"A" * (1 << 20))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with refused(DataError, "line-too-long") as caught:
        list(read_jsonl(path))
    assert len(str(caught.value)) < 300
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 400 * 1024


@pytest.mark.fault("input-23")
def test_names_of_files_that_are_not_utf8_stay_readable(tmp_path: Path) -> None:
    rows = [{"id": "a", "recording": {"sources": [{"source": "caf\udce9.flac"}]}}]
    write_jsonl(tmp_path / "a.jsonl", rows)
    assert list(read_jsonl(tmp_path / "a.jsonl")) == rows
    (tmp_path / "b.jsonl").write_text(json.dumps({"id": "caf\udce9"}) + "\n")
    with pytest.raises(SewError, match="line 1"):
        list(read_jsonl(tmp_path / "b.jsonl"))


@pytest.mark.fault("input-23")
def test_a_recording_whose_name_is_not_utf8_is_transcribed(tmp_path: Path, sew_here) -> None:
    import os

    import numpy as np

    from sewcli.audio.io import encode_flac
    from sewcli.models.ctc import CTCModel
    from sewcli.models.folder import save_ctc
    from sewcli.models.zoo import lookup

    vocabulary = Vocabulary.letters()
    save_ctc(CTCModel(lookup("sew-micro"), len(vocabulary)), vocabulary, tmp_path / "m")
    (tmp_path / "in").mkdir()
    sound = np.random.default_rng(0).normal(0, 0.1, SAMPLE_RATE).astype(np.float32)
    with open(os.fsencode(tmp_path / "in") + b"/caf\xe9.flac", "wb") as file:
        file.write(encode_flac(sound))
    forms = "text,jsonl,srt,ctm,textgrid"
    for _ in range(2):  # and is known to be done
        done = sew_here("transcribe", tmp_path / "in", "--model", tmp_path / "m", "--out", tmp_path / "o", "-f", forms)
        assert done.returncode == 0, done.stderr
    (line,) = (path for path in (tmp_path / "o").iterdir() if path.suffix == ".jsonl")
    assert all(json.loads(each) for each in line.read_text().splitlines())
    done = sew_here("transcribe", tmp_path / "in", "--model", tmp_path / "m", "-f", "jsonl")
    assert done.returncode == 0 and all(json.loads(each) for each in done.stdout.splitlines()), done.stderr
