"""Weights of the search of `sew transcribe` that are no numbers are refused as usage."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from sewcli.cli.app import app


@pytest.mark.parametrize("option", ["--lm-weight", "--word-score"])
@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_weights_are_finite(tmp_path: Path, option: str, value: str) -> None:
    result = CliRunner().invoke(app, ["transcribe", str(tmp_path / "a.wav"), option, value])
    assert result.exit_code == 2
    assert "not a finite number" in result.output
