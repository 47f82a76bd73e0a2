"""`sew tune`: better weights on speech it was not tuned on, trials that are those of `sew decode`, and a table that lasts."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.emission_splits import emission_split, no_device

from sewcli.base.errors import UsageError
from sewcli.base.files import read_json, read_jsonl
from sewcli.decoding.beam import BeamOptions
from sewcli.decoding.pipeline import decode
from sewcli.decoding.tune import LM_WEIGHT, WORD_SCORE, Trial, Tuned, tune
from sewcli.decoding.weights import find_weights
from sewcli.scoring.score import score_folder


def run(model: Path, data: Path, out: Path, **options) -> Tuned:
    settings = {"lm": "3gram", "options": BeamOptions(beam=10), "device": no_device, "limit": 12, "jobs": 0}
    return tune(model, data, "dev", out=out, emissions=data.parent / "decode", **{**settings, **options})


def word_error_rate(model: Path, data: Path, split: str, lm_weight: float, word_score: float) -> float:
    options = BeamOptions(beam=10, lm_weight=lm_weight, word_score=word_score)
    (done,) = decode(
        model, data, [split], out=data.parent / "decode", device=no_device, lm="3gram", options=options, jobs=0
    )
    return score_folder(done.folder)["wer"]


def test_weights_are_as_good_as_the_papers_on_speech_they_were_not_tuned_on(small_model: Path, heard: Path) -> None:
    tuned = run(small_model, heard, heard.parent / "tune", limit=40)
    assert tuned.best.errors < tuned.start.errors == tuned.trials[0].errors
    assert (tuned.start.lm_weight, tuned.start.word_score) == (2.0, -1.0)
    found = find_weights(str(tuned.folder))
    assert (found.lm_weight, found.word_score) == (tuned.best.lm_weight, tuned.best.word_score)
    for trial in (tuned.best, tuned.start):  # what decode finds with them, to the last error
        assert word_error_rate(small_model, heard, "dev", trial.lm_weight, trial.word_score) == trial.wer
    held_out = word_error_rate(small_model, heard, "test", found.lm_weight, found.word_score)
    assert held_out < word_error_rate(small_model, heard, "test", 2.0, -1.0)


def test_a_search_that_was_cut_short_goes_on_and_ends_as_if_it_had_not_been(small_model: Path, heard: Path) -> None:
    whole = run(small_model, heard, heard.parent / "whole")
    part = run(small_model, heard, heard.parent / "part", limit=5)
    assert len(part.trials) == 5
    table = part.folder / "trials.jsonl"
    before = table.read_bytes()
    table.write_bytes(before[:-7])  # a power cut in the middle of a line
    again = run(small_model, heard, heard.parent / "part")
    assert [(t.lm_weight, t.word_score, t.errors) for t in again.trials] == [
        (t.lm_weight, t.word_score, t.errors) for t in whole.trials
    ]
    assert (again.best.lm_weight, again.best.word_score) == (whole.best.lm_weight, whole.best.word_score)
    kept = before[: before[:-7].rindex(b"\n") + 1]
    assert table.read_bytes().startswith(kept) and len(list(read_jsonl(table))) == len(whole.trials)  # none done twice


def test_a_best_on_the_rim_of_what_was_tried_is_told() -> None:
    def edges(best: int, *weights: tuple[float, float]) -> list[str]:
        trials = [Trial(*pair, errors=1, words=9, seconds=0.0) for pair in weights]
        return list(Tuned(Path(), (LM_WEIGHT, WORD_SCORE), trials, trials[best], trials[0]).edges())

    box = [(2.0, -1.0), (0.0, -5.0), (5.0, 5.0)]
    assert edges(0, *box) == edges(0, box[0]) == []
    assert edges(2, *box)[0].startswith("the best lm_weight is 5, the largest that was tried")
    assert [edge.split(",")[0] for edge in edges(3, *box, (1.0, -5.0))] == ["the best word_score is -5"]


def test_the_processes_do_not_matter(small_model: Path, heard: Path) -> None:
    found = [run(small_model, heard, heard.parent / f"jobs{jobs}", jobs=jobs, limit=6) for jobs in (0, 2)]
    assert len({tuple(sorted((t.lm_weight, t.word_score, t.errors) for t in one.trials)) for one in found}) == 1


def test_trials_of_another_model_or_search_are_not_used(small_model: Path, heard: Path, sentences: list[str]) -> None:
    out = heard.parent / "tune"
    first = run(small_model, heard, out, limit=3)
    emission_split(heard, "dev", sentences[100:110], small_model, heard.parent / "decode")
    second = run(small_model, heard, out, limit=2)
    assert second.folder == first.folder and second.start.words != first.start.words
    assert len(list(read_jsonl(second.folder / "trials.jsonl"))) == 2


def test_without_a_language_model_there_is_nothing_to_tune(small_model: Path, heard: Path) -> None:
    for lm, options in ((None, BeamOptions()), ("viterbi", BeamOptions()), (None, BeamOptions(lexicon_free=True))):
        with pytest.raises(UsageError, match="no weights to tune"):
            run(small_model, heard, heard.parent / "tune", lm=lm, options=options)


def arguments(model: Path, data: Path) -> list[str]:
    home = data.parent / "exp" / "mine"
    if not home.exists():
        home.mkdir(parents=True)
        (home / "model").symlink_to(model)
        (home / "decode").symlink_to(data.parent / "decode")
    common = ["--model", str(home), "--data", str(data), "--lm", "3gram", "--beam", "10", "--jobs", "0"]
    return ["tune", *common, "--device", "cuda:77"]


def test_the_command_shows_the_surface_and_its_file_is_what_decode_takes(
    small_model: Path, heard: Path, sew_here
) -> None:
    done = sew_here(*arguments(small_model, heard), "--trials", "33")
    assert done.returncode == 0 and "word score -2.5" in done.stdout and "chosen" in done.stdout, done.stderr
    folder = heard.parent / "exp/mine/tune/data-dev-3gram-beam10"
    assert f"--lm 3gram --beam 10 --weights {folder}" in done.stderr
    chosen = read_json(folder / "weights.json")
    assert chosen["wer"] < chosen["wer_of_paper_weights"] and chosen["utterances"] == 25
    done = sew_here(*arguments(small_model, heard), "--trials", "33", "--json")
    shown = json.loads(done.stdout)
    assert shown["best"]["lm_weight"] == chosen["lm_weight"] and len(shown["trials"]) == chosen["trials"] == 33
    decoding = ["decode", *arguments(small_model, heard)[1:], "--split", "test", "--weights", folder, "--json"]
    done = sew_here(*decoding)
    assert done.returncode == 0, done.stderr
    settings = read_json(Path(json.loads(done.stdout)["folder"]) / "decode.json")
    assert (settings["lm_weight"], settings["word_score"]) == (chosen["lm_weight"], chosen["word_score"])
    assert settings["device"] == "made"  # of the emissions: nothing was computed, and cuda:77 not looked for
    done = sew_here(*decoding[:-3], "--weights", "papr")
    assert done.returncode == 2 and "did you mean 'paper'" in done.stderr


def test_a_kill_costs_one_trial(small_model: Path, heard: Path) -> None:
    command = [sys.executable, "-m", "sewcli.cli.app", *arguments(small_model, heard), "--trials", "25"]
    table = heard.parent / "exp/mine/tune/data-dev-3gram-beam10/trials.jsonl"
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=os.environ)
    deadline = time.monotonic() + 300
    while not (table.is_file() and table.read_bytes().count(b"\n") >= 1):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = table.read_bytes().count(b"\n")
    assert 1 <= done < 25
    before = table.read_bytes()
    tuned = run(small_model, heard, heard.parent / "exp/mine/tune", limit=25)
    assert table.read_bytes().startswith(before[: before.rindex(b"\n") + 1])
    undisturbed = run(small_model, heard, heard.parent / "undisturbed", limit=25)
    assert (tuned.best.lm_weight, tuned.best.word_score) == (undisturbed.best.lm_weight, undisturbed.best.word_score)
    assert [t.errors for t in tuned.trials] == [t.errors for t in undisturbed.trials]
