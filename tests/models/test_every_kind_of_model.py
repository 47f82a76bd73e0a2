"""One resolver: what names a model, and what each kind of name is for the verbs that need weights."""

import json
from pathlib import Path

import pytest

from sewcli.base.errors import UsageError
from sewcli.models.source import is_model, locate, resolve


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "exp" / "mine" / "model"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"architectures": ["SEWForCTC"]}))
    (tmp_path / "exp" / "running").mkdir()
    (tmp_path / "exp" / "running" / "config.yaml").write_text("model: sew-tiny\n")
    (tmp_path / "weights.pt").write_bytes(b"PK")
    return tmp_path


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("exp/mine", "exp/mine/model"),
        ("exp/mine/", "exp/mine/model"),
        ("exp/mine/model", "exp/mine/model"),
        ("weights.pt", "weights.pt"),
    ],
)
def test_what_is_here_is_found(given: str, found: str, places: Path) -> None:
    assert locate(given) == resolve(given) == Path(found) and is_model(given)


def test_a_hub_id_is_left_as_it_is_until_it_is_fetched(places: Path) -> None:
    assert locate("asapp/sew-tiny-100k") == Path("asapp/sew-tiny-100k") and is_model("asapp/sew-tiny-100k")


@pytest.mark.parametrize("find", [locate, resolve])
@pytest.mark.parametrize("name", ["sew-tiny", "w2v2-base", "sew-tiny+25hz"])
def test_a_name_of_the_zoo_has_no_weights(find, name: str, places: Path) -> None:
    with pytest.raises(UsageError) as caught:
        find(name)
    assert caught.value.code == "model-without-weights" and "sew finetune --model" in str(caught.value)
    assert not is_model(name)


@pytest.mark.parametrize(("folder", "said"), [("exp/running", "has not kept a model yet"), ("exp", "exp/NAME/model")])
def test_a_folder_without_a_model(folder: str, said: str, places: Path) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        locate(folder)
    assert caught.value.code == "no-model"


VERBS = (
    ("decode", "--model"),
    ("tune", "--model"),
    ("pseudo-label", "--split", "dev", "--model"),
    ("transcribe", "a.wav", "--model"),
    ("distill", "--layers", "2", "--teacher"),
    ("align",),
    ("prune", "--magnitude", "0.5"),
    ("quantize",),
)


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb[0])
@pytest.mark.parametrize(
    ("given", "code"), [("sew-tiny", "model-without-weights"), ("exp/running", "no-model"), ("exp/nowhere", None)]
)
def test_every_verb_refuses_alike(verb, given: str, code: str | None, places: Path) -> None:
    import typer.testing

    from sewcli.cli.app import app

    (places / "a.wav").write_bytes(b"RIFF")
    ends = [given, "out"] if verb[0] in ("prune", "quantize") else [given]
    arguments = [verb[0], *(["--magnitude", "0.5"] if verb[0] == "prune" else verb[1:]), *ends]
    done = typer.testing.CliRunner().invoke(app, arguments)
    assert isinstance(done.exception, UsageError), done.exception
    assert code is None or done.exception.code == code
    assert not (places / "out").exists()
