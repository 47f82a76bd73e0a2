"""`sew score`: hypotheses become a word error rate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sewcli.cli import options


def score(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[DIR]...", help="Decode folders, or folders above them.", show_default="all below exp/"
        ),
    ] = None,
    json: options.Json = False,
) -> None:
    """Word error rate of what `sew decode` wrote: one row a decode folder.

    Writes DIR/score.json (rate and counts) and DIR/utterances.jsonl (every utterance with its
    reference, hypothesis and errors, the worst first). `sew decode` does this by itself; run it
    again after you changed hypotheses, or to see the table again.

        sew score
        sew score exp/sew-d-mid-ft/decode/test-clean-4gram-beam50
        head -3 exp/sew-d-mid-ft/decode/test-clean-greedy/utterances.jsonl
    """
    from sewcli.scoring.score import find_folders, print_scores, score_folder

    found = [folder for root in folders or [options.EXPERIMENTS] for folder in find_folders(root)]
    print_scores([score_folder(folder) for folder in dict.fromkeys(found)], as_json=json)
