"""Common Voice releases: `clips/` with train.tsv, dev.tsv, test.tsv and validated.tsv beside it, for each language a folder.

Paper: Ardila et al. 2020. The official splits are read where they are; validated.tsv alone is drawn from by speaker. Given as
a file in place of train.tsv it is for training, and its clips that are in dev or test are set aside.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sewcli.base.errors import UsageError
from sewcli.corpora.own.rows import Rows
from sewcli.corpora.own.settings import Settings
from sewcli.corpora.own.splits import TRAIN, split_of_name
from sewcli.corpora.own.table import read_table

OFFICIAL = ("train.tsv", "dev.tsv", "test.tsv")
VALIDATED, CLIPS = "validated.tsv", "clips"
COLUMNS = {"path": "path", "text": "sentence", "speaker": "client_id"}


def read(inputs: Sequence[Path], settings: Settings) -> Rows:
    """The utterances of releases, or of tables in one.

    Raises:
        UsageError: no release. DataError: a table cannot be read.
    """
    for table in [table for path in inputs for table in ([path] if path.is_file() else _tables(path))]:
        folder = settings.audio or table.parent / CLIPS
        several = len(inputs) > 1 and table.name == VALIDATED
        split = TRAIN if several else split_of_name(table.name)
        yield from read_table(
            table, replace(settings, audio=folder, columns={**COLUMNS, **settings.columns}), split=split
        )


def _tables(release: Path) -> list[Path]:
    official = [release / name for name in OFFICIAL if (release / name).is_file()]
    if official:
        return official
    if (release / VALIDATED).is_file():
        return [release / VALIDATED]
    below = sorted(path.parent for path in release.glob(f"*/{CLIPS}/"))
    raise UsageError(
        "not-common-voice",
        f"no release of Common Voice: neither train.tsv nor {VALIDATED} here",
        where=release,
        hint=f"give the folder of one language: {below[0]}" if below else f"give the folder that holds {CLIPS}/",
    )
