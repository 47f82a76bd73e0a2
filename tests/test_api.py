"""The Python API: what it exports, and that it answers as the command line does."""

import inspect
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

import sewcli
from sewcli.base.errors import DataError, UsageError
from sewcli.data.utterances import read_named
from sewcli.models.ctc import CTCModel
from sewcli.models.folder import save_ctc
from sewcli.models.zoo import lookup
from sewcli.text.tokens import Vocabulary


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """exp/NAME with a small random recogniser in it."""
    torch.manual_seed(5)
    folder = tmp_path_factory.mktemp("exp") / "small"
    save_ctc(CTCModel(lookup("sew-micro"), 32), Vocabulary.letters(), folder / "model")
    return folder


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    draw = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("sound") / "a.wav"
    stereo = draw.normal(0, 0.1, (60_000, 2)) * (np.sin(np.arange(60_000) / 3000) ** 2)[:, None]
    soundfile.write(path, stereo, 16_000, subtype="FLOAT")
    return path


def test_all_exported_names_are_documented_and_typed_and_no_others_are_public():
    from sewcli import api

    stub = (Path(sewcli.__file__).parent / "__init__.pyi").read_text()
    assert re.findall(r"^    (\w+) as \1,$", stub, re.MULTILINE) == [n for n in sewcli.__all__ if n != "__version__"]
    assert sorted([*api.__all__, "__version__"]) == sorted(sewcli.__all__)
    public = {n for n, value in vars(api).items() if getattr(value, "__module__", "") == api.__name__ and n[0] != "_"}
    assert public <= set(sewcli.__all__)
    for name in set(sewcli.__all__) - {"__version__"}:
        thing = getattr(sewcli, name)
        members = [thing, *(m for n, m in vars(thing).items() if n[0] != "_" and callable(m))]
        for member in members if name in public else ():
            assert member.__doc__, member
        if inspect.isfunction(thing):
            assert set(thing.__annotations__) == {*inspect.signature(thing).parameters, "return"}, name
    with pytest.raises(AttributeError):
        sewcli.nonsense  # noqa: B018


def test_import_is_light():
    code = (
        "import sys, sewcli; print(sewcli.__version__, [m for m in ('torch', 'lhotse', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split(maxsplit=1)[1].strip() == "[]"


def test_transcribe_answers_as_the_command_does(experiment: Path, recording: Path, sew_here):
    done = sew_here("transcribe", recording, "--model", experiment, "--format", "jsonl")
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    segments = sewcli.load(experiment).transcribe(recording)
    assert rows and [segment.text for segment in segments] == [row["text"] for row in rows]
    for segment, row in zip(segments, rows, strict=True):
        assert (round(segment.start, 3), round(segment.end, 3)) == (row["start"], row["end"])
        assert [round(word.confidence, 4) for word in segment.words] == [word["confidence"] for word in row["words"]]


def test_an_array_gives_what_its_file_gives(experiment: Path, recording: Path):
    model = sewcli.load(experiment)
    samples, _ = soundfile.read(recording, dtype="float32")
    assert model.transcribe(samples) == model.transcribe(recording)
    assert model.transcribe(samples, channels="split") == model.transcribe(recording, channels="split")
    assert {segment.channel for segment in model.transcribe(samples, channels="split")} <= {0, 1}


def test_emissions_do_not_depend_on_their_company(experiment: Path):
    model = sewcli.load(experiment)
    draw = np.random.default_rng(1)
    waves = [draw.normal(0, 0.1, size).astype(np.float32) for size in (16_000, 100, 5_000)]
    together = model.emissions(waves)
    assert [emission.shape[1] for emission in together] == [32, 32, 32] and len(together[1]) == 0
    for wave, emission in zip(waves, together, strict=True):
        np.testing.assert_allclose(model.emissions([wave])[0], emission, atol=2e-5)
        np.testing.assert_allclose(np.exp(emission).sum(axis=1), 1, atol=1e-5)


def test_what_cannot_be_taken_is_refused(experiment: Path, tmp_path: Path):
    model = sewcli.load(experiment)
    with pytest.raises(UsageError):
        model.transcribe(np.zeros((2, 3, 4)))
    with pytest.raises(UsageError):
        model.transcribe(np.array([0.0, np.nan] * 800))
    (tmp_path / "a.wav").write_text("not sound")
    with pytest.raises(DataError):
        model.transcribe(tmp_path / "a.wav")


def test_a_segment_is_as_sure_as_the_geometric_mean_of_its_words():
    words = sewcli.Word("a", 0, 1, 0.25), sewcli.Word("b", 1, 2, 1.0)
    assert sewcli.Segment(words).confidence == pytest.approx(0.5)


def test_align_gives_the_words_of_the_transcript_with_the_times_of_the_command(
    experiment: Path, prepared: Path, tmp_path: Path
):
    (done,) = sewcli.align(experiment, prepared, ["dev-clean"], out=tmp_path, formats=["ctm"], device="cpu")
    assert done.utterances == 6 and not done.failed
    utterance = next(iter(read_named(prepared, "dev-clean")))
    lines = [line.split() for line in (done.folder / "words.ctm").read_text().splitlines()]
    mine = [(word, float(start)) for name, _, start, _, word, _ in lines if name == utterance.id]
    words = sewcli.load(experiment).align(utterance.path, utterance.text)
    assert [word.text for word in words] == utterance.text.split() == [word for word, _ in mine]
    np.testing.assert_allclose([word.start for word in words], [start for _, start in mine], atol=6e-4)
    with pytest.raises(DataError):
        sewcli.load(experiment).align(np.zeros(1000, dtype=np.float32), utterance.text)


def test_prepare_makes_the_data_folder_of_the_command(corpus_folder: Path, prepared: Path, tmp_path: Path):
    summaries = sewcli.prepare("librispeech", corpus_folder, out=tmp_path / "data", parts=["dev-clean"], jobs=1)
    assert summaries["dev-clean"]["utterances"] == 6
    name = "cuts_dev-clean.jsonl.gz"
    assert (tmp_path / "data" / name).read_bytes() == (prepared / name).read_bytes()
    with pytest.raises(UsageError):
        sewcli.prepare("nonsense", corpus_folder, out=tmp_path / "data")


def test_decode_and_score(experiment: Path, prepared: Path, tmp_path: Path):
    (done,) = sewcli.decode(experiment, prepared, ["dev-clean"], out=tmp_path, device="cpu")
    result = sewcli.score(done.folder)
    assert result["utterances"] == 6 and result["wer"] > 0


def test_the_readme_example_runs(experiment: Path, recording: Path, capsys: pytest.CaptureFixture[str]):
    readme = (Path(__file__).parents[1] / "README.md").read_text()
    (example,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    exec(example.replace("exp/sew-tiny-ft", str(experiment)).replace("talk.mp3", str(recording)), {})
    assert re.match(r"\d+\.\d\d \S", capsys.readouterr().out)
