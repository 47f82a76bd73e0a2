"""A folder or file that holds no lhotse cuts: what it seems to be, and the command that makes cuts of it.

`--data` takes lhotse's manifests, and `sew prep` makes them of other forms. Saying "no prepared corpus" to someone who has a
corpus in another form would send them the wrong way.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from sewcli.base.errors import UsageError
from sewcli.data import shar

OTHER_FORMS = (".json", ".json.gz", ".yaml", ".yaml.gz", ".yml", ".arrow")
TABLES = (".tsv", ".csv")
SUBTITLES = (".srt", ".vtt")
TEXTS = (".txt", ".lab", ".textgrid")
SOUNDS = (".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a", ".sph", ".aac", ".webm")
HEAD = 4096  # bytes of a file that are looked at
MOST = 2000  # entries of a folder that are looked at
FIRST = "sew prep librispeech (see --help), or give the folder that it wrote, or lhotse cuts (cuts_SPLIT.jsonl.gz)"


def foreign_folder(data: Path) -> UsageError:
    """Why there are no splits in a folder."""
    if not data.exists():
        prepared = sorted(str(file.parent) for file in data.parent.glob("*/prep.json"))[:5]
        return UsageError(
            "no-prepared-corpus",
            "no prepared corpus here: no such folder",
            where=data,
            hint=f"prepared are {', '.join(prepared)}; or first run: {FIRST}" if prepared else f"first run: {FIRST}",
        )
    if found := next(_of_folder(data), None):
        return UsageError("foreign-data-folder", found[0], where=data, hint=found[1])
    return UsageError("no-prepared-corpus", "no prepared corpus here", where=data, hint=f"first run: {FIRST}")


def foreign_file(file: Path) -> UsageError:
    """Why a file that was given in place of a folder is no manifest."""
    name = file.name.lower()
    if name.endswith(SOUNDS):
        what, hint = "a sound file, not a manifest", "transcribe it: sew transcribe FILE --model MODEL"
    elif name.endswith(TABLES):
        what, hint = _table(file)
    elif name.endswith(OTHER_FORMS):
        what = "not JSON lines, the only form of lhotse's manifests that is read"
        hint = f"lhotse copy {file} {file.name.split('.')[0]}.jsonl.gz"
    else:
        what, hint = "not a manifest that can be read", f"give a folder, or a file .jsonl or .jsonl.gz; first: {FIRST}"
    return UsageError("foreign-data-folder", what, where=file, hint=hint)


def foreign_row(row: dict[str, object]) -> str | None:
    """What a line of a manifest is when it is not a cut."""
    if row.keys() & {"recording", "tracks", "features"} or row.get("type"):
        return None
    if "sources" in row:
        return "a recording, not a cut: lhotse cut simple -r RECORDINGS -s SUPERVISIONS cuts_SPLIT.jsonl.gz"
    if "recording_id" in row:
        return "a supervision, not a cut: lhotse cut simple -r RECORDINGS -s SUPERVISIONS cuts_SPLIT.jsonl.gz"
    if "audio_filepath" in row:
        return "a line of a NeMo manifest, not a lhotse cut: first run sew prep nemo"
    return None


def _of_folder(data: Path) -> Iterator[tuple[str, str]]:
    names = sorted(path.name for path, _ in zip(data.iterdir(), range(MOST), strict=False))
    found = set(names)
    if shar.manifests(data):
        yield "one split of a Shar, not a data folder", f"give the folder above: {data.absolute().parent}"
    if found & {"wav.scp", "segments", "utt2spk"}:
        if "wav.scp" not in found:
            yield "a Kaldi data folder without wav.scp", "without it nothing says where the audio is"
        yield "a Kaldi data folder, not lhotse cuts", _first("kaldi", data)
    if found & {"dataset_info.json", "state.json", "dataset_dict.json"}:
        yield (
            "a folder of Hugging Face datasets, not lhotse cuts",
            _first("hf", data),
        )
    tables = [name for name in names if name.endswith(TABLES)]
    if tables:
        yield _table(data / tables[0])
    if found & {"train-clean-100", "dev-clean", "test-clean", "SPEAKERS.TXT"}:
        yield "LibriSpeech itself, not yet prepared", f"sew prep librispeech {data}"
    lone = [name for name in names if ("recordings" in name or "supervisions" in name) and ".jsonl" in name]
    if lone:
        yield (
            f"{lone[0]} without its partner: audio and transcripts are recordings and supervisions of the same name",
            "sew prep cuts RECORDINGS SUPERVISIONS, or lhotse cut simple -r RECORDINGS -s SUPERVISIONS cuts_SPLIT.jsonl.gz",
        )
    if others := [name for name in names if name.endswith((".jsonl", ".jsonl.gz")) and not name.startswith(".")]:
        yield (
            f"no file is named as cuts are, e.g. cuts_train.jsonl.gz; there is {others[0]}",
            f"give the file itself if it holds lhotse cuts: {data / others[0]}",
        )
    if copied := [name for name in names if name.endswith(OTHER_FORMS) and ("cuts" in name or "recordings" in name)]:
        what = f"{copied[0]} is not JSON lines, the only form of lhotse's manifests that is read"
        yield what, f"lhotse copy {data / copied[0]} {data / copied[0].split('.')[0]}.jsonl.gz"
    if nemo := next((name for name in names if name.endswith(".json") and _is_nemo(data / name)), None):
        yield (
            f"{nemo} is a NeMo manifest, not lhotse cuts",
            _first("nemo", data / nemo),
        )
    if below := next((name for name in names if _has_cuts(data / name)), None):
        yield "the cuts are one level below", f"give {data / below}"
    if any(name.lower().endswith(SOUNDS) for name in names):
        endings = {Path(name.lower()).suffix for name in names}
        form = "subtitles" if endings & set(SUBTITLES) else "pairs" if endings & set(TEXTS) else None
        yield (
            "sound files and no manifest",
            _first(form, data)
            if form
            else "with transcripts: sew prep table, pairs, subtitles or librispeech (see sew prep --help); "
            "without: sew transcribe",
        )


def _table(file: Path) -> tuple[str, str]:
    """Of a TSV or CSV file, by its first line."""
    try:
        with open(file, "rb") as opened:
            header = opened.read(HEAD).decode("utf-8-sig", "replace").partition("\n")[0]
    except OSError as error:
        return f"{file.name} cannot be read ({error.strerror})", "look at its permissions"
    columns = {name.strip().strip('"') for name in header.replace(",", "\t").split("\t")}
    if {"path", "sentence"} <= columns:
        return f"Common Voice ({file.name}), not lhotse cuts", _first("commonvoice", file.absolute().parent)
    return f"a table ({file.name}), not lhotse cuts", _first("table", file)


def _first(form: str, given: Path) -> str:
    """The command that comes first, for one's own data in a form of `sew prep`."""
    return f"first run: sew prep {form} {given} --out data/NAME, and give data/NAME"


def _is_nemo(file: Path) -> bool:
    try:
        with open(file, "rb") as opened:
            line = opened.read(HEAD).partition(b"\n")[0]
        row = json.loads(line)
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(row, dict) and "audio_filepath" in row


def _has_cuts(folder: Path) -> bool:
    return folder.is_dir() and any(True for _ in folder.glob("*cuts*.jsonl*"))
