"""benchmarks/RESULTS.md says what the JSON files say, and the scripts' common parts work."""

import json
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

from goals import SECTIONS, Goal  # noqa: E402
from machine import circumstances, versions  # noqa: E402
from picture import PICTURE, picture  # noqa: E402
from results import results  # noqa: E402


def inference(model: str, seconds: int, faster: float) -> dict:
    program = {"times_as_fast_as_transformers": faster, "share_of_transformers_memory": 0.2, "logits_apart": 1e-6}
    return {"row": f"{model}-{seconds}s", "programs": {"sew": {**program, "cpu_seconds": 1.0}}}


def written(folder: Path, **files: object) -> str:
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    return results(folder)


def test_the_page_is_up_to_date() -> None:
    assert (BENCHMARKS / "RESULTS.md").read_text(encoding="utf-8") == results(BENCHMARKS / "results"), (
        "run python benchmarks/results.py"
    )


def test_the_picture_is_up_to_date() -> None:
    assert PICTURE.read_text(encoding="utf-8") == picture(), "run python benchmarks/picture.py"


def test_without_files_nothing_is_measured(tmp_path: Path) -> None:
    page = written(tmp_path)
    goals = [goal for section in SECTIONS for goal in section.goals]
    assert page.count("| not measured |") == len(goals) and "hit" not in page and "missed" not in page
    assert len({goal.key for goal in goals}) == len(goals)


def test_hits_misses_and_rows_that_are_not_there(tmp_path: Path) -> None:
    head = {"command": "python benchmarks/inference.py", "date": "2026-01-02", "machine": "a machine"}
    rows = [inference("sew-d-mid", 10, 1.5), inference("sew-d-mid", 60, 2.0)]
    page = written(tmp_path, inference_cpu={**head, "results": rows}, notes={"cpu-d-60": "what holds it back"})
    lines = {line.split(" | ")[0]: line for line in page.splitlines() if line.startswith("| ")}
    assert "| ≥ 1.35 | 1.50 | hit | a machine, 2026-01-02 |" in lines["| SEW-D-mid, 10 s"]
    assert "| 2.00 | **missed** |" in lines["| SEW-D-mid, 60 s"]
    assert "| not measured |" in lines["| SEW-D-mid, 120 s"]
    assert "- SEW-D-mid, 60 s: what holds it back" in page and "`python benchmarks/inference.py`" in page


def test_a_note_without_a_goal_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="cpu-d-61"):
        written(tmp_path, notes={"cpu-d-61": "?"})


def test_bounds_from_both_sides() -> None:
    goal = Goal("k", "w", "f", float, 2.0)
    assert goal.met(2.0) and not goal.met(1.9)
    less = Goal("k", "w", "f", float, 2.0, least=False)
    assert less.met(2.0) and not less.met(2.1)


def test_the_common_head() -> None:
    head = circumstances(("numpy",), command="python benchmarks/x.py", about="1 thread")
    assert list(head) == ["command", "date", "machine", "versions"]
    assert head["machine"].endswith(", 1 thread") and set(head["versions"]) == {"numpy", "python"}
    assert set(versions(("numpy",), python=False)) == {"numpy"}


def test_the_profile_is_a_table_of_its_own(tmp_path: Path) -> None:
    times = {"convolutions": 10.4, "rest": 1.0, "all": 11.4}
    rows = {"sew-tiny": {"products": {"convolutions": 8.0, "all": 8.0}, "sew": times}}
    head = {"command": "python benchmarks/cpu_profile.py", "date": "2026-01-02", "machine": "a machine", "seconds": 10}
    page = written(tmp_path, cpu_profile={**head, "fp32_products_gflop_a_second": 123.4, "models": rows})
    assert "| model | program | convolutions | rest | all |" in page and "123.4 GFLOP a second" in page
    assert "| sew-tiny | products | 8 |  | 8 |" in page and "| sew-tiny | sew | 10 | 1 | 11 |" in page
