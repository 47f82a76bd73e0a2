"""`sew bench`: how fast, large, hungry and right any models are, side by side."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from sewcli.base import log
from sewcli.base.errors import UsageError
from sewcli.cli import options, show

if TYPE_CHECKING:
    from sewcli.bench.energy import Counters, Country
    from sewcli.bench.speech import Speech

CPU_SHARE = 0.01  # of dev-clean: minutes on one core


def bench(
    models: Annotated[
        list[str], typer.Argument(metavar="MODEL", help="Names of the zoo (new weights), model folders or Hub ids.")
    ],
    runtime: Annotated[
        str | None, typer.Option(help="What computes them, several with commas.", show_default="what fits their files")
    ] = None,
    precision: Annotated[
        str,
        typer.Option(
            help="fp32, bf16; on a GPU also tf32, fp16; several with commas.", show_default="fp32, on a GPU tf32"
        ),
    ] = "auto",
    share: Annotated[
        float | None,
        typer.Option(
            help="Of the utterances, by even steps of length.", show_default="all of it; on a CPU 0.01 of dev-clean"
        ),
    ] = None,
    trials: Annotated[int, typer.Option(min=1, help="Times that each model goes through all.")] = 5,
    data: options.Data = None,
    split: Annotated[
        str | None,
        typer.Option(help="Real cuts of DATA, with word error rates.", show_default="noise of dev-clean's lengths"),
    ] = None,
    lm: Annotated[
        str | None, typer.Option(help="Also a beam search with this model, e.g. 4gram.", show_default="no")
    ] = None,
    device: options.Device = "auto",
    energy: Annotated[
        str | None, typer.Option(metavar="COUNTRY", help="Also kWh and CO2 of a country (ISO code).", show_default="no")
    ] = None,
    layers: Annotated[bool, typer.Option("--layers", help="Its feature extractor layer by layer instead.")] = False,
    out: Annotated[Path | None, typer.Option(help="Folder for bench.json and a plot.", show_default="none")] = None,
    json: options.Json = False,
) -> None:
    """Measure inference as the SEW paper does: time, memory, size, error rates and energy of any models.

    Timed are forward pass and greedy search over dev-clean's lengths, sorted, at most 250 s of padded
    audio in a batch (30 s on a CPU, where more is slower), without reading audio, loading or scoring;
    the mean of 5 trials with its deviation. Models take turns, each in a process of its own, so that
    noise of the machine hits all. Beside the ratio to W2V2-base (or to the first model) stands the
    paper's, in fp32 alone, as the paper measures: compare with --precision fp32. MFU is against the
    best matrix product measured here; memory is what a process needs above its loaded model. With
    --split real cuts are decoded and scored; otherwise a model folder's own decode/*/score.json is
    shown. With --energy the machine's counters are read (RAPL, NVML).

        sew bench w2v2-base sew-mid sew-d-mid
        sew bench sew-tiny sew-d-tiny --share 0.1 --out exp/bench
        sew bench exp/a/model exp/a-int8 exp/a-6-layers --split dev-clean --lm 4gram
        sew bench sew-d-mid --precision fp32,bf16 --runtime torch --json
        sew bench w2v2-base sew-mid --energy DEU
        sew bench sew-tiny --layers
    """
    from sewcli.base.device import choose_device
    from sewcli.bench.subject import chosen, subjects
    from sewcli.runtimes.acoustic_model import Precision
    from sewcli.runtimes.recogniser import Runtime, RuntimeOptions

    where = choose_device(device)
    if layers:
        from sewcli.bench.layers import measure_layers

        for name in models:
            _show_layers(measure_layers(name, where, trials), as_json=json)
        return
    runtimes = chosen(runtime, get_args(Runtime), "runtime") if runtime else [RuntimeOptions().runtime]
    precisions = chosen(precision, get_args(Precision), "precision")
    speech = _speech(data or options.DATA, split, share, on_cpu=where.type == "cpu")
    counted = _energy(energy) if energy else None
    with tempfile.TemporaryDirectory(prefix="sew-bench-") as place:
        found = subjects(models, runtimes, precisions, Path(place))
        if lm and (split is None or any(subject.random for subject in found)):
            raise UsageError(
                "options-conflict",
                "a beam search takes as long as its emissions are unsure, so --lm needs trained models and real speech",
                hint="sew bench exp/NAME/model --split dev-clean --lm 4gram",
            )

        from sewcli.bench.run import Plan, measure

        rows = measure(Plan(found, speech, where, trials, lm, data or options.DATA, counted))
    _show(rows, speech.title, as_json=json)
    if out:
        from sewcli.bench.plots import write_folder

        write_folder(out, rows, speech.title)


def _speech(data: Path, split: str | None, share: float | None, *, on_cpu: bool) -> Speech:
    from sewcli.bench.speech import dev_clean, real_cuts
    from sewcli.data.utterances import require_splits

    if split is None:
        return dev_clean((CPU_SHARE if on_cpu else 1.0) if share is None else share)
    return real_cuts(data, require_splits(data, [split], default_prefix="dev")[0], 1.0 if share is None else share)


def _energy(code: str) -> tuple[Country, Counters] | None:
    """None, and a line that says why, where nothing can be measured."""
    from sewcli.bench.energy import Counters, country

    where, counters = country(code), Counters()
    if counters.names:
        return where, counters
    log.warn(counters.missing)
    return None


def _show(rows: Sequence[dict[str, Any]], title: str, *, as_json: bool) -> None:
    """The table, or a JSON object a line; how it was measured is in the log."""
    if as_json:
        show.objects(*rows)
        return
    from sewcli.bench.subject import PAPER_PRECISION

    first = rows[0]
    with_lm, with_energy = first["lm"] is not None, "energy" in first
    columns = [
        *show.names("model"),
        *show.names("runtime", "precision", spare=1),
        *show.figures("parameters, M", "MB on disk", spare=3),
        *show.figures("seconds"),
        *show.figures("±", spare=2),
        *show.figures("CPU s", spare=6),
        *show.figures("x real time", spare=5),
        *show.figures("ratio"),
        *show.figures("paper", spare=4),
        *show.figures("MFU", spare=8),
        *show.figures("memory, MB", spare=7),
        *show.figures("WER"),
        *(show.figures("LM CPU s", "WER LM") if with_lm else []),
        *(show.figures("kWh / 1e6 h", "kg CO2 / 1e6 h") if with_energy else []),
    ]
    show.table(columns, [_cells(row, with_lm, with_energy) for row in rows])
    log.info(
        f"{title}; mean of {len(first['seconds'])} trials in turn, {first['threads']} thread(s) on {first['device']}, forward "
        f"and greedy search without reading audio, batches of at most {first['batch_seconds']:g} s (the paper: 250 s)\n"
        f"ratio: of seconds, to {' and '.join(dict.fromkeys(r['ratio_to'] for r in rows))}; paper: SEW tables 6, "
        "13, 8 and 5, fp32 on a V100; MFU: operations of the unpadded audio over the best matrix product here; memory: "
        "above the loaded model"
    )
    if others := {row["precision"] for row in rows if row["paper_seconds"]} - {PAPER_PRECISION}:
        log.info(f"no ratio of the paper beside {', '.join(sorted(others))}: its times are fp32 (--precision fp32)")


def _cells(row: dict[str, Any], with_lm: bool, with_energy: bool) -> list[str]:
    cells = [
        row["model"],
        row["runtime"],
        row["precision"],
        f"{row['parameters'] / 1e6:.2f}",
        f"{row['mb_on_disk']:.1f}",
        f"{row['mean']:.2f}",
        "-" if row["deviation"] is None else f"{row['deviation']:.2f}",
        f"{row['cpu_seconds']:.2f}",
        f"{row['audio_seconds_a_second']:.1f}",
        f"{row['ratio']:.2f}",
        "-" if row["paper_ratio"] is None else f"{row['paper_ratio']:.2f}",
        "-" if row["mfu"] is None else f"{row['mfu']:.0%}",
        f"{row['memory_mb']:.0f}",
        "-" if row["wer"] is None else f"{row['wer']:.2%} ({row['wer_of']})",
    ]
    if with_lm:
        cells += [f"{row['lm_cpu_seconds']:.2f}", "-" if row["wer_lm"] is None else f"{row['wer_lm']:.2%}"]
    if with_energy:
        cells += [f"{row['energy'][key]:.3g}" for key in ("kwh_per_million_hours", "kg_co2_per_million_hours")]
    return cells


def _show_layers(found: dict[str, Any], *, as_json: bool) -> None:
    """An extractor layer by layer."""
    if as_json:
        show.objects(found)
        return
    whole = {"layer": "all", "kind": "", "shape": None, **{key: found[key] for key in ("macs", "seconds", "deviation")}}
    rows = [
        [
            row["layer"],
            row["kind"],
            " x ".join(map(str, row["shape"] or ())),
            f"{row['macs'] / 1e9:.3f}",
            f"{1000 * row['seconds']:.2f}",
            f"{1000 * row['deviation']:.2f}",
            f"{row['seconds'] / found['seconds']:.1%}",
            f"{row['macs'] / row['seconds'] / 1e9:.1f}" if row["macs"] else "",
        ]
        for row in [*found["layers"], whole]
    ]
    show.table([*show.names("layer", "kind", "output"), *show.figures("GMAC", "ms", "±", "share", "GMAC/s")], rows)
    counted = f"; {found['flops_as_in_table_2'] / 1e9:.1f} G as table 2 counts" if found["flops_as_in_table_2"] else ""
    log.info(
        f"one utterance of {found['audio_seconds']} s in fp32, {found['threads']} thread(s), mean of {found['trials']}{counted}"
    )
