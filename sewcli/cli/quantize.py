"""`sew quantize`: products of eight bits, for a smaller and faster recogniser on a CPU."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sewcli.cli import options, show


def quantize(
    model: Annotated[
        Path, typer.Argument(help="A recogniser: its folder, its experiment, a fairseq file, a Hub id or a graph.")
    ],
    out: Annotated[Path, typer.Argument(help="Folder to write.")],
    data: options.Data = None,
    split: Annotated[
        str | None, typer.Option(help="Split that the clips are drawn from.", show_default="train*, or else all")
    ] = None,
    clips: Annotated[int, typer.Option(min=1, help="Utterances that show how large activations get.")] = 64,
    seed: options.Seed = None,
    json: options.Json = False,
) -> None:
    """Write a recogniser whose products are of eight bits, for OpenVINO on a CPU.

    Linear layers, the position convolution and the scores of attention (SEW-D's positions too) become
    int8; the wave extractor, norms, sums, softmax and what it multiplies stay fp32. Nothing is trained: the
    ranges of activations come from some clips of audio, which need no transcripts but should sound like
    what it will transcribe. OUT is a model folder that `sew decode` and `sew transcribe` take as any other; it
    says how far its logits are from fp32 on clips it has not seen. How much time it saves depends on the
    processor: with VNNI twice as much as without. Needs pip install 'sewcli\\[quantize]'.

    bf16 needs no such folder: sew decode --runtime openvino --precision bf16, on processors that
    have it (AVX-512 BF16, AMX). For GPUs see docs/runtimes.md.

        sew quantize exp/sew-d-mid-ft exp/sew-d-mid-int8/model
        sew quantize exp/sew-tiny-ft exp/sew-tiny-int8/model --data data/mine --split dev --clips 200
        sew transcribe talk.mp3 --model exp/sew-d-mid-int8
    """
    from sewcli.base.lock import writing
    from sewcli.compression.quantize import quantize as run
    from sewcli.models.source import resolve

    with writing(out):
        facts = run(
            resolve(options.recogniser(model)),
            out,
            data=data or options.DATA,
            split=split,
            clips=clips,
            seed=1 if seed is None else seed,
        )
    if json:
        show.objects(facts)
        return
    show.line(
        f"{out}: int8, {facts['bytes'] / 1e6:.1f} MB, {facts['bytes'] / facts['source_bytes']:.2f} of the model's; on "
        f"{facts['held_out']} other clips logits {facts['logit_error']:.1%} off, and another best symbol in "
        f"{facts['changed_frames']:.1%} of the frames"
    )
