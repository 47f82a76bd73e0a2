import json
from pathlib import Path

import pytest

from sewcli.base.errors import DataError, UsageError
from sewcli.decoding.beam import BeamOptions
from sewcli.decoding.weights import DEFAULT, NAMED, Weights, find_weights


def test_the_default_is_the_searchs_own() -> None:
    options = BeamOptions()
    assert find_weights(DEFAULT) == Weights(options.lm_weight, options.word_score) == Weights(2.0, -1.0)


def test_names_are_the_table_of_the_paper() -> None:
    """Less labels, more language model: the table's trend, and both ends of it."""
    tuned = [weights.lm_weight for name, weights in NAMED.items() if name.startswith("w2v2-")]
    assert tuned == sorted(tuned, reverse=True) and len(tuned) == 5
    assert find_weights("w2v2-10m-4gram") == Weights(3.23, -0.26)
    assert find_weights("w2v2-960h-4gram") == Weights(1.74, 0.52)
    assert find_weights("2.5,-1") == Weights(2.5, -1.0) and find_weights("0,+0.5") == Weights(0.0, 0.5)


def test_a_file_and_its_folder_are_read(tmp_path: Path) -> None:
    (tmp_path / "weights.json").write_text(json.dumps({"lm_weight": 1, "word_score": -0.5, "wer": 0.1}))
    assert find_weights(str(tmp_path)) == find_weights(str(tmp_path / "weights.json")) == Weights(1.0, -0.5)


@pytest.mark.parametrize(
    "content",
    ['{"lm_weight": 1}', '{"lm_weight": "1", "word_score": 0}', '{"lm_weight": NaN, "word_score": 0}', "[1, 2]", "{"],
)
def test_files_without_two_numbers_are_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "weights.json").write_text(content)
    with pytest.raises(DataError) as caught:
        find_weights(str(tmp_path))
    assert caught.value.where == tmp_path / "weights.json"


def test_a_wrong_name_gets_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="did you mean 'w2v2-10h-4gram'"):
        find_weights("w2v2-10h-4gran")
