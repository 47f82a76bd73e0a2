"""What a language model costs: `sew decode`'s beam search beside flashlight called plainly and pyctcdecode, on one core.

    python benchmarks/made_emissions.py documents --out data/made                   # its docstring tells where from
    sew lm ngram data/made/text_train.txt --order 4 --out data/made/lm/4gram.arpa --data data/made
    pip install --no-deps --target peer pyctcdecode pygtrie                         # asks for numpy < 2, works with numpy 2
    PYTHONPATH=.:peer python benchmarks/lm_decoding.py --data data/made             # an idle machine; --jobs 1 2 4 8 16

All decode the same emissions with the same 4-gram, lexicon and weights, in turn: CPU seconds a second of audio, and word
error rates. flashlight has its usual settings (all symbols, threshold 25) and a trie of its own. Then decoder processes:
wall seconds of 1, 2, ... of them, their memory, and how much longer a recogniser of the size of wav2vec 2.0 base takes with a
language model than without one; its weights are random, so the decoders get emissions of the same length that are made.
--kept adds real emissions: a decode folder's parent with <split>.emissions (sew decode --keep-emissions float32).
"""

from __future__ import annotations

import argparse
import functools
import gc
import json
import math
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from made_emissions import Recogniser
from safetensors.numpy import load_file

from sewcli.base.files import read_json, read_jsonl, write_json
from sewcli.base.machine import processor
from sewcli.decoding.beam import EXHAUSTIVE, BeamDecoder, BeamOptions
from sewcli.decoding.greedy import greedy
from sewcli.decoding.pool import DecoderPool
from sewcli.lm.files import LanguageModelFiles, resolve
from sewcli.scoring.wer import word_errors
from sewcli.text.tokens import Vocabulary

LETTERS = Vocabulary.letters()
HARDNESS = (1.0, 1.4)
BEAMS = (5, 50, 500)
RATE = 50.0  # frames a second
WEIGHTS = BeamOptions().weights
TOKENS, THRESHOLDS, LM_WEIGHTS = (None, 16, 8, 5, 3), (25.0, 20.0, 15.0, 12.0, 10.0), (0.5, 1.0, 3.25, 4.5)
PARTS = ("searches", "settings", "processes")
ROUNDS = {5: 3, 50: 3, 500: 1}
Texts = Callable[[Sequence[np.ndarray]], list[str]]


@dataclass(frozen=True)
class Heard:
    """Emissions, and what was said."""

    name: str
    emissions: list[np.ndarray]
    texts: list[str]

    @property
    def seconds(self) -> float:
        """Of audio."""
        return sum(map(len, self.emissions)) / RATE


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data/made"))
    parser.add_argument("--lm", default="4gram")
    parser.add_argument("--sentences", type=int, default=200)
    parser.add_argument(
        "--kept", type=Path, nargs=2, metavar=("DECODE", "DATA"), help="real emissions, and their corpus"
    )
    parser.add_argument("--jobs", type=int, nargs="+", default=(1, 2))
    parser.add_argument("--part", choices=(*PARTS, "all"), default="all")
    parser.add_argument("--model", default="w2v2-base", help="whose time decoding is held against")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/lm_decoding.json"))
    given = parser.parse_args()
    files = resolve(given.lm, given.data, LETTERS)
    texts = (given.data / "text_test.txt").read_text().splitlines()[: given.sentences]
    sets = [made(f"made, hardness {hardness:g}", texts, hardness) for hardness in HARDNESS]
    found: dict[str, Any] = read_json(given.out) if given.out.exists() else {}
    circumstances = {
        "command": "python " + " ".join(["benchmarks/lm_decoding.py", *sys.argv[1:]]),
        "date": date.today().isoformat(),
        "machine": f"{processor()}, {os.cpu_count()} cores",
        "versions": versions(),
        "lm": {"file": files.model.name, "bytes": files.model.stat().st_size},
        "lexicon_words": sum(1 for _ in files.lexicon.open()),
    }
    for part in PARTS if given.part == "all" else (given.part,):
        found[f"{part}, measured"] = circumstances
    if given.part in ("searches", "all"):
        found["searches"] = [row for heard in sets for row in searches(heard, files)]
        if given.kept:
            heard = kept(*given.kept)
            found["searches"] += searches(heard, resolve(given.lm, given.kept[1], LETTERS))
    if given.part in ("settings", "all"):
        found["settings"] = settings(sets[0], files)
    if given.part in ("processes", "all"):
        found["processes"] = [row for beam in BEAMS[1:] for row in scaling(sets[0], files, given.jobs, beam)]
        found["beside_the_model"] = beside_the_model(given.model, sets[0], files)
    write_json(given.out, found)


def made(name: str, texts: list[str], hardness: float) -> Heard:
    recogniser = Recogniser(LETTERS, hardness)
    return Heard(name, [recogniser.emission(text, seed) for seed, text in enumerate(texts)], texts)


