"""What is damaged in `make fuzz`: sound files of every libsndfile format, a recogniser, cuts, language models, results,
a checkpoint, Shar, pickles and configs, each as `sew` reads it; and the commands that read it.

Everything is made once below a folder; a case copies what it damages and leaves the rest.
"""

import gzip
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

from mutations import damaged_bytes, damaged_json, damaged_lines, damaged_text

Damage = Callable[[bytes, Random], tuple[bytes, str]]
GO_ON = (
    "pretrain --model sew-micro --data {base}/data --exp {folder} --updates 2 --device cpu --set batch.seconds=4 "
    "--set batch.micro_seconds=4 --set checkpoint.every=1 --set valid_every=100 --set data.min_seconds=0.3"
)
PIPE = "<"  # in a command: the damaged file is piped in, in place of being named

SUFFIXES = {
    "WAVEX": "wav",
    "NIST": "sph",
    "SVX": "iff",
    "MAT4": "mat",
    "MAT5": "mat",
    "MPC2K": "snd",
    "IRCAM": "sf",
    "OGG": "ogg",
}
UNMARKED = {"RAW", "SD2"}  # bytes without a header; a format of two files
SUBTYPES = {
    "WAV": ("PCM_16", "PCM_24", "FLOAT", "PCM_U8", "ULAW", "ALAW", "IMA_ADPCM", "MS_ADPCM", "GSM610"),
    "WAVEX": ("PCM_16", "FLOAT", "ULAW"),
    "RF64": ("PCM_16", "FLOAT"),
    "W64": ("PCM_16", "IMA_ADPCM"),
    "AIFF": ("PCM_16", "FLOAT", "IMA_ADPCM", "ULAW"),
    "AU": ("PCM_16", "ULAW", "FLOAT"),
    "CAF": ("PCM_16", "ALAC_16", "ULAW"),
    "FLAC": ("PCM_16", "PCM_24"),
    "OGG": ("VORBIS", "OPUS"),
    "MP3": ("MPEG_LAYER_III",),
}
LENGTHLESS = {"PVF", "PAF", "IRCAM", "XI"}  # their headers state no length; a shorter file is a whole one
BY_CHANNELS = {"MAT4", "MAT5"}  # the length is that of a matrix, which libsndfile holds against nothing


@dataclass(frozen=True)
class Specimen:
    """One kind of file, and what reads it.

    Args:
        kind: the row of the report.
        file: where it lies in the specimens' folder.
        damage: makes a damaged copy.
        commands: words after `sew`; `{file}` is the damaged copy, `{folder}` the copy of the folder `whole` that it
            lies in, `{base}` the specimens' folder, `{out}` a new place.
        whole: a folder to copy (links to its other files), relative to the specimens' folder; empty: the file alone.
        states_length: a cut-off copy must never pass with exit 0.
        weight: how often it is drawn.
    """

    kind: str
    file: str
    damage: Damage
    commands: tuple[str, ...]
    whole: str = ""
    states_length: bool = False
    weight: float = 1.0


def specimens(base: Path) -> list[Specimen]:
    """All kinds, for a folder that `make_specimens` filled."""
    kinds = (_sounds(base), _models(), _data(), _language_models(), _texts(), _results(), _training(), _pickles())
    return [one for kind in kinds for one in kind if (base / one.file).exists()]


def _sounds(base: Path) -> list[Specimen]:
    model = "--model {base}/exp/m/model"
    found = []
    for path in sorted((base / "sounds").iterdir()):
        form = path.name.split("-")[0]
        stated = form not in LENGTHLESS | BY_CHANNELS
        commands = (f"transcribe {{file}} {model}",) * 3 + (f"transcribe - {PIPE} {model}",)
        found.append(Specimen(f"sound {form}", f"sounds/{path.name}", damaged_bytes, commands, states_length=stated))
    return [replace(one, weight=4000 / len(found)) for one in found]


def _models() -> list[Specimen]:
    read = (
        "transcribe {base}/sounds/WAV-PCM_16.wav --model {folder}",
        "decode --model {folder} --data {base}/data --split dev-clean --out {out}",
        "export {folder} {out} --format hf",
        "export {folder} {out} --format fairseq",
        "align {folder} {base}/data --split dev-clean --out {out}",
        "check {base}/data --model {folder} --split dev-clean --sample 1 --out {out}",
        "models {folder}",
    )
    files = ("config.json", "vocab.json", "tokenizer_config.json", "preprocessor_config.json")
    parts = [Specimen(f"model {n}", f"exp/m/model/{n}", damaged_json, read, "exp/m/model", weight=250) for n in files]
    weights = Specimen("model weights", "exp/m/model/model.safetensors", damaged_bytes, read, "exp/m/model", True, 250)
    neural = ("lm score {folder} {base}/text.txt --device cpu",)
    lm = [
        Specimen("neural LM config.json", "lm/neural/config.json", damaged_json, neural, "lm/neural", weight=100),
        Specimen("neural LM weights", "lm/neural/model.safetensors", damaged_bytes, neural, "lm/neural", True, 50),
    ]
    return [*parts, weights, *lm]


