"""`sew score`: hypotheses become a word error rate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sewcli.base.errors import UsageError
from sewcli.cli import options


def score(
    context: typer.Context,
    folders: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[DIR]...", help="Decode folders, or folders above them.", show_default="all below exp/"
        ),
    ] = None,
    against: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Compare with this decode folder of the same split, side by side and by tests."
        ),
    ] = None,
    by_speaker: Annotated[
        bool, typer.Option("--by-speaker", help="Draw speakers, not utterances, for intervals and tests.")
    ] = False,
    data: Annotated[
        Path | None, typer.Option("--data", help="The prepared corpus.", show_default="where it was decoded")
    ] = None,
    nist: Annotated[
        str, typer.Option(metavar="TOOL", help="What scores an STM: sctk, python, or auto (sctk if it is installed).")
    ] = "auto",
    json: options.Json = False,
) -> None:
    """Word error rate of what `sew decode` wrote: one row a decode folder.

    Writes DIR/score.json (rates, a 95 % bootstrap interval, counts), DIR/utterances.jsonl (every
    utterance with its reference, hypothesis and errors, the worst first) and DIR/errors.txt (errors
    by speaker and by length, the words most often wrong, transcripts side by side). `sew decode`
    does this by itself; run it again after you changed hypotheses, or to see the table again.

    Both texts are brought into one form first: every kind of white space is a blank, Unicode is composed
    (NFC), and where the model writes one case only, both are compared in it. Texts that have nothing in
    common are named. Of phones the rate is a PER; where blanks separate no words, look at the CER.

    Telephone tests (Eval2000, RT-03S) are also scored against NIST's STM with its map of spellings,
    all of it and Switchboard, CallHome or Fisher apart: by sctk where it is installed (apt install
    sctk), otherwise by the same rules in Python.

    With --against: the difference of two systems with its interval, the p-values of a paired
    bootstrap and of NIST's matched pairs test (MAPSSWE), and DIR/against-B.txt with what each wrote.

        sew score
        sew score exp/sew-d-mid-ft/decode/librispeech-test-clean-4gram-beam50
        sew score exp/a/decode/mine-test-greedy --against exp/b/decode/mine-test-greedy --by-speaker
        less exp/sew-d-mid-ft/decode/librispeech-test-clean-greedy/errors.txt
    """
    from sewcli.scoring.score import find_folders, print_scores, score_folder

    if against is not None:
        from sewcli.scoring.against import compare_folders, print_comparison

        if folders is None or len(folders) != 1:
            raise UsageError(
                "option-missing", "--against compares two systems", hint="give one decode folder before it"
            )
        options.warn_without_effect(context, "with --against", "nist")
        print_comparison(compare_folders(folders[0], against, by_speaker=by_speaker, data=data), as_json=json)
        return
    found = [folder for root in folders or [options.EXPERIMENTS] for folder in find_folders(root)]
    scores = [score_folder(folder, by_speaker=by_speaker, data=data, tool=nist) for folder in dict.fromkeys(found)]
    if not any("nist" in found for found in scores):
        options.warn_without_effect(context, "where the corpus has no STM", "nist")
    print_scores(scores, as_json=json)
