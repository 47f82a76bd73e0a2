"""Recognisers of scripts with combining marks or without blanks: each transcript format, export and alignment has one text."""

import itertools
import json
import re
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import soundfile
from support.model_cases import shaken, small
from test_eight_bits_of_a_foreign_folder import row
from wild_folders import RATE, audio

from sewcli.base.files import write_jsonl
from sewcli.corpora.miniatures.languages import LANGUAGES
from sewcli.decoding.greedy import greedy
from sewcli.models.ctc import CTCModel
from sewcli.models.folder import save_ctc
from sewcli.scoring.wer import character_errors
from sewcli.text.token_roles import SPECIAL
from sewcli.text.tokens import Vocabulary

FORMS = ("text", "jsonl", "srt", "vtt", "ctm", "textgrid")
SCRIPTS = {"ka": "ა", "hi": "ा", "zh": "请"}  # a symbol of each


def recogniser(language: str, folder: Path) -> Vocabulary:
    """With the symbols of the language, and random weights."""
    some = itertools.islice(LANGUAGES[language].sentences("train", 0, 0), 40)
    symbols = sorted(set("".join(some)) - set(" ?!,.।。，？"))
    vocabulary = Vocabulary((*SPECIAL, *symbols))
    assert SCRIPTS[language] in symbols
    save_ctc(shaken(CTCModel(small("wav2vec2"), len(vocabulary)), seed=3), vocabulary, folder)
    return vocabulary


def text_of(form: str, content: str) -> str:
    """What is said in a transcript, without blanks: lines of captions end within words of these texts."""
    match form:
        case "jsonl":
            found = [json.loads(line).get("text", "") for line in content.splitlines()]
        case "srt" | "vtt":
            found = [line for line in content.splitlines() if not re.match(r"WEBVTT|\d+$|.*-->", line)]
        case "ctm":
            found = [line.split()[4] for line in content.splitlines()]
        case "textgrid":
            found = re.findall(r'^ +text = "(.*)"$', content, re.MULTILINE)
        case _:
            found = [content]
    return "".join("".join(found).split())


@pytest.fixture
def sounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    files = [tmp_path / f"{number}.wav" for number in range(3)]
    for number, file in enumerate(files):
        soundfile.write(file, audio(3.0, seed=number), RATE, subtype="FLOAT")
    return files


@pytest.mark.parametrize("language", SCRIPTS)
def test_formats_exports_and_alignment_have_one_text(language: str, tmp_path: Path, sounds, sew_here) -> None:
    vocabulary = recogniser(language, tmp_path / "model")
    done = sew_here("transcribe", sounds[0], "--model", tmp_path / "model", "-f", ",".join(FORMS), "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "0.txt").read_text(encoding="utf-8").strip()
    assert len(text) > 40 and len(set(text)) > 8
    endings = {"text": "txt", "textgrid": "TextGrid"}
    for form in FORMS:
        content = (tmp_path / f"0.{endings.get(form, form)}").read_text(encoding="utf-8")
        assert text_of(form, content) == "".join(text.split()), form
    for form in ("hf", "openvino", *(["onnx"] if language == "hi" else [])):  # the slowest, once
        done = sew_here("export", tmp_path / "model", tmp_path / form, "--format", form)
        assert done.returncode == 0, done.stderr
        if form == "onnx":
            session = onnxruntime.InferenceSession(tmp_path / form / "model.onnx", providers=["CPUExecutionProvider"])
            waves = audio(3.0, seed=0)[None]
            (logits,) = session.run(["logits"], {"waves": waves, "lengths": np.array([waves.shape[1]])})
            symbols = Vocabulary.load(tmp_path / form)
            assert symbols.text(greedy(np.asarray(logits)[0], symbols.blank)) == text
        else:
            assert Vocabulary.load(tmp_path / form) == vocabulary
            done = sew_here("transcribe", sounds[0], "--model", tmp_path / form, "--device", "cpu")
            assert done.stdout.strip() == text, form
    cut = row(sounds[0])
    cut["supervisions"][0] |= {"text": text}
    write_jsonl(tmp_path / "data" / "cuts_dev.jsonl.gz", [cut])
    done = sew_here(
        "align", tmp_path / "model", tmp_path / "data", "--split", "dev", "--out", tmp_path / "times", "--device", "cpu"
    )
    assert done.returncode == 0, done.stderr
    for form in ("ctm", "textgrid"):
        (aligned,) = (tmp_path / "times").rglob("words.ctm" if form == "ctm" else "*.TextGrid")
        assert text_of(form, aligned.read_text(encoding="utf-8")).startswith("".join(text.split())), form
    if language == "zh":
        starts = [float(line.split()[2]) for line in (tmp_path / "0.ctm").read_text(encoding="utf-8").splitlines()]
        letters = next((tmp_path / "times").rglob("letters.ctm")).read_text(encoding="utf-8").splitlines()
        # special symbols, which have no text, are blanks in the greedy path and not in the alignment: a frame or two
        assert starts == pytest.approx([float(line.split()[2]) for line in letters], abs=0.041)
        assert starts == sorted(set(starts))


def test_eight_bits_of_hindi(tmp_path: Path, sounds, sew_here) -> None:
    """Of random weights, whose best symbols are close to each other, nearly all of the text."""
    vocabulary = recogniser("hi", tmp_path / "model")
    write_jsonl(tmp_path / "data" / "cuts_train.jsonl.gz", map(row, sounds))
    done = sew_here("quantize", tmp_path / "model", tmp_path / "int8", "--data", tmp_path / "data", "--clips", "2")
    assert done.returncode == 0, done.stderr
    assert Vocabulary.load(tmp_path / "int8") == vocabulary
    texts = []
    for model in ("model", "int8"):
        done = sew_here("transcribe", *sounds, "--model", tmp_path / model, "--device", "cpu")
        assert done.returncode == 0, done.stderr
        texts.append([line.partition(": ")[2] for line in done.stdout.splitlines()])
    errors = character_errors(*texts)
    assert sum(count.words for count in errors) > 200
    assert sum(count.errors for count in errors) < 0.2 * sum(count.words for count in errors), texts