def _data() -> list[Specimen]:
    read = (
        "check {folder} --split dev-clean --out {out}",
        "decode --data {folder} --split dev-clean --model {base}/exp/m/model --out {out}",
        "align {base}/exp/m/model {folder} --split dev-clean --out {out}",
        "shar {folder} {out} --split dev-clean",
    )
    cuts = "data/cuts_dev-clean.jsonl.gz"
    return [
        Specimen("cuts", cuts, _in_gzip(damaged_lines), read, "data", weight=800),
        Specimen("cuts, gzip", cuts, damaged_bytes, read, "data", True, 150),
        Specimen("prep.json", "data/prep.json", damaged_json, read, "data", weight=150),
        Specimen("Shar tar", "shar/dev-clean/recording.000000.tar", damaged_bytes, read[:3], "shar", True, 150),
        Specimen(
            "Shar cuts", "shar/dev-clean/cuts.000000.jsonl.gz", _in_gzip(damaged_lines), read[:3], "shar", weight=100
        ),
        Specimen("Shar index", "shar/index_dev-clean.json", damaged_json, read[:3], "shar", weight=150),
    ]


def _language_models() -> list[Specimen]:
    search = "--model {base}/exp/m/model --data {folder} --split dev-clean --lm 3gram --beam 5 --jobs 0 --out {out}"
    named = "transcribe {base}/sounds/WAV-PCM_16.wav --model {base}/exp/m/model"
    arpa = (
        f"decode {search}",
        "lm score {file} {base}/text.txt",
        f"{named} --lm {{file}} --lexicon {{base}}/data/lm/lexicon.txt",
    )
    binary = ("lm score {file} {base}/text.txt", arpa[2])
    lexicon = (f"decode {search}", f"{named} --lm {{base}}/data/lm/3gram.arpa --lexicon {{file}}")
    return [
        Specimen("ARPA", "data/lm/3gram.arpa", damaged_text, arpa, "data", True, 400),
        Specimen("KenLM binary", "lm/3gram.bin", damaged_bytes, binary, states_length=True, weight=300),
        Specimen("lexicon", "data/lm/lexicon.txt", damaged_text, lexicon, "data", weight=250),
    ]


def _texts() -> list[Specimen]:
    tune = "finetune --model {base}/exp/m/model --data {base}/data --exp {out} --print-config"
    return [
        Specimen("LM text", "text.txt", damaged_text, ("lm ngram {file} --order 3 --out {out}.arpa",), weight=150),
        Specimen(
            *("transcripts", "trans.txt", damaged_text),
            ("lm score {base}/data/lm/3gram.arpa {file}", "lm ngram {file} --unit letter --out {out}.arpa"),
            weight=100,
        ),
        Specimen("YAML config", "finetune.yaml", damaged_text, (f"{tune} --config {{file}}",), weight=300),
        Specimen(
            *("YAML config, pre-training", "pretrain.yaml", damaged_text),
            ("pretrain --model sew-micro --data {base}/data --exp {out} --print-config --config {file}",),
            weight=150,
        ),
        Specimen(
            "letters",
            "letters.txt",
            damaged_text,
            (f"{tune} --set vocabulary={{file}}", "check {base}/data --vocab {file}"),
            weight=150,
        ),
    ]


def _results() -> list[Specimen]:
    read = ("report {folder} --json", "score {folder}", "report {folder} --out {out}.html")
    files = {"hyps.jsonl": damaged_lines, "decode.json": damaged_json, "score.json": damaged_json}
    found = [Specimen(name, f"results/{name}", damage, read, "results", weight=200) for name, damage in files.items()]
    curves = (read[0], read[2])
    return [*found, Specimen("metrics.jsonl", "run/metrics.jsonl", damaged_lines, curves, "run", weight=100)]


def _training() -> list[Specimen]:
    go_on = (GO_ON,)
    step = "run/checkpoints/step-1"
    return [
        Specimen("checkpoint state", f"{step}/state.json", damaged_json, go_on, "run", weight=60),
        Specimen("checkpoint weights", f"{step}/model.safetensors", damaged_bytes, go_on, "run", True, 20),
        Specimen("checkpoint optimizer", f"{step}/optimizer.safetensors", damaged_bytes, go_on, "run", True, 20),
        Specimen("run config.yaml", "run/config.yaml", damaged_text, go_on, "run", weight=20),
    ]


def _pickles() -> list[Specimen]:
    read = ("import {file} {out}", "transcribe {base}/sounds/WAV-PCM_16.wav --model {file}")
    folder = ("transcribe {base}/sounds/WAV-PCM_16.wav --model {folder}",)
    return [
        Specimen("fairseq .pt", "fairseq.pt", damaged_bytes, read, states_length=True, weight=200),
        Specimen("pytorch_model.bin", "bin/pytorch_model.bin", damaged_bytes, folder, "bin", True, 150),
    ]


