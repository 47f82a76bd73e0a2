"""Greedy and Viterbi on every test utterance of all miniatures, by a model that was trained on each (SEW table 11)."""

from pathlib import Path

import pytest
from support.sew_command import run_sew

from sewcli.base.files import read_json, read_jsonl
from sewcli.data.utterances import read_split, splits

ROOT = Path(__file__).parents[2]
UPDATES = 900  # enough to write letters: fresh weights write blanks alone, on which all searches agree


@pytest.mark.long
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("corpus", ["librispeech", "tedlium3", "voxpopuli", "swbd_fisher"])
def test_greedy_and_viterbi_write_the_same_for_every_utterance(corpus: str, tmp_path: Path) -> None:
    def sew(*arguments: object) -> None:
        done = run_sew(*map(str, arguments), cwd=tmp_path, timeout=2500)
        assert done.returncode in (0, 4), done.stderr  # 4: miniatures hold what the corpus's own faults are

    sew("prep", corpus, "--mini", "--out", "data")
    recipe = ROOT / f"egs/{corpus}/conf/mini-finetune.yaml"
    training = ["--updates", UPDATES, "--set", f"valid_every={UPDATES}", "--exp", "exp/mine"]
    sew("finetune", "--model", "sew-micro", "--data", "data", "--config", recipe, *training)
    chosen = [name for name in splits(tmp_path / "data") if name.startswith(("test", "dev"))]
    wanted = [word for name in chosen for word in ("--split", name)]
    for lm in ("none", "viterbi"):
        sew("decode", "--model", "exp/mine", "--data", "data", "--lm", lm, *wanted)
    seen, letters = 0, 0
    for name in chosen:
        folders = [tmp_path / "exp/mine/decode" / f"data-{name}-{decoder}" for decoder in ("greedy", "viterbi")]
        assert [read_json(folder / "decode.json")["decoder"] for folder in folders] == ["greedy", "viterbi"]
        greedily, searched = (list(read_jsonl(folder / "hyps.jsonl")) for folder in folders)
        assert [row["id"] for row in greedily] == [u.id for u in read_split(tmp_path / "data", name)]
        for one, other in zip(greedily, searched, strict=True):
            assert (one["id"], one["text"]) == (other["id"], other["text"])
            assert one["score"] == pytest.approx(other["score"], abs=1e-3)
        seen += len(greedily)
        letters += sum(len(row["text"]) for row in greedily)
    assert seen >= 100 and letters > 5 * seen
