"""Random subsets: the hours asked for, the same share of every speaker, and nothing that depends on the order of a file."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lhotse import CutSet
from support.refusals import refused
from tiny_corpus import digests

from sewcli.base.errors import UsageError
from sewcli.base.files import read_json, read_jsonl, sha256, write_json, write_jsonl
from sewcli.corpora.librispeech import find_splits
from sewcli.corpora.preparation import prepare
from sewcli.corpora.subset import Drawable, choose, draw, refresh, require_drawable
from sewcli.data.utterances import read_split

LENGTHS = st.floats(0.5, 35.0)


@st.composite
def corpora(make: st.DrawFn) -> list[Drawable]:
    speakers = make(st.lists(st.lists(LENGTHS, min_size=1, max_size=30), min_size=1, max_size=12))
    return [Drawable(f"{s}-{u:03d}", str(s), x) for s, own in enumerate(speakers) for u, x in enumerate(own)]


@settings(deadline=None, max_examples=100)
@given(cuts=corpora(), share=st.floats(0.05, 1.0), seed=st.integers(0, 5), shuffle=st.randoms())
def test_the_laws_of_a_draw(cuts: list[Drawable], share: float, seed: int, shuffle) -> None:
    there, longest = math.fsum(cut.seconds for cut in cuts), max(cut.seconds for cut in cuts)
    wanted = max(share * there, longest)
    wanted = min(wanted, there)
    chosen = choose(cuts, wanted, seed)
    assert len({cut.id for cut in chosen}) == len(chosen) and set(chosen) <= set(cuts)
    assert abs(sum(cut.seconds for cut in chosen) - wanted) <= longest / 2 + 1e-6
    given_by = {cut.speaker: 0.0 for cut in cuts}
    for cut in chosen:
        given_by[cut.speaker] += cut.seconds
    left = {cut.speaker for cut in set(cuts) - set(chosen)}  # who has more to give is at most an utterance behind
    assert all(given_by[speaker] >= max(given_by.values()) - longest - 1e-6 for speaker in left)
    shuffled = list(cuts)
    shuffle.shuffle(shuffled)
    assert set(choose(shuffled, wanted, seed)) == set(chosen)


def test_ten_hours_of_a_large_corpus_are_balanced() -> None:
    rng = np.random.default_rng(0)
    cuts = [
        Drawable(f"{speaker}-{i}", f"{speaker}", float(rng.uniform(2, 17)))
        for speaker in range(251)
        for i in range(int(rng.integers(60, 160)))
    ]
    chosen = choose(cuts, 36_000, seed=1)
    seconds = np.zeros(251)
    for cut in chosen:
        seconds[int(cut.speaker)] += cut.seconds
    assert sum(seconds) == pytest.approx(36_000, abs=17 / 2)
    assert seconds.max() - seconds.min() < 17 and seconds.std() / seconds.mean() < 0.04
    plain = np.zeros(251)  # what a draw that does not look at speakers gives
    for i in rng.permutation(len(cuts))[: len(chosen)]:
        plain[int(cuts[i].speaker)] += cuts[i].seconds
    assert seconds.std() < plain.std() / 5
    others = choose(cuts, 36_000, seed=2)
    assert len(set(others) & set(chosen)) < 0.6 * len(chosen)


@pytest.fixture
def out(corpus: Path, tmp_path: Path) -> Path:
    """The tiny miniature, prepared."""
    prepare(tmp_path / "out", "librispeech", find_splits(corpus, None), jobs=2)
    return tmp_path / "out"


HOURS = 20 / 3600


def test_what_is_written(out: Path) -> None:
    source = {u.id: u for u in read_split(out, "train-clean-100")}
    entry = draw(out, "20s", HOURS, 7)
    drawn = read_split(out, "20s")
    assert {u.id for u in drawn} < set(source) and all(u == source[u.id] for u in drawn)
    assert [u.id for u in drawn] == sorted(u.id for u in drawn)
    assert (out / "text_20s.txt").read_text().splitlines() == [u.text for u in drawn]
    assert entry == read_json(out / "prep.json")["splits"]["20s"]
    assert entry["utterances"] == len(drawn) and entry["speakers"] == len({u.speaker for u in drawn}) == 3
    assert entry["hours"] == round(sum(u.seconds for u in drawn) / 3600, 4) == pytest.approx(HOURS, abs=2.0 / 3600)
    assert entry["words"] == sum(len(u.text.split()) for u in drawn)
    assert entry["subset"] == {
        "hours": HOURS,
        "seed": 7,
        "sources": {"train-clean-100": sha256(out / "cuts_train-clean-100.jsonl.gz")},
    }
    assert "## 20s" in (out / "vocabulary.md").read_text()
    cuts = CutSet.from_file(out / "cuts_20s.jsonl.gz")
    assert all(cut.load_audio().shape == (1, cut.num_samples) for cut in cuts)


def test_the_same_request_gives_the_same_bytes_and_another_seed_others(out: Path, capsys) -> None:
    draw(out, "20s", HOURS, 7)
    before = digests(out)
    draw(out, "20s", HOURS, 7)
    assert digests(out) == before and "drawn already" in capsys.readouterr().err
    (out / "cuts_20s.jsonl.gz").unlink()
    draw(out, "20s", HOURS, 7)
    assert digests(out) == before
    draw(out, "b", HOURS, 8)
    assert {u.id for u in read_split(out, "b")} != {u.id for u in read_split(out, "20s")}
    draw(out, "20s", HOURS, 8)
    assert [u.id for u in read_split(out, "b")] == [u.id for u in read_split(out, "20s")]


def test_the_order_of_the_file_does_not_matter(out: Path) -> None:
    draw(out, "20s", HOURS, 7)
    before = (out / "cuts_20s.jsonl.gz").read_bytes()
    rows = list(read_jsonl(out / "cuts_train-clean-100.jsonl.gz"))
    write_jsonl(out / "cuts_train-clean-100.jsonl.gz", rows[::-1])
    summary = read_json(out / "prep.json")
    outputs = summary["splits"]["train-clean-100"]["outputs"]
    outputs["cuts_train-clean-100.jsonl.gz"] = sha256(out / "cuts_train-clean-100.jsonl.gz")
    write_json(out / "prep.json", summary)
    assert draw(out, "20s", HOURS, 7)["subset"]["sources"]["train-clean-100"] != ""
    assert (out / "cuts_20s.jsonl.gz").read_bytes() == before


def test_preparing_again_keeps_it_and_changed_sources_are_drawn_from_again(corpus: Path, out: Path) -> None:
    draw(out, "20s", HOURS, 7)
    before = digests(out)
    prepare(out, "librispeech", find_splits(corpus, None), jobs=2)
    assert refresh(out).keys() == {"20s"} and digests(out) == before
    gone = read_split(out, "20s")[0]
    gone.path.unlink()
    prepare(out, "librispeech", find_splits(corpus, None), jobs=2)
    assert gone.id not in {u.id for u in read_split(out, "train-clean-100")}
    refresh(out)
    assert gone.id not in {u.id for u in read_split(out, "20s")}


def test_utterances_without_a_transcript_are_not_drawn(out: Path) -> None:
    rows = list(read_jsonl(out / "cuts_train-clean-100.jsonl.gz"))
    silent = [row["id"] for row in rows[::3]]
    for row in rows[::3]:
        row["supervisions"][0]["text"] = ""
    write_jsonl(out / "cuts_train-clean-100.jsonl.gz", rows)
    draw(out, "20s", HOURS, 7)
    assert not {u.id for u in read_split(out, "20s")} & set(silent)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("train-10h", "see the subset's utterances twice"),
        ("dev2", "validation"),
        ("test-mine", "decoding"),
        ("", "no name for a split"),
        ("../10h", "no name for a split"),
        ("1h", "a split of the corpus already"),
    ],
)
def test_names_that_are_refused(out: Path, name: str, said: str) -> None:
    summary = read_json(out / "prep.json")
    summary["splits"]["1h"] = dict(summary["splits"]["dev-clean"])
    write_json(out / "prep.json", summary)
    before = digests(out)
    with pytest.raises(UsageError, match=said):
        draw(out, name, HOURS, 1)
    assert digests(out) == before


def test_more_than_there_is_and_nothing(out: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"10 hours are wanted, the train splits hold 0\.0\d+ with transcripts"):
        draw(out, "10h", 10, 1)
    with pytest.raises(UsageError, match="more than 0 hours"):
        draw(out, "0h", 0, 1)
    with refused(UsageError, "subset-too-small"):
        draw(out, "0h", 1e-6, 1)
    assert not list(out.glob("*_10h*")) and not list(out.glob("*_0h*"))
    with refused(UsageError, "no-prepared-corpus"):
        draw(tmp_path / "nowhere", "10h", 1, 1)


CHILD = """
import sys
from pathlib import Path
from sewcli.corpora.subset import draw
draw(Path(sys.argv[1]), "20s", 20 / 3600, 7)
"""


def test_killed_at_any_moment_and_run_again(out: Path) -> None:
    draw(out, "20s", HOURS, 7)
    undisturbed = digests(out)
    for pause in np.linspace(0.0, 0.02, 4):
        draw(out, "20s", HOURS, 9)  # what stood there before is of another seed
        child = subprocess.Popen([sys.executable, "-c", CHILD, str(out)], env={**os.environ, "OMP_NUM_THREADS": "1"})
        deadline = time.monotonic() + 60
        while json.loads((out / "prep.json").read_text())["splits"].get("20s", {}).get("subset", {}).get("seed") == 9:
            if child.poll() is not None or time.monotonic() > deadline:
                break
        time.sleep(pause)
        child.send_signal(signal.SIGKILL)
        child.wait()
        entry = read_json(out / "prep.json")["splits"].get("20s")
        there = {name: digest for name, digest in digests(out).items() if name.endswith(("_20s.jsonl.gz", "_20s.txt"))}
        assert entry is not None or there.items() <= undisturbed.items()  # never the cuts of the draw before
        draw(out, "20s", HOURS, 7)
        assert digests(out) == undisturbed


def test_what_cannot_be_drawn_is_refused_before_anything_is_prepared(tmp_path: Path) -> None:
    require_drawable(tmp_path / "nothing yet", ["train-clean-100"], ["10h"])
    with refused(UsageError, "no-such-split"):
        require_drawable(tmp_path, ["dev-clean"], ["10h"])
    with pytest.raises(UsageError, match="cannot be named 'train-10h'"):
        require_drawable(tmp_path, ["train-clean-100"], ["train-10h"])
