"""`sew models`: the zoo."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from sewcli.cli import options, show


def models(
    name: Annotated[str | None, typer.Argument(help="Show this one part by part.")] = None,
    tables: Annotated[
        bool, typer.Option("--tables", help="Every row of the paper's tables beside ours, in Markdown.")
    ] = False,
    figures: Annotated[
        bool, typer.Option("--figures", help="Every figure that the papers report, in Markdown.")
    ] = False,
    json: options.Json = False,
) -> None:
    """List the models that `--model` knows by name, with their sizes and the paper's.

    With a name: every layer with its output, parameters and multiply-accumulates for 10 s. Names
    can be varied: +wfe-o-c512 and +wfe-c-c96-l0 (the feature extractor), +fbfe (filter banks),
    +k127 (position kernel), +e384 (width), +s4 (squeeze), +25hz, +upsample, +heads-linear. The
    squeezed rows of the SEW paper's tables 1, 3 and 4 have linear heads.

        sew models
        sew models sew-d-mid
        sew models sew-tiny+wfe-c-c48-l1+k127+heads-linear
        sew models --tables > docs/models.md
        sew models --figures > docs/published.md
    """
    if tables:
        from sewcli.models import models_page

        show.text(models_page.page())
    elif figures:
        from sewcli.models import published_page

        show.text(published_page.page())
    elif name:
        print_model(name, as_json=json)
    else:
        print_models(as_json=json)


def print_models(*, as_json: bool = False) -> None:
    """Print the zoo and the paper's variants, a line each."""
    from sewcli.models.sizes import every_name, sizes

    if as_json:
        show.objects(*map(sizes, every_name()))
        return
    rows = []
    for row in map(sizes, every_name()):
        plain = [str(row[key]) for key in ("name", "family", "width", "layers", "position_kernel", "squeeze")]
        paper = f"{row['paper_parameters']} M" if row["paper_parameters"] else "-"
        ours = f"{row[str(row['paper_counts'] or 'parameters')] / 1e6:.2f} M"
        extractor = f"{row['extractor_parameters'] / 1e6:.2f} M"
        rows.append([*plain, ours, paper, extractor, row["description"]])
    columns = [
        *show.names("model"),
        *show.names("family", spare=2),
        *show.figures("width", "layers"),
        *show.figures("kernel", "squeeze", spare=1),
        *show.figures("size", "paper"),
        *show.figures("extractor", spare=3),
        *show.names("", spare=4),
    ]
    show.table(columns, rows)


def print_model(name: str, *, as_json: bool = False) -> None:
    """Print the sizes of one model, and its layers with output shape, parameters and multiply-accumulates for 10 s.

    Raises:
        UsageError: no such model.
    """
    from dataclasses import asdict

    from sewcli.models.flops import SECONDS, anatomy, folded, paper_flops
    from sewcli.models.paper import COSTS
    from sewcli.models.sizes import VOCABULARY, extractor_macs, extractor_parts, sizes
    from sewcli.models.zoo import lookup

    row, config = sizes(name), lookup(name)
    parts = anatomy(config, VOCABULARY)
    macs = sum(part.macs for part in parts)
    of_extractor = extractor_macs(name)
    flops = paper_flops(config)
    if as_json:
        row |= {"macs_10s": macs, "extractor_macs_10s": of_extractor, "extractor_flops_as_in_table_2": flops}
        show.objects({**row, "parts": [asdict(part) for part in parts]})
        return
    _print_sizes(row)
    show.line(f"\nOne utterance of {SECONDS} s; GMAC: billions of multiply-accumulates\n")
    rows = []
    for part, number in folded(parts):
        first = part.name if number == 1 else f"{part.name}-{int(part.name.rpartition('.')[2]) + number - 1}, each"
        shape = " x ".join(map(str, part.shape)) if part.shape else ""
        rows.append([first, part.kind, shape, f"{part.parameters:,}", f"{part.macs / 1e9:.3f}"])
    rows.append(["all", "", "", f"{row['parameters']:,}", f"{macs / 1e9:.3f}"])
    show.table([*show.names("part"), *show.names("", spare=1), *show.figures("output", "parameters", "GMAC")], rows)
    if flops:
        own = extractor_parts(name)
        cost = next((f"; the paper prints {c.flops}" for c in COSTS if extractor_parts(c.model) == own), "")
        show.line(f"\nextractor: {of_extractor / 1e9:.3f} GMAC; counted as in table 2: {flops / 1e9:.2f} G{cost}")


def _print_sizes(row: dict[str, Any]) -> None:
    paper = f"; the paper prints {row['paper_parameters']} M" if row["paper_parameters"] else ""
    shown = {key: row[key] for key in ("name", "family", "width", "layers", "heads", "position_kernel", "squeeze")}
    shown |= {
        "parameters": f"{row['parameters']:,}{paper}",
        "of the extractor": f"{row['extractor_parameters']:,}",
        "with heads": f"{row['pretraining_parameters']:,} (pre-training, without CTC layer)",
        "description": row["description"],
    }
    for key, value in shown.items():
        if value:
            show.line(f"{key:18} {value}")