def kept(decode: Path, data: Path) -> Heard:
    """All splits whose emissions and greedy hypotheses are there."""
    emissions, texts = [], []
    for folder in sorted(decode.glob("*.emissions")):
        part = folder / "1-of-1"
        said = {row["id"]: row["reference"] for row in read_jsonl(decode / f"{folder.stem}-greedy" / "hyps.jsonl")}
        for file in read_json(part / "emissions.json")["files"]:
            tensors = load_file(part / file["file"])
            emissions += [tensors[str(place)] for place in range(len(file["utterances"]))]
            texts += [said[name] for name in file["utterances"]]
    return Heard(f"recogniser of {data.name}", emissions, texts)


def searches(heard: Heard, files: LanguageModelFiles) -> list[dict[str, Any]]:
    """Each beam: flashlight as it comes, ours exhaustive and fast; then pyctcdecode, if it is here."""
    greedily = word_errors(heard.texts, [LETTERS.text(greedy(e, blank=0)) for e in heard.emissions]).wer
    rows = [{"set": heard.name, "search": "greedy", "wer": greedily, "audio_seconds": heard.seconds}]
    for beam in BEAMS:
        ways: dict[str, Texts] = {
            "flashlight": plain_flashlight(files, beam),
            "sew --exhaustive": ours(files, BeamOptions(beam=beam, **EXHAUSTIVE)),
            "sew": ours(files, BeamOptions(beam=beam)),
        }
        if beam == BEAMS[1] and find_spec("pyctcdecode"):
            ways["pyctcdecode"] = pyctcdecode(files, beam)
        rows += measured(heard, beam, ways)
    for row in rows:
        print(json.dumps(row), flush=True)
    return rows


def measured(heard: Heard, beam: int, ways: dict[str, Texts]) -> list[dict[str, Any]]:
    """The ways in turn, several times; CPU seconds of the median."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    found = {}
    for _ in range(ROUNDS[beam]):
        for name, decode in ways.items():
            gc.collect()
            began = time.process_time()
            found[name] = decode(heard.emissions)
            taken[name].append(time.process_time() - began)
    seconds = {name: statistics.median(times) for name, times in taken.items()}
    return [
        {
            "set": heard.name,
            "search": name,
            "beam": beam,
            "wer": round(word_errors(heard.texts, found[name]).wer, 5),
            "cpu_seconds": round(seconds[name], 3),
            "real_time_factor": round(seconds[name] / heard.seconds, 7),
            "times_as_fast_as_flashlight": round(seconds["flashlight"] / seconds[name], 2),
        }
        for name in ways
    ]


def settings(heard: Heard, files: LanguageModelFiles) -> list[dict[str, Any]]:
    """What the defaults were chosen by, at beam 50: symbols and thresholds, and thresholds for other weights."""
    wanted = [(tokens, limit, WEIGHTS.lm_weight) for tokens in TOKENS for limit in THRESHOLDS]
    wanted += [(None, limit, weight) for weight in LM_WEIGHTS for limit in THRESHOLDS]
    rows = []
    for tokens, limit, weight in wanted:
        options = BeamOptions(beam_tokens=tokens, threshold=limit, lm_weight=weight)
        decode = ours(files, options)
        began = time.process_time()
        found = decode(heard.emissions)
        seconds = time.process_time() - began
        row = {"symbols": tokens, "threshold": limit, "lm_weight": weight}
        row |= {"wer": round(word_errors(heard.texts, found).wer, 5), "real_time_factor": seconds / heard.seconds}
        print(json.dumps(row), flush=True)
        rows.append(row)
    return rows


def ours(files: LanguageModelFiles, options: BeamOptions) -> Texts:
    search = BeamDecoder(files, LETTERS, options)
    return lambda emissions: [search.decode("", emission)[0].text for emission in emissions]


def plain_flashlight(files: LanguageModelFiles, beam: int) -> Texts:
    """As its own examples have it, with the papers' weights."""
    from flashlight.lib.text import decoder as fl
    from flashlight.lib.text.decoder.kenlm import KenLM
    from flashlight.lib.text.dictionary import create_word_dict, load_words

    lexicon = load_words(str(files.lexicon))
    words = create_word_dict(lexicon)
    lm = KenLM(str(files.model), words)
    trie = fl.Trie(len(LETTERS), LETTERS.boundary)
    start = lm.start(False)
    ids = {token: index for index, token in enumerate(LETTERS.tokens)}
    for word, spellings in lexicon.items():
        index = words.get_index(word)
        for spelling in spellings:
            trie.insert([ids[symbol] for symbol in spelling], index, lm.score(start, index)[1])
    trie.smear(fl.SmearingMode.MAX)
    numbers = (beam, len(LETTERS), 25.0, *(WEIGHTS.lm_weight, WEIGHTS.word_score), -math.inf, 0.0, False)
    options = fl.LexiconDecoderOptions(*numbers, fl.CriterionType.CTC)
    unknown = words.get_index("<unk>")
    search = fl.LexiconDecoder(options, trie, lm, LETTERS.boundary, LETTERS.blank, unknown, [], False)

    def decode(emission: np.ndarray) -> str:
        best = search.decode(emission.ctypes.data, *emission.shape)[0]
        return " ".join(words.get_entry(word) for word in best.words if word >= 0)

    return lambda emissions: [decode(emission) for emission in emissions]


