"""Words that are in no language model: how many are recognised without help, with --words, and with --boost, and the cost.

    sew decode --model exp/mini/sew-micro-ft --data data/mini --split test-clean --keep-emissions float32
    OMP_NUM_THREADS=1 python benchmarks/new_words.py --data data/mini --kept exp/mini/sew-micro-ft/decode

Every fourth word of five letters or more is taken as new: a 4-gram is estimated of the training sentences without any of them,
and another of all sentences for comparison. All searches decode the same kept emissions, in turn: the share of the new words
that are recognised where they are said, the word error rate of the utterances without any, and CPU seconds a second of speech.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from lm_decoding import Heard, kept
from machine import command_line, short_circumstances

from sewcli.base.files import write_json, write_text
from sewcli.decoding.beam import BeamDecoder, BeamOptions
from sewcli.lm.bias import Bias
from sewcli.lm.build import build_ngram
from sewcli.lm.files import resolve
from sewcli.scoring.wer import word_errors
from sewcli.text.tokens import Vocabulary

ORDER, LETTERS, EACH, ROUNDS = 4, 5, 4, 5
WEIGHTS = (0.5, 1.0, 2.0, 3.0)  # of phrases; 1 is the default
SYMBOLS = Vocabulary.letters()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data/mini"))
    parser.add_argument("--kept", type=Path, default=Path("exp/mini/sew-micro-ft/decode"))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/new_words.json"))
    given = parser.parse_args()
    heard = kept(given.kept, given.data)
    sentences = [line for path in sorted(given.data.glob("text_train*.txt")) for line in path.read_text().splitlines()]
    known = Counter(word for line in sentences for word in line.split())
    said = {word for text in heard.texts for word in text.split()}
    new = sorted(word for word in known if len(word) >= LETTERS and word in said)[::EACH]
    with tempfile.TemporaryDirectory() as folder:
        searches = _searches(Path(folder), sentences, new)
        rows = _measured(heard, searches, set(new))
    write_json(
        given.out,
        {
            **short_circumstances(command_line()),
            "new_words": new,
            "utterances": len(heard.texts),
            "audio_seconds": heard.seconds,
            "rows": rows,
        },
    )


def _searches(folder: Path, sentences: list[str], new: list[str]) -> dict[str, BeamDecoder]:
    without = [line for line in sentences if not set(new) & set(line.split())]
    for name, lines in (("all", sentences), ("without", without)):
        (folder / name).mkdir()
        write_text(folder / name / "text_train.txt", "".join(f"{line}\n" for line in lines))
        build_ngram([], ORDER, folder / name, None)
    every, files = (resolve(f"{ORDER}gram", folder / name, SYMBOLS) for name in ("all", "without"))
    words = folder / "words.txt"
    write_text(words, "".join(f"{word}\n" for word in new))
    found = {
        "a model of all sentences": BeamDecoder(every, SYMBOLS, BeamOptions()),
        "a model without the words": BeamDecoder(files, SYMBOLS, BeamOptions()),
        "--words": BeamDecoder(files, SYMBOLS, BeamOptions(), Bias(words)),
    }
    for weight in WEIGHTS:
        boost = folder / f"boost-{weight:g}.txt"
        write_text(boost, "".join(f"{word}\t{weight:g}\n" for word in new))
        found[f"--words --boost, weight {weight:g}"] = BeamDecoder(files, SYMBOLS, BeamOptions(), Bias(words, boost))
    return found


def _measured(heard: Heard, searches: dict[str, BeamDecoder], new: set[str]) -> list[dict[str, Any]]:
    seconds: dict[str, list[float]] = {name: [] for name in searches}
    texts: dict[str, list[str]] = {}
    for _ in range(ROUNDS):
        for name, search in searches.items():
            began = time.process_time()
            texts[name] = [search.decode("u", emission)[0].text for emission in heard.emissions]
            seconds[name].append(time.process_time() - began)
    rows = []
    for name, found in texts.items():
        pairs = list(zip(heard.texts, found, strict=True))
        right, of, wrong = 0, 0, 0
        for text, hypothesis in pairs:
            spoken, written = (Counter(word for word in line.split() if word in new) for line in (text, hypothesis))
            right, of = right + (spoken & written).total(), of + spoken.total()
            wrong += (written - spoken).total()
        others = [pair for pair in pairs if not new & set(pair[0].split())]
        rows.append(
            {
                "search": name,
                "new_words_said": of,
                "recognised": right,
                "share": right / of,
                "written_where_not_said": wrong,
                "wer_of_other_utterances": word_errors(*map(list, zip(*others, strict=True))).wer,
                "other_utterances": len(others),
                "wer": word_errors(heard.texts, found).wer,
                "cpu_seconds_a_second": statistics.median(seconds[name]) / heard.seconds,
            }
        )
        print(rows[-1], flush=True)
    return rows


if __name__ == "__main__":
    main()
