"""The benchmark of the GPU at toy sizes on the CPU, so that no slip of the pen waits for the expensive machine."""

import json
import sys
from pathlib import Path

import pytest
from support import interpreted_triton

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

ARGUMENTS = ["--device", "cpu", "--smoke", "--out"]


@interpreted_triton.on_linux
@pytest.mark.skipif(interpreted_triton.GPU, reason="on a GPU the benchmark itself is run")
def test_every_row_runs_and_a_failure_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interpreted_triton.patch()
    import gpu

    def breaks(setting: object) -> dict[str, object]:
        raise RuntimeError("an illegal memory access")

    out = tmp_path / "gpu.json"
    limit, whole = gpu.ROWS["utilisation"]
    monkeypatch.setitem(gpu.ROWS, "utilisation", (limit, breaks))
    assert gpu.main([*ARGUMENTS, str(out)]) == 4
    first = json.loads(out.read_text())
    assert first["versions"]["torch"] and first["date"] and first["device"] == "cpu"
    rows = first["rows"]
    assert list(rows) == list(gpu.ROWS)
    assert rows.pop("utilisation")["error"] == "RuntimeError: an illegal memory access"
    assert {name: row["status"] for name, row in rows.items()} == dict.fromkeys(rows, "done"), rows
    assert '"error"' not in json.dumps(rows)
    assert all(case["same_bits_again"] for case in rows["kernel"]["exactness"])
    agree = [row["best_symbols_that_agree"] for row in rows["inference-15s"]["results"]]
    assert min(agree) > 0.9, agree
    for row in rows["pretrain"]["results"]:
        assert row["first_losses"]["sew"] == pytest.approx(row["first_losses"]["transformers"], abs=0.3)

    monkeypatch.setitem(gpu.ROWS, "utilisation", (limit, whole))
    assert gpu.main([*ARGUMENTS, str(out)]) == 0
    second = json.loads(out.read_text())
    assert second["rows"].pop("utilisation")["status"] == "done"
    assert second["rows"] == rows, "what was done is not done again"
