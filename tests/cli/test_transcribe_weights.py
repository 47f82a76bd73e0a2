"""Weights of the search of `sew transcribe` that are none are refused as usage."""

from pathlib import Path

import pytest
from support.refusals import refused
from typer.testing import CliRunner

from sewcli.base.errors import UsageError
from sewcli.cli.app import app


@pytest.mark.parametrize("given", ["nan,0", "2,inf", "-inf,0", "papier"])
def test_weights_are_two_finite_numbers(tmp_path: Path, given: str) -> None:
    (tmp_path / "a.wav").write_bytes(b"")
    with refused(UsageError, "no-such-weights"):
        CliRunner().invoke(
            app,
            ["transcribe", str(tmp_path / "a.wav"), f"--weights={given}"],
            catch_exceptions=False,
            standalone_mode=False,
        )
