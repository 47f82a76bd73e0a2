"""`sew selftrain` over a folder whose selftrain.yaml holds odd values."""

from pathlib import Path

import pytest


@pytest.mark.fault("input-22")
@pytest.mark.parametrize("model", ["[a, b]", "{a: 1}", "5", "null", "x" * 5000, f"[{'[' * 40}{']' * 40}]"])
def test_a_model_that_is_no_name(model: str, tmp_path: Path, sew_here) -> None:
    (tmp_path / "exp").mkdir()
    (tmp_path / "exp" / "selftrain.yaml").write_text(f"model: {model}\n")
    arguments = ("--exp", tmp_path / "exp", "--untranscribed", "x", "--data", tmp_path)
    done = sew_here("selftrain", *arguments)
    assert done.returncode in (2, 3) and "Traceback" not in done.stderr and "Usage:" not in done.stderr, done.stderr[
        -900:
    ]
