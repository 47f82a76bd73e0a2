"""Which splits are used, and what is said when they are not there."""

from pathlib import Path

import pytest

from sewcli.base.errors import UsageError
from sewcli.data.utterances import require_splits


def test_without_train_splits_the_setting_that_names_one_is_said(tmp_path: Path) -> None:
    for name in ("10h", "dev-clean", "small"):
        (tmp_path / f"cuts_{name}.jsonl.gz").touch()
    with pytest.raises(UsageError, match=r"no split train\* .*\n.*10h, dev-clean, small, e\.g\. --set data\.train=10h"):
        require_splits(tmp_path, None, default_prefix="train")
    assert require_splits(tmp_path, ("10h", "small"), default_prefix="train") == ["10h", "small"]
    assert require_splits(tmp_path, None, default_prefix="dev") == ["dev-clean"]
