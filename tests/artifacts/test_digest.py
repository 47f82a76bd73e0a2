"""Digests keep the forms under which folders of earlier versions stand on disk."""

import hashlib
import json
import os
from pathlib import Path

import pytest

from sewcli.artifacts.digest import digest, file_marks, model_digest, model_marks, settings_digest


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    (folder / "logs").mkdir(parents=True)
    for name, content in (("model.safetensors", "weights"), ("config.json", "{}"), ("logs/one", "")):
        (folder / name).write_text(content)
    return folder


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_marks_are_joined_by_line_ends() -> None:
    assert digest("a", "b") == _sha256("a\nb") and digest("a", "b", "") == _sha256("a\nb\n")
    assert digest("ab") != digest("a", "b") != digest("b", "a")


def test_a_model_is_the_files_of_its_folder_and_not_those_below(model: Path) -> None:
    marks = [f"config.json {_sha256('{}')}", f"model.safetensors {_sha256('weights')}"]
    assert model_marks(model) == file_marks(sorted(p for p in model.iterdir() if p.is_file())) == marks
    assert model_digest(model) == _sha256("\n".join(marks))
    assert model_marks(model / "config.json") == marks[:1]


def test_a_file_that_changes_has_another_mark(model: Path) -> None:
    before, weights = model_digest(model), model / "model.safetensors"
    weights.write_text("WEIGHTS")  # as many bytes
    os.utime(weights, ns=(1, 1))
    assert model_digest(model) != before


def test_settings_are_those_of_json_whatever_the_order_of_their_keys() -> None:
    settings = {"seed": 7, "hours": 0.5, "sources": {"b": "2", "a": "1"}}
    assert settings_digest(settings) == _sha256(json.dumps(settings, sort_keys=True))
    assert settings_digest(dict(reversed(settings.items()))) == settings_digest(settings)


def test_a_name_that_is_no_unicode_has_a_digest() -> None:
    assert digest("caf\udce9") == hashlib.sha256(b"caf\xed\xb3\xa9").hexdigest()