def pyctcdecode(files: LanguageModelFiles, beam: int) -> Texts:
    """With its own pruning; the weight of natural logarithms."""
    from pyctcdecode import build_ctcdecoder

    labels = ["" if token == "<pad>" else " " if token == "|" else token for token in LETTERS.tokens]
    words = [line.split()[0] for line in files.lexicon.read_text().splitlines()]
    alpha = WEIGHTS.lm_weight / math.log(10)
    search = build_ctcdecoder(labels, str(files.model), words, alpha=alpha, beta=WEIGHTS.word_score)
    return lambda emissions: [search.decode(emission, beam_width=beam) for emission in emissions]


def scaling(heard: Heard, files: LanguageModelFiles, counts: Sequence[int], beam: int) -> list[dict[str, Any]]:
    """Decoder processes that share one machine: utterances a worker gets are the same in number, whatever the workers."""
    build = functools.partial(BeamDecoder, files, LETTERS, BeamOptions(beam=beam))
    rows: list[dict[str, Any]] = []
    for jobs in counts:
        with DecoderPool(build, jobs) as pool:
            work = heard.emissions * jobs
            began, own = time.perf_counter(), time.process_time()
            decoded = [d for number, e in enumerate(work) for d in pool.put(str(number), e)] + list(pool.drain())
            wall, own = time.perf_counter() - began, time.process_time() - own
            memory = [proportional(pid) for pid in pool.pids()]
        rows.append(
            {
                "beam": beam,
                "jobs": jobs,
                "wall_seconds": round(wall, 3),
                "decoder_cpu_seconds": round(sum(d.seconds for d in decoded), 3),
                "cpu_seconds_of_the_parent": round(own, 3),
                "audio_seconds_a_second": round(heard.seconds * jobs / wall),
                "efficiency": round(rows[0]["wall_seconds"] / wall, 3) if rows else 1.0,  # each has as much to do
                "mb_a_worker": {name: round(statistics.mean(m[name] for m in memory) / 1e3) for name in memory[0]},
            }
        )
        print(json.dumps(rows[-1]), flush=True)
    return rows


def proportional(pid: int) -> dict[str, float]:
    """Kilobytes of a process: its own, its share of what several have (PSS), and all that it sees."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    fields = {line.split(":")[0]: float(line.split()[1]) for line in lines}
    return {"private": fields["Private_Dirty"] + fields["Private_Clean"], "pss": fields["Pss"], "rss": fields["Rss"]}


def beside_the_model(name: str, heard: Heard, files: LanguageModelFiles, batches: int = 6) -> dict[str, Any]:
    """Wall seconds of a recogniser of one thread over batches of 15 s, alone and with a decoder process behind it."""
    import torch

    from sewcli.models.ctc import CTCModel
    from sewcli.models.zoo import lookup
    from sewcli.runtimes.inference import for_inference

    build = functools.partial(BeamDecoder, files, LETTERS, BeamOptions())
    seconds = {"greedy": 0.0, "4-gram, beam 50": 0.0}
    order = sorted(range(len(heard.emissions)), key=lambda i: abs(len(heard.emissions[i]) - 15 * RATE))
    chosen = [heard.emissions[i] for i in order[:batches]]
    with DecoderPool(build, 1) as pool:
        torch.set_num_threads(1)
        network = for_inference(CTCModel(lookup(name), len(LETTERS)), torch.device("cpu"))
        for with_lm in (False, True):
            began = time.perf_counter()
            for number, emission in enumerate(chosen):
                samples = torch.randn(1, int(len(emission) / RATE * 16_000))
                with torch.inference_mode():
                    output = network(samples, torch.tensor([samples.shape[1]]))
                    torch.log_softmax(output.logits, -1).numpy()
                if with_lm:
                    list(pool.put(str(number), emission))
                else:
                    LETTERS.text(greedy(emission, blank=0))
            list(pool.drain())
            seconds["4-gram, beam 50" if with_lm else "greedy"] = round(time.perf_counter() - began, 2)
    audio = sum(map(len, chosen)) / RATE
    row = {"model": name, "audio_seconds": round(audio, 1), "wall_seconds": seconds}
    print(json.dumps(row))
    return row


def versions() -> dict[str, str]:
    found = {name: version(name) for name in ("sew", "flashlight-text", "numpy", "torch")}
    if find_spec("pyctcdecode"):
        found["pyctcdecode"] = version("pyctcdecode")
    return found | {"python": platform.python_version()}


if __name__ == "__main__":
    main()
