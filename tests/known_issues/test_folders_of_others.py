"""Folders and files that lack what a recogniser needs: the true cause and the step that helps. Settings in odd types."""

import json
import shutil
from pathlib import Path

import pytest
from support.refusals import refused
from wild_folders import KINDS, build

from sewcli.base.errors import SewError
from sewcli.lm.kenlm import check_file
from sewcli.lm.lexicon import read_lexicon
from sewcli.models.folder import load_ctc
from sewcli.models.processor_files import wants_normalised
from sewcli.models.source import locate
from sewcli.text.token_roles import Roles
from sewcli.text.tokens import Vocabulary


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recogniser in the layout of the usual fine-tuning script."""
    return build(KINDS["blank last"], tmp_path_factory.mktemp("others") / "whole")


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    """A copy, to be spoilt."""
    return Path(shutil.copytree(whole, tmp_path / "model"))


def refusal(folder: Path) -> str:
    """What is said of it."""
    with pytest.raises(SewError) as caught:
        load_ctc(locate(folder))
    return f"{caught.value.what} {caught.value.where} {caught.value.hint}"


@pytest.mark.fault("report-4", "report-5")
def test_symbols_that_are_elsewhere(folder: Path) -> None:
    (folder / "vocab.json").rename(folder / "vocab.kept")
    assert "copy vocab.json and tokenizer_config.json of the same model" in refusal(folder)
    (folder / "tokenizer.json").write_text("{}")
    assert "tokenizer.json is of a tokenizer that sew does not read" in refusal(folder)
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "WhisperTokenizer"}')
    assert "its tokenizer is a WhisperTokenizer" in refusal(folder)


@pytest.mark.fault("report-4", "report-5")
def test_checkpoints_of_a_trainer(folder: Path) -> None:
    """Its checkpoints have weights and no symbols; the folder around them may have it the other way round."""
    below = folder / "checkpoint-1000"
    for name in ("checkpoint-500", below.name):
        (folder / name).mkdir()
        for file in ("config.json", "model.safetensors"):
            shutil.copy(folder / file, folder / name / file)
    assert "copy vocab.json, tokenizer_config.json and preprocessor_config.json" in refusal(below)
    (folder / "config.json").unlink()
    assert f"give {below}" in refusal(folder)


@pytest.mark.fault("report-16", "report-17", "report-18")
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("tf_model.h5", "weights of TensorFlow"),
        ("flax_model.msgpack", "weights of Flax"),
        ("model.onnx", "an ONNX graph"),
        ("model.pt", "give the file"),
    ],
)
def test_weights_in_another_form(name: str, said: str, folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / name)
    assert said in refusal(folder)
    (folder / "config.json").unlink()
    assert said in refusal(folder)


@pytest.mark.fault("report-17")
def test_an_adapter_alone(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    assert "an adapter (PEFT) alone" in refusal(tmp_path)


@pytest.mark.fault("report-18")
@pytest.mark.parametrize(
    ("name", "said"), [("a.nemo", "NVIDIA NeMo"), ("a.onnx", "ONNX graph"), ("a.gguf", "llama.cpp")]
)
def test_files_of_other_programs(name: str, said: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"\0" * 600)
    assert said in refusal(tmp_path / name)


@pytest.mark.fault("report-21")
@pytest.mark.parametrize(
    ("value", "wanted"), [(True, True), (1, True), ("true", True), (False, False), (0, False), (None, False)]
)
def test_do_normalize_is_true_where_transformers_takes_it_so(value: object, wanted: bool, tmp_path: Path) -> None:
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"do_normalize": value}))
    assert wants_normalised(tmp_path) is wanted


@pytest.mark.fault("report-16", "report-56")
def test_a_pointer_of_git_lfs_in_place_of_a_language_model(tmp_path: Path) -> None:
    for name in ("4gram.arpa", "4gram.bin"):
        (tmp_path / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n")
        with refused(SewError, "git-lfs-pointer"):
            check_file(tmp_path / name)


@pytest.mark.fault("report-6", "report-59")
@pytest.mark.parametrize("end", ["|", "▁"])
def test_a_lexicon_may_end_its_words_as_the_model_does(end: str, tmp_path: Path) -> None:
    vocabulary = Vocabulary(("▁", "A", "C", "T", "<pad>"), Roles(blank=4, boundary=0, silent=frozenset({4})))
    (tmp_path / "lexicon.txt").write_text(f"CAT\tC A T {end}\n")
    assert [entry.spelling for entry in read_lexicon(tmp_path / "lexicon.txt", vocabulary)] == [(2, 1, 3, 0)]


@pytest.mark.fault("report-31", "report-35")
@pytest.mark.parametrize(
    ("letters", "text", "written"),
    [
        ("ABC", "ＡＢＣ", "ABC"),
        ("ＡＢＣ", "ＡＢＣ", "ＡＢＣ"),
        ("مرحبا", "ﻣﺮﺣﺒﺎ", "مرحبا"),
        ("2", "²", "²"),
    ],
)
def test_shapes_of_a_letter_are_the_letter_where_the_model_has_it(letters: str, text: str, written: str) -> None:
    assert Vocabulary(("<pad>", "|", *letters)).text_form(text) == written
