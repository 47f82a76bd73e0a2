"""What a report reads: rows, curves, test sets; damaged and missing parts become notes."""

from array import array
from pathlib import Path

import pytest
from report_folders import decoding, experiment
from support.refusals import refused

from sewcli.base.errors import UsageError
from sewcli.base.files import read_json, read_jsonl, write_json, write_jsonl
from sewcli.cli.report import show_rows
from sewcli.report.browser import pieces
from sewcli.report.curves import BINS, Point, read_curves, thinned
from sewcli.report.experiments import find_experiments
from sewcli.report.figures import curve_groups
from sewcli.report.markdown import sparkline
from sewcli.report.rows import result_rows
from sewcli.report.tables import error_tables, pair_table, run_table, summary_table
from sewcli.report.testsets import differences, find_test_sets
from sewcli.scoring.score import score_folder


def test_rows_have_intervals_and_every_language_model(exp: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts = {row["id"]: row["text"] for row in read_jsonl(exp / "good/decode/test-greedy/hyps.jsonl")}
    decoding(exp / "good" / "decode" / "test-3gram-beam5", "3gram-beam5", texts, texts, data=None, split="test")
    decoding(exp / "good" / "decode" / "test-viterbi", "viterbi", texts, texts, data=None, split="test")
    rows = [row for row in result_rows(find_experiments([exp])) if row["name"] == "good"]
    assert {row["lm"] for row in rows} == {"4gram, beam 50", "3gram-beam5"} and len(rows) == 2, (
        "one for each of the two"
    )
    scores = {path.parent.name: read_json(path) for path in exp.glob("good/decode/*/score.json")}
    for row in rows:
        assert row["wer_greedy"] == scores["test-greedy"]["wer"] > 0, "and not Viterbi's"
        assert row["interval_greedy"] == scores["test-greedy"]["wer_interval"]
        assert row["cer_greedy"] == scores["test-greedy"]["cer"] and row["nist_greedy"] is None
        assert (
            row["pretrained"] and row["pretrain_updates"] == 300 and row["hours"] == 1.5 and row["rtf_greedy"] == 0.03
        )
        assert row["parameters"] == 935_167
    assert {row["wer_lm"] for row in rows} == {0.0, scores["test-4gram-beam50"]["wer"]}
    capsys.readouterr()
    show_rows(rows, as_json=False)
    low, high = scores["test-greedy"]["wer_interval"]
    assert f"[{100 * low:.1f}, {100 * high:.1f}]" in capsys.readouterr().out


def test_rows_of_models_from_elsewhere_and_of_nist(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = decoding(
        tmp_path / "hub" / "decode" / "test-greedy", "greedy", {"u": "A"}, {"u": "A B"}, data=None, split="test"
    )
    score = read_json(folder / "score.json") | {"nist": {"tool": "python", "wer": 0.25, "words": 2, "parts": {}}}
    write_json(folder / "score.json", score)
    (row,) = result_rows(find_experiments([tmp_path]))
    assert (
        row["model"] == "elsewhere"
        and row["parameters"] is None
        and not row["pretrained"]
        and row["nist_greedy"] == 0.25
    )
    show_rows([row], as_json=False)
    assert "25.0 % / -" in capsys.readouterr().out
    (test_set,) = find_test_sets(find_experiments([tmp_path]))
    assert summary_table([test_set]).rows[0][6] == "25.00"
    assert error_tables(test_set)[-1].rows[0][:3] == ["A", "all", "25.00"]


def test_what_is_damaged_is_noted(exp: Path) -> None:
    (exp / "poor/decode/test-greedy/score.json").unlink()
    (exp / "poor/decode/test-4gram-beam50/score.json").write_text('{"wer": 0.1')
    (exp / "good/config.yaml").write_text("a: [")
    (exp / "good/data.json").write_text("[]")
    (exp / "good/model/config.json").write_text("{")
    (exp / "good/decode/test-greedy/hyps.jsonl").write_text('{"id": "u"}\n')
    (exp / "good/decode/other-greedy.shards/1-of-2").mkdir(parents=True)
    experiments = find_experiments([exp])
    sets = find_test_sets(experiments)
    assert [system.title for system in sets[0].systems] == ["good, 4gram-beam50"]
    notes = {e.name: " ".join(e.notes) for e in experiments}
    assert "not scored" in notes["poor"] and "score.json" in notes["poor"]
    for told in ("config.yaml", "model: its config", "other-greedy.shards: 1 shards", "hyps.jsonl"):
        assert told in notes["good"], told
    with refused(UsageError, "no-experiment"):
        find_experiments([exp / "good" / "model"])
    with refused(UsageError, "folder-not-found"):
        find_experiments([exp / "nowhere"])


def test_a_score_of_other_hypotheses_is_noted(exp: Path) -> None:
    path = exp / "good/decode/test-greedy/hyps.jsonl"
    rows = list(read_jsonl(path))
    write_jsonl(path, [rows[0] | {"text": "NOTHING OF IT"}, *rows[1:]])
    experiments = find_experiments([exp])
    assert any("newer than its score" in note for e in experiments for note in e.notes)
    find_test_sets(experiments)
    assert any("sew score again" in note for e in experiments for note in e.notes)
    score_folder(path.parent)
    experiments = find_experiments([exp])
    find_test_sets(experiments)
    assert not any(e.notes for e in experiments)


def test_names_that_tell_apart(tmp_path: Path) -> None:
    for place in ("a/run", "b/run", "b/other"):
        experiment(tmp_path / place, updates=1)
    assert [e.name for e in find_experiments([tmp_path])] == ["a/run", "other", "b/run"] or {
        e.name for e in find_experiments([tmp_path])
    } == {"a/run", "b/run", "other"}


def test_curves_keep_every_peak() -> None:
    steps, values = array("d", range(1, 5001)), array("d", [0.0] * 5000)
    values[1234] = 9.0
    points = thinned(steps, values)
    assert len(points) <= BINS and max(p.high for p in points) == 9.0 and {p.low for p in points} == {0.0}
    assert points[0].step == 25.5 and sum(p.mean for p in points) * 50 == pytest.approx(9.0)
    few = thinned(array("d", [1, 2, 3]), array("d", [5, 6, 7]))
    assert few == [Point(1, 5, 5, 5), Point(2, 6, 6, 6), Point(3, 7, 7, 7)]


def test_curves_of_a_damaged_file(tmp_path: Path) -> None:
    experiment(tmp_path / "run", updates=100)
    path = tmp_path / "run" / "metrics.jsonl"
    whole = read_curves(path)
    assert whole.last == 100 and whole.damaged == 0 and whole.speed == 40.0
    assert [p.step for p in whole.valid["wer"]] == [50, 100] and len(whole.train["loss"]) == 100
    lines = path.read_text().splitlines(keepends=True)
    lines[10] = "\x00\x00\n"
    lines[20] = '{"step": NaN}\n'
    lines[30] = f'{{"step": 31, "loss": {"9" * 400}, "lr": null}}\n'
    path.write_text("".join(lines)[:-8])  # cut off in its last line
    found = read_curves(path)
    assert found.damaged == 3 and found.last == 100, "the half line at the end may still be being written"
    assert len(found.train["loss"]) == 97
    assert read_curves(tmp_path / "none").last == 0


def test_pairs_and_breakdowns_are_those_of_the_counts(exp: Path) -> None:
    (test_set,) = find_test_sets(find_experiments([exp]))
    rates = [system.errors.wer for system in test_set.systems]
    assert rates == sorted(rates) and [s.letter for s in test_set.systems] == ["A", "B", "C", "D"]
    pairs = differences(test_set)
    assert [(d.a.letter, d.b.letter) for d in pairs] == [
        ("A", "B"),
        ("A", "C"),
        ("A", "D"),
        ("B", "C"),
        ("B", "D"),
        ("C", "D"),
    ]
    for found in pairs:
        assert found.bootstrap.difference == pytest.approx(found.a.errors.wer - found.b.errors.wer)
        assert (found.pairs.mean < 0) == (found.bootstrap.difference < 0)
    rows = {row[0]: row for row in pair_table(test_set).rows}
    assert rows["A – D"][1] == "A is better" and rows["A – D"][4] == "< 0.001"
    tables = {table.title: table for table in error_tables(test_set)}
    lengths = tables["By length: WER, %"]
    assert sum(int(row[1]) for row in lengths.rows) == 24
    words = [int(row[2].replace(",", "")) for row in lengths.rows]
    for column, system in enumerate(test_set.systems, start=3):
        errors = sum(float(row[column]) / 100 * n for row, n in zip(lengths.rows, words, strict=True))
        assert errors == pytest.approx(system.errors.total.errors, abs=0.2)
    speakers = tables["By speaker: WER, %"]
    assert len(speakers.rows) == 5 and sum(int(row[1]) for row in speakers.rows) == 24
    top = tables["Most frequent substitutions"].rows
    assert "-> <i>WRONG</i>" in top[0][1]


def test_stages_are_told_apart(exp: Path) -> None:
    write_json(exp / "lm" / "config.yaml", {"updates": 2, "tokenizer": {}, "transformer": {}})
    rows = [{"step": 1, "loss": 5.0, "lr": 1e-3}, {"step": 2, "loss": 4.0, "lr": 1e-3}]
    write_jsonl(exp / "lm" / "metrics.jsonl", [*rows, {"step": 2, "kind": "valid", "perplexity": 123.4}])
    experiments = find_experiments([exp])
    assert [(e.name, e.stage) for e in experiments] == [
        *(("good", "fine-tuning"), ("lm", "language model"), ("poor", "fine-tuning"), ("pre", "pre-training"))
    ]
    curves = {e.name: read_curves(e.folder / "metrics.jsonl") for e in experiments}
    best = {row[0]: row[6] for row in run_table(experiments, curves).rows}
    assert best["lm"] == "perplexity 123.4" and best["pre"].endswith(" bits") and best["good"].startswith("WER 30.8")
    assert [group.stage for group in curve_groups(experiments, curves)] == [
        "Pre-training",
        "Fine-tuning",
        "Language model",
    ]


def test_pieces_of_an_alignment() -> None:
    pairs = [("A", "A"), ("B", "B"), ("C", None), (None, "X"), ("D", "E"), ("F", "F")]
    assert list(pieces(pairs)) == [
        ("C", "A B", "A B"),
        ("D", "C", ""),
        ("I", "", "X"),
        ("S", "D", "E"),
        ("C", "F", "F"),
    ]
    assert list(pieces([])) == []


def test_a_sparkline_falls_and_rises() -> None:
    points = [Point(n, value, value, value) for n, value in enumerate([3.0, 2.0, 1.0, 3.0])]
    assert sparkline(points) == "█▅▁█" or sparkline(points)[0] == sparkline(points)[-1] == "█"
    assert sparkline([]) == "" and sparkline(points[:1]) == "▁"
