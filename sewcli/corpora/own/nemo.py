"""NeMo manifests: a JSON object a line, with audio_filepath, text, and offset and duration where an utterance is a stretch.

Format: docs.nvidia.com/nemo-framework, speech AI, "Preparing Custom ASR Data". Without an offset an utterance is its whole
file: durations are rounded. Manifests of audio in tar files are refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sewcli.base.errors import UsageError
from sewcli.corpora.own.records import open_table
from sewcli.corpora.own.rows import Rows
from sewcli.corpora.own.settings import Settings
from sewcli.corpora.own.table import read_table

PATH = "audio_filepath"


def read(inputs: Sequence[Path], settings: Settings) -> Rows:
    """The utterances of manifests.

    Raises:
        DataError: a manifest cannot be read. UsageError: it is none, or of audio in tar files.
    """
    for path in inputs:
        columns = open_table(path).columns
        if PATH not in columns:
            raise UsageError("not-a-nemo-manifest", f"no {PATH} in it", where=path, hint="other tables: sew prep table")
        if "shard_id" in columns:
            raise UsageError("audio-in-archives", "a manifest of audio in tar files", where=path, hint="unpack them")
        yield from read_table(path, replace(settings, columns={"path": PATH, **settings.columns}))