def _in_gzip(damage: Damage) -> Damage:
    def packed(content: bytes, draw: Random) -> tuple[bytes, str]:
        inside, name = damage(gzip.decompress(content), draw)
        return gzip.compress(inside, 1), name

    return packed


def make_specimens(base: Path) -> None:
    """Write every specimen below `base`: seconds of speech, a small random recogniser, its language models and results."""
    from sewcli.corpora.miniatures.librispeech import Part, Plan, write_miniature

    parts = (Part("train-clean-100", 3, 5), Part("dev-clean", 2, 2), Part("test-clean", 1, 2))
    write_miniature(base / "LibriSpeech", Plan(parts=parts), jobs=1)
    _sew(f"prep librispeech {base}/LibriSpeech --out {base}/data -j 1")
    _write_sounds(base / "sounds")
    _write_models(base)
    _sew(f"lm ngram --order 3 --data {base}/data")
    _write_language_models(base)
    shared = f"--data {base}/data --split dev-clean --jobs 0"
    _sew(f"decode --model {base}/exp/m/model {shared} --lm 3gram --beam 5 --nbest 3 --out {base}/decoded")
    _sew(f"shar {base}/data {base}/shar --split dev-clean")
    # The decoder's folder has a name of its own; its files are what is damaged.
    found = next((base / "decoded").rglob("hyps.jsonl")).parent
    shutil.copytree(found, base / "results")
    _sew(
        f"pretrain --model sew-micro --data {base}/data --exp {base}/run --updates 1 --device cpu --set batch.seconds=4 "
        "--set batch.micro_seconds=4 --set checkpoint.every=1 --set valid_every=100 --set data.min_seconds=0.3"
    )
    (base / "letters.txt").write_text("\n".join("ETAONIHSRDLUMWCFGYPBVK'XJQZ") + "\n")
    (base / "trans.txt").write_text("1-2-0000 IT IS A TEST\n1-2-0001 OF TRANSCRIPTS\n")
    (base / "finetune.yaml").write_text(
        "updates: 20\noptim:\n  lr: 3.0e-4\nbatch:\n  seconds: 20.0\n  micro_seconds: 10.0\nseed: 3\n"
    )
    (base / "pretrain.yaml").write_text(
        "updates: 20\noptim:\n  lr: 3.0e-4\noverrides:\n  layers: 2\n  width: 128\nseed: 3\n"
    )


def _sew(command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sewcli", *command.split()], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, (command, done.stderr[-2000:])


def _write_sounds(folder: Path) -> None:
    import numpy
    import soundfile

    folder.mkdir()
    wave = numpy.sin(numpy.arange(12_000) ** 1.3 / 40) * 0.3 + numpy.random.default_rng(0).normal(0, 0.01, 12_000)
    for form in soundfile.available_formats():
        if form in UNMARKED:
            continue
        for subtype in SUBTYPES.get(form, (soundfile.default_subtype(form),)):
            path = folder / f"{form}-{subtype}.{SUFFIXES.get(form, form.lower())}"
            try:
                soundfile.write(path, wave, 16_000, format=form, subtype=subtype)
            except soundfile.LibsndfileError:  # e.g. HTK: one rate only
                path.unlink(missing_ok=True)


def _write_models(base: Path) -> None:
    import torch

    from sewcli.models.ctc import CTCModel
    from sewcli.models.folder import save_ctc
    from sewcli.models.zoo import lookup
    from sewcli.text.tokens import Vocabulary

    torch.manual_seed(3)
    model = CTCModel(lookup("sew-micro"), 32)
    save_ctc(model, Vocabulary.letters(), base / "exp/m/model")
    _sew(f"export {base}/exp/m/model {base}/fairseq --format fairseq")
    shutil.copy(next((base / "fairseq").glob("*.pt")), base / "fairseq.pt")
    for dictionary in (base / "fairseq").glob("dict*.txt"):
        shutil.copy(dictionary, base)
    shutil.copytree(base / "exp/m/model", base / "bin")
    from safetensors.torch import load_file

    torch.save(load_file(base / "bin/model.safetensors"), base / "bin/pytorch_model.bin")
    (base / "bin/model.safetensors").unlink()


def _write_language_models(base: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

    (base / "lm").mkdir()
    text = (base / "data/text_train-clean-100.txt").read_text()
    (base / "text.txt").write_text(text)
    shutil.copy(Path(__file__).parents[1] / "lm/golden/small-3.bin", base / "lm/3gram.bin")
    words = sorted(set(text.split()))
    tokenizer = Tokenizer(
        models.WordLevel({word: i for i, word in enumerate(["<unk>", "<s>", "</s>", *words])}, unk_token="<unk>")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<s>", eos_token="</s>")
    fast.save_pretrained(base / "lm/neural")
    GPT2LMHeadModel(GPT2Config(vocab_size=len(words) + 3, n_embd=16, n_layer=1, n_head=2)).save_pretrained(
        base / "lm/neural"
    )
