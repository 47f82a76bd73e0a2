"""`sew score`: hypotheses become a word error rate."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from sewcli.base.errors import UsageError
from sewcli.cli import options, show


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
    from sewcli.scoring.score import find_folders, score_folder

    if against is not None:
        from sewcli.scoring.against import compare_folders

        if folders is None or len(folders) != 1:
            raise UsageError(
                "option-missing", "--against compares two systems", hint="give one decode folder before it"
            )
        options.warn_without_effect(context, "with --against", "nist")
        show_comparison(compare_folders(folders[0], against, by_speaker=by_speaker, data=data), as_json=json)
        return
    found = [folder for root in folders or [options.EXPERIMENTS] for folder in find_folders(root)]
    scores = [score_folder(folder, by_speaker=by_speaker, data=data, tool=nist) for folder in dict.fromkeys(found)]
    if not any("nist" in found for found in scores):
        options.warn_without_effect(context, "where the corpus has no STM", "nist")
    show_scores(scores, as_json=json)


def show_scores(scores: Sequence[dict[str, Any]], *, as_json: bool) -> None:
    """A row a decode folder and a part of an STM, or a JSON object a line."""
    if as_json:
        show.objects(*scores)
        return
    from sewcli.scoring.agreement import RATES
    from sewcli.text.agreement import WORD

    rate = "/".join(dict.fromkeys(RATES[score["unit"]] for score in scores)) or RATES[WORD]
    units = "/".join(dict.fromkeys(f"{score['unit']}s" for score in scores)) or f"{WORD}s"
    columns = [
        *show.names("system", "split", "decoder"),
        *show.figures(rate),
        *show.figures("95 % interval", spare=1),
        *show.figures("CER", spare=2),
        *show.figures("95 % interval", spare=7),
        *show.figures(f"errors / {units}", spare=3),
        *show.figures("sub", "del", "ins", spare=6),
        *show.figures("utterances", spare=5),
        *show.figures("with errors", spare=4),
    ]
    show.table(columns, _rows(scores))


def show_comparison(found: dict[str, Any], *, as_json: bool) -> None:
    """Lines, or a JSON object."""
    if as_json:
        show.objects(found)
        return
    low, high = found["interval"]
    pairs = found["mapsswe"]
    show.line(
        f"A  {100 * found['wer_a']:6.2f} %  {found['a']}\n"
        f"B  {100 * found['wer_b']:6.2f} %  {found['b']}\n"
        f"A - B  {100 * found['difference']:+.2f} points, 95 % interval {100 * low:+.2f} to {100 * high:+.2f} "
        f"(bootstrap over {found['utterances']} utterances{' by speaker' if found['over'] == 'speakers' else ''})\n"
        f"paired bootstrap  p = {found['p_bootstrap']:.4f}; A is better in {100 * found['better']:.1f} % of the draws\n"
        f"MAPSSWE           p = {pairs['p']:.4f}; z = {pairs['z']:+.3f} over {pairs['segments']} segments\n"
        f"side by side: {found['transcripts']}"
    )


def _rows(scores: Sequence[dict[str, Any]]) -> Iterator[list[str]]:
    systems = [_system(Path(score["folder"])) for score in scores]
    alike = {system.name for system in systems if len({s for s in systems if s.name == system.name}) > 1}
    for system, score in zip(systems, scores, strict=True):
        yield [
            str(system) if system.name in alike else system.name,
            str(score["split"]),
            str(score["decoder"]),
            show.percent(score["wer"]),
            _between(score["wer_interval"]),
            show.percent(score["cer"]),
            _between(score["cer_interval"]),
            *_counted(score),
            f"{100 * score['sentence_error_rate']:.1f} %",
        ]
        for part, of_it in _nist_rows(score):
            yield ["", f"  {part}", of_it["tool"], show.percent(of_it["wer"]), "", "", "", *_counted(of_it), ""]


def _system(folder: Path) -> Path:
    """The experiment that a decode folder is of: `exp/NAME` of `exp/NAME/decode/...`; elsewhere the folder around it."""
    around = folder.parent.parent if folder.parent.name == "decode" else folder.parent
    return around if around.name else folder


def _between(bounds: tuple[float, float]) -> str:
    low, high = bounds
    return f"{100 * low:.2f} - {show.percent(high)}"


def _counted(score: Mapping[str, Any]) -> list[str]:
    errors = score["substitutions"] + score["deletions"] + score["insertions"]
    names = ("substitutions", "deletions", "insertions", "utterances")
    return [f"{errors:,} / {score['words']:,}", *(f"{score[name]:,}" for name in names)]


def _nist_rows(score: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    if of_all := score.get("nist"):
        tool = {"tool": f"STM and GLM, {of_all['tool']}"}
        yield "all, as NIST", of_all | tool
        for part, of_it in of_all["parts"].items():
            yield part, of_it | tool
