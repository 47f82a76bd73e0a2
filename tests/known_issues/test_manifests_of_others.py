"""Manifests that `sew prep` did not write: how they are named, what they hold, and what is said when they are none."""

import gzip
import json
import shutil
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile
from lhotse import CutSet, Recording, SupervisionSegment
from noise_speech import tiny_model, write_noise

from sewcli.base.errors import DataError, UsageError
from sewcli.base.files import read_jsonl, write_jsonl
from sewcli.data.foreign import foreign_folder
from sewcli.data.manifests import manifests, require_splits, splits
from sewcli.data.mixing import parts, read_parts
from sewcli.data.reader import Reader, listed
from sewcli.data.utterances import read_split
from sewcli.models.ctc import CTCModel
from sewcli.models.folder import save_ctc
from sewcli.models.zoo import lookup
from sewcli.text.tokens import Vocabulary

SMALL = ("batch.seconds=4", "batch.micro_seconds=4", "tensorboard=false", "freeze_updates=0")
TRAINING = [part for setting in SMALL for part in ("--set", setting)]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_noise(tmp_path_factory.mktemp("noise") / "data", {"train": [1.0] * 30, "dev": [1.1] * 3})


@pytest.fixture(scope="module")
def recogniser(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recogniser") / "model"
    letters = Vocabulary.letters()
    save_ctc(CTCModel(lookup("sew-micro").model_copy(update={"layers": 1}), len(letters)), letters, folder)
    return folder


NAMES = {
    "cuts_train.jsonl.gz": "train",
    "cuts_train.jsonl": "train",
    "librispeech_cuts_train-clean-100.jsonl.gz": "train-clean-100",
    "cv-en_cuts_train.jsonl.gz": "train",
    "cuts_train_sp1.1.jsonl.gz": "train_sp1.1",
    "cuts.jsonl.gz": "cuts",
    "cuts.jsonl": "cuts",
    "musan_cuts.jsonl.gz": "musan",
    "train_cuts.jsonl": "train",
    "train-cuts.jsonl.gz": "train",
}


@pytest.mark.fault("report-25", "report-26", "report-54")
@pytest.mark.parametrize("name", NAMES)
def test_the_usual_names_of_manifests(name: str, data: Path, tmp_path: Path) -> None:
    rows = list(read_jsonl(data / "cuts_train.jsonl.gz"))
    write_jsonl(tmp_path / name, rows)
    for other in ("hyps.jsonl", "rejected.jsonl", ".tmp-7-cuts_dev.jsonl.gz", "haircuts_dev.jsonl"):
        (tmp_path / other).write_text("{}\n")
    assert splits(tmp_path) == [NAMES[name]] == splits(tmp_path / name)
    for place in (tmp_path, tmp_path / name):
        assert [u.id for u in read_split(place, NAMES[name])] == [row["id"] for row in rows]
    assert require_splits(tmp_path / name, None, default_prefix="dev") == [NAMES[name]]


@pytest.mark.fault("report-26")
def test_two_manifests_of_one_split_are_not_guessed_between(data: Path, tmp_path: Path) -> None:
    for name in ("a_cuts_train.jsonl.gz", "b_cuts_train.jsonl.gz"):
        shutil.copy(data / "cuts_train.jsonl.gz", tmp_path / name)
    with pytest.raises(UsageError, match=r"2 manifests of the split 'train': a_cuts_train.*, b_cuts_train"):
        read_split(tmp_path, "train")
    assert len(read_split(tmp_path / "a_cuts_train.jsonl.gz", "train")) == 30


@pytest.mark.fault("report-26", "report-52")
def test_recordings_and_supervisions_are_cuts(data: Path, tmp_path: Path) -> None:
    cuts = CutSet.from_file(data / "cuts_dev.jsonl.gz")
    recordings, supervisions, _ = cuts.decompose()
    for prefix, suffix in (("", ""), ("mine_", "_dev")):
        folder = tmp_path / f"folder{suffix}"
        folder.mkdir()
        recordings.to_file(folder / f"{prefix}recordings{suffix}.jsonl.gz")
        assert splits(folder) == []
        supervisions.to_file(folder / f"{prefix}supervisions{suffix}.jsonl.gz")
        (name,) = splits(folder)
        found, expected = read_split(folder, name), read_split(data, "dev")
        assert [(u.id, u.text, u.samples) for u in found] == [(u.id, u.text, u.samples) for u in expected]
        assert all(np.array_equal(a.wave(), b.wave()) for a, b in zip(found, expected, strict=True))
        assert len(manifests(folder / f"{prefix}recordings{suffix}.jsonl.gz", name)) == 2
    lost = [{**row, "recording_id": "gone"} for row in read_jsonl(tmp_path / "folder/supervisions.jsonl.gz")]
    write_jsonl(tmp_path / "folder/supervisions.jsonl.gz", lost)
    with pytest.raises(
        DataError, match=r"1 recordings of supervisions are not in recordings\.jsonl\.gz, the first is 'gone'"
    ):
        read_split(tmp_path / "folder", "cuts")


@pytest.mark.fault("report-26", "report-52", "report-50", "report-54")
def test_commands_take_one_file_of_lhotse(data: Path, recogniser: Path, tmp_path: Path, sew_here) -> None:
    """Six sentences in one cut, in a resampled MP3 of 48 kHz: decoded, aligned and checked utterance by utterance."""
    sound = np.random.default_rng(0).normal(0, 0.1, 48_000 * 6)
    soundfile.write(tmp_path / "long.mp3", sound, 48_000)
    recording = Recording.from_file(tmp_path / "long.mp3").resample(16_000)
    cut = recording.to_cut()
    cut.supervisions = [SupervisionSegment(f"s{n}", recording.id, float(n), 1.0, text="A SEA") for n in range(6)]
    manifest = tmp_path / "my_cuts_talk.jsonl"
    CutSet.from_cuts([cut]).to_file(manifest)
    done = sew_here(
        "decode", "--model", recogniser, "--data", manifest, "--out", tmp_path / "decode", "--device", "cpu"
    )
    assert done.returncode == 0, done.stderr
    (hyps,) = (tmp_path / "decode").rglob("hyps.jsonl")
    rows = {row["id"]: row for row in read_jsonl(hyps)}
    assert sorted(rows) == [f"s{n}" for n in range(6)] and {row["reference"] for row in rows.values()} == {"A SEA"}
    done = sew_here("align", recogniser, manifest, "--out", tmp_path / "align", "--device", "cpu")
    assert done.returncode == 0 and len(list((tmp_path / "align").rglob("*.TextGrid"))) == 6, done.stderr
    done = sew_here("check", manifest)
    assert done.returncode == 0, done.stderr
    kinds = {row["kind"]: row["detail"] for row in read_jsonl(tmp_path / "check.jsonl")}
    assert "several supervisions (1) of 1 cuts" in kinds["segments"] and "Resample (1)" in kinds["transforms"]
    assert "manifest" not in kinds and "6 cuts, the audio of 6 read" in done.stdout


@pytest.mark.fault("report-26")
def test_check_does_not_ask_for_an_account_of_cuts_that_sew_did_not_prepare(
    data: Path, tmp_path: Path, sew_here
) -> None:
    done = sew_here("check", data, "--allow", "speaker", "--out", tmp_path / "check.jsonl")
    assert done.returncode == 0 and "manifest" not in done.stdout, done.stderr


@pytest.mark.fault("report-26")
def test_check_and_finetune_take_the_same_vocabularies(data: Path, recogniser: Path, tmp_path: Path, sew_here) -> None:
    (tmp_path / "letters.txt").write_text("\n".join("ABCDEFGHIJKLMNOPQRSTUVWXYZ'") + "\n")
    shutil.copy(recogniser / "vocab.json", tmp_path / "other.json")
    for vocabulary in (tmp_path / "letters.txt", tmp_path / "other.json", recogniser):
        done = sew_here("check", data, "--allow", "speaker", "--vocab", vocabulary, "--out", tmp_path / "check.jsonl")
        assert done.returncode == 0, (vocabulary, done.stderr)
        done = sew_here(
            "finetune",
            "--model",
            "sew-micro",
            "--data",
            data,
            "--exp",
            tmp_path / "exp",
            "--dry-run",
            "--device",
            "cpu",
            *TRAINING,
            "--set",
            f"vocabulary={vocabulary}",
            "--set",
            "extractor_gradient=1",
        )
        assert done.returncode == 0, (vocabulary, done.stderr)


def kaldi(folder: Path) -> None:
    (folder / "wav.scp").write_text("a /a.wav\n")
    (folder / "text").write_text("a A\n")


def common_voice(folder: Path) -> None:
    (folder / "train.tsv").write_text("client_id\tpath\tsentence\tup_votes\nx\ta.mp3\tBonjour\t2\n")


def table(folder: Path) -> None:
    (folder / "train.csv").write_text("file,words\na.wav,Bonjour\n")


def huggingface(folder: Path) -> None:
    (folder / "dataset_info.json").write_text("{}")


def nemo(folder: Path) -> None:
    (folder / "manifest.json").write_text('{"audio_filepath": "a.wav", "duration": 1.0, "text": "a"}\n')


def yaml(folder: Path) -> None:
    (folder / "cuts_train.yaml").write_text("- id: a\n")


def lone(folder: Path) -> None:
    (folder / "x_recordings_train.jsonl.gz").write_bytes(gzip.compress(b"{}\n"))


def unnamed(folder: Path) -> None:
    (folder / "train.jsonl.gz").write_bytes(gzip.compress(b"{}\n"))


def below(folder: Path) -> None:
    (folder / "data").mkdir()
    (folder / "data" / "cuts_train.jsonl.gz").write_bytes(gzip.compress(b"{}\n"))


def sounds(folder: Path) -> None:
    (folder / "a.wav").write_bytes(b"RIFF")


FOREIGN = {
    kaldi: ("a Kaldi data folder", "sew prep kaldi {0}"),
    common_voice: ("Common Voice (train.tsv)", "sew prep commonvoice {0}"),
    table: ("a table (train.csv)", "sew prep table {0}/train.csv"),
    huggingface: ("Hugging Face datasets", "sew prep hf {0}"),
    nemo: ("manifest.json is a NeMo manifest", "sew prep nemo {0}/manifest.json"),
    yaml: ("cuts_train.yaml is not JSON lines", "lhotse copy {0}/cuts_train.yaml {0}/cuts_train.jsonl.gz"),
    lone: ("x_recordings_train.jsonl.gz without its partner", "lhotse cut simple"),
    unnamed: ("there is train.jsonl.gz", "{0}/train.jsonl.gz"),
    below: ("one level below", "give {0}/data"),
    sounds: ("sound files and no manifest", "sew prep table, pairs, subtitles"),
}


@pytest.mark.fault("report-26")
@pytest.mark.parametrize("make", FOREIGN, ids=lambda make: make.__name__)
def test_a_folder_of_another_form_is_named_with_the_command_that_makes_cuts(make, tmp_path: Path, sew_here) -> None:
    folder = tmp_path / "corpus"
    folder.mkdir()
    make(folder)
    what, hint = FOREIGN[make]
    with pytest.raises(UsageError) as caught:
        require_splits(folder, None, default_prefix="train")
    assert what in caught.value.what and hint.format(folder) in str(caught.value.hint)
    done = sew_here("finetune", "--model", "sew-micro", "--data", folder, "--exp", tmp_path / "exp", "--device", "cpu")
    assert done.returncode == 2 and " ".join(what.split()) in " ".join(done.stderr.split()), done.stderr


@pytest.mark.fault("report-26")
def test_files_that_are_no_manifests(tmp_path: Path) -> None:
    for name, told in {
        "a.wav": "a sound file",
        "a.tsv": "a table",
        "cuts.yaml": "lhotse copy",
        "a.bin": "not a manifest",
    }.items():
        (tmp_path / name).write_bytes(b"x")
        with pytest.raises(UsageError, match=told):
            require_splits(tmp_path / name, None, default_prefix="train")
    assert "no such folder" in foreign_folder(tmp_path / "nowhere").what


@pytest.mark.fault("report-32")
def test_one_transcript_with_a_digit_does_not_stop_a_run(data: Path, tmp_path: Path, sew_here) -> None:
    rows = list(read_jsonl(data / "cuts_train.jsonl.gz"))
    rows[4]["supervisions"][0]["text"] = "SEA 12"
    folder = tmp_path / "data"
    folder.mkdir()
    write_jsonl(folder / "cuts_train.jsonl.gz", rows)
    shutil.copy(data / "cuts_dev.jsonl.gz", folder)
    exp = tmp_path / "exp"
    command = [
        "finetune",
        "--model",
        tiny_model(tmp_path / "model"),
        "--data",
        folder,
        "--exp",
        exp,
        "--updates",
        2,
        "--device",
        "cpu",
        *TRAINING,
    ]
    done = sew_here(*command)
    assert done.returncode == 3 and rows[4]["id"] in done.stderr and "data.max_rejected=0.034" in done.stderr
    assert not (exp / "rejected.jsonl").exists()
    for _ in range(2):  # and again: it goes on, and lists nothing twice
        done = sew_here(*command, "--set", "data.max_rejected=0.034")
        assert done.returncode == 4 and "1 of 30 utterances" in " ".join(done.stderr.split()), done.stderr
        (row,) = read_jsonl(exp / "rejected.jsonl")
        assert row["id"] == rows[4]["id"] and "outside the vocabulary" in row["reason"]
    assert json.loads((exp / "data.json").read_text())["train"]["utterances"] == 29


@pytest.mark.fault("report-51")
def test_the_closing_line_counts_what_was_named(data: Path, tmp_path: Path, capsys) -> None:
    utterances = read_split(data, "train")
    for u in utterances[:9]:
        object.__setattr__(u, "path", tmp_path / "missing.wav")
    reader = Reader(utterances, tmp_path, 0.0)
    with pytest.raises(DataError) as first:
        reader.read(range(9))
    with pytest.raises(DataError) as second:
        reader.read(range(3, 9))
    named = capsys.readouterr().err.count("missing.wav")
    assert named == len(listed(tmp_path / "rejected.jsonl")) == 1
    assert first.value.what == second.value.what == "1 of 30 utterances cannot be read; 0 may be"


@pytest.mark.fault("input-25")
@pytest.mark.parametrize("line", ['{"path": "a"}', "[]", '{"id": 7}', "{"])
def test_a_list_of_rejected_utterances_without_ids(line: str, data: Path, tmp_path: Path) -> None:
    (tmp_path / "rejected.jsonl").write_text(f"{line}\n")
    with pytest.raises(DataError, match="line 1") as caught:
        Reader(read_split(data, "dev"), tmp_path, 0.1)
    assert caught.value.where == tmp_path / "rejected.jsonl"


@pytest.mark.fault("input-20")
def test_a_manifest_that_unpacks_without_end(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "cuts_train.jsonl.gz", "wb", compresslevel=1) as file:
        for _ in range(300):
            file.write(b" " * (1 << 20))
    assert (tmp_path / "cuts_train.jsonl.gz").stat().st_size < 2e6
    tracemalloc.start()
    with pytest.raises(DataError) as caught:
        read_split(tmp_path, "train")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 400e6 and len(str(caught.value)) < 400


@pytest.mark.fault("input-22", "input-23")
@pytest.mark.parametrize("text", ["[" * 5000, '{"id": ' * 5000, '{"id": "\\ud800", "start": 0}'])
def test_odd_json_in_a_manifest(text: str, tmp_path: Path) -> None:
    (tmp_path / "cuts_train.jsonl").write_text(text + "\n")
    with pytest.raises(DataError, match="line 1") as caught:
        read_split(tmp_path, "train")
    assert len(str(caught.value)) < 400


@pytest.mark.fault("input-23")
@pytest.mark.parametrize("field", ["id", "text", "speaker"])
def test_half_a_surrogate_pair_is_no_text(field: str, data: Path, tmp_path: Path) -> None:
    row = next(read_jsonl(data / "cuts_dev.jsonl.gz"))
    place = row if field == "id" else row["supervisions"][0]
    place[field] = "A \ud800"
    (tmp_path / "cuts_dev.jsonl").write_text(json.dumps(row) + "\n")
    with pytest.raises(DataError, match="surrogate"):
        read_split(tmp_path, "dev")


@pytest.mark.fault("report-26")
def test_a_relative_path_says_where_it_begins(data: Path, tmp_path: Path, monkeypatch) -> None:
    rows = list(read_jsonl(data / "cuts_dev.jsonl.gz"))
    for row in rows:
        source = row["recording"]["sources"][0]
        source["source"] = Path(source["source"]).name
    write_jsonl(tmp_path / "cuts_dev.jsonl", rows)
    with pytest.raises(DataError, match="SEW_ROOT"):
        read_split(tmp_path, "dev")[0].wave()
    monkeypatch.setenv("SEW_ROOT", str(data))
    assert len(read_split(tmp_path, "dev")[0].wave()) == 17_600
    monkeypatch.delenv("SEW_ROOT")
    monkeypatch.chdir(data)
    assert len(read_split(tmp_path, "dev")[0].wave()) == 17_600


@pytest.mark.fault("report-52", "report-53")
def test_runs_on_long_and_perturbed_cuts_come_to_the_same_weights(data: Path, tmp_path: Path, sew_here) -> None:
    """What icefall makes of a corpus (three speeds) and what Kaldi's import makes of one (long cuts with segments)."""
    soundfile.write(tmp_path / "long.flac", np.random.default_rng(1).normal(0, 0.1, 16_000 * 8), 16_000)
    long = Recording.from_file(tmp_path / "long.flac").to_cut()
    long.supervisions = [
        SupervisionSegment(f"seg{n}", long.recording.id, n + 0.1, 0.9, text="TEN TREES") for n in range(7)
    ]
    plain = CutSet.from_file(data / "cuts_train.jsonl.gz").subset(first=6)
    folder = tmp_path / "data"
    folder.mkdir()
    cuts = [
        long,
        *plain,
        *plain.perturb_speed(0.9),
        *plain.perturb_speed(1.1),
        long.perturb_volume(0.5).with_id("quiet"),
    ]
    CutSet.from_cuts(cuts).to_file(folder / "own_cuts_train.jsonl")
    shutil.copy(data / "cuts_dev.jsonl.gz", folder)
    model = tiny_model(tmp_path / "model")

    weights = []
    for exp in ("whole", "again"):
        command = [
            "finetune",
            "--model",
            model,
            "--data",
            folder,
            "--exp",
            tmp_path / exp,
            "--updates",
            3,
            "--device",
            "cpu",
        ]
        done = sew_here(*command, *TRAINING)
        assert done.returncode == 0, done.stderr
        weights.append((tmp_path / exp / "model" / "model.safetensors").read_bytes())
    assert weights[0] == weights[1]
    facts = json.loads((tmp_path / "whole" / "data.json").read_text())
    assert facts["train"]["utterances"] == 7 + 3 * 6 + 7
    done = sew_here("check", folder, "--allow", "speaker", "--out", tmp_path / "check.jsonl")
    kinds = {(row["kind"], row["split"]) for row in read_jsonl(tmp_path / "check.jsonl")}
    assert done.returncode == 0 and {("segments", "train"), ("transforms", "train")} <= kinds, done.stdout


@pytest.mark.fault("report-26")
def test_manifests_by_their_paths_in_a_config(data: Path, tmp_path: Path) -> None:
    shutil.copy(data / "cuts_train.jsonl.gz", tmp_path / "mine.jsonl.gz")
    chosen = parts(data, [f"{tmp_path}/mine.jsonl.gz*2", "dev"], default_prefix="train")
    assert [(part.split, part.times) for part in chosen] == [("mine", 2), ("dev", 1)]
    assert len(read_parts(chosen)) == 2 * 30 + 3
