"""The command itself: quick help, no torch, exit codes, one clear line."""

import subprocess
import sys
from pathlib import Path

import pytest
from support.refusals import refused

from sewcli import __version__
from sewcli.base.errors import UsageError

VERBS = (
    "prep",
    "check",
    "shar",
    "pretrain",
    "finetune",
    "distill",
    "prune",
    "lm",
    "decode",
    "quantize",
    "rescore",
    "pseudo-label",
    "selftrain",
    "align",
    "score",
    "bench",
    "models",
    "recipes",
    "import",
    "export",
    "report",
    "submit",
)


def sew(*arguments: str, cwd: Path, **options) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "sew"), *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300, check=False, **options)


def test_help_names_every_verb(tmp_path: Path) -> None:
    shown = sew("--help", cwd=tmp_path)
    assert shown.returncode == 0
    assert all(f" {verb} " in shown.stdout for verb in VERBS)


def test_version(tmp_path: Path) -> None:
    shown = sew("--version", cwd=tmp_path)
    assert shown.returncode == 0 and shown.stdout == f"sew {__version__}\n"


@pytest.mark.parametrize(
    "verb", [*VERBS, "lm ngram", "lm train", "lm score", "prep librispeech", "prep table", "prep cuts"]
)
def test_every_verb_explains_itself(verb: str, tmp_path: Path) -> None:
    shown = sew(*verb.split(), "--help", cwd=tmp_path)
    assert shown.returncode == 0 and f"Usage: sew {verb}" in shown.stdout
    if verb != "lm":
        examples = [line for line in shown.stdout.splitlines() if line.strip().startswith(f"sew {verb}")]
        assert examples, "no example in the help"


@pytest.mark.parametrize(("verb", "extra"), [("quantize", "quantize"), ("export", "export"), ("import", "hub")])
def test_help_names_the_extra(verb: str, extra: str, tmp_path: Path) -> None:
    """Brackets are markup to who shows it."""
    shown = sew(verb, "--help", cwd=tmp_path)
    assert f"pip install 'sewcli[{extra}]'" in " ".join(shown.stdout.split())


def test_help_imports_neither_torch_nor_lhotse(tmp_path: Path) -> None:
    code = "import sys, sewcli.cli.app; print(sorted({'torch', 'lhotse', 'numpy', 'pydantic'} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("prep", "librispeech"), 2, "--mini"),
        (("pretrain", "--model", "sew-d-mid"), 2, "sew prep librispeech"),
        (("pretrain", "--model", "sew-d-mdi"), 2, "sew-d-mid"),
        (("pretrain", "--set", "optim.lrr=1"), 2, "did you mean 'lr'"),
        (("pretrain", "--config", "100kk"), 2, "did you mean '100k'"),
        (("finetune",), 2, "sew pretrain"),
        (("decode", "--lm", "4gram", "--beam", "50"), 2, "sew finetune"),
        (("decode", "--beam", "0"), 2, "--beam"),
        (("lm", "ngram", "--order", "4"), 2, "sew prep librispeech"),
        (("tune",), 2, "sew finetune"),
        (("distill",), 2, "--teacher"),
        (("distill", "--teacher", "sew-tiny"), 2, "without weights"),
        (("prune", "nowhere", "out", "--magnitude", "0.5"), 2, "no such model folder"),
        (("pseudo-label", "--split", "train-960"), 2, "sew finetune"),
        (("selftrain", "--untranscribed", "train-960"), 2, "sew finetune"),
        (("pseudo-label", "--split", "small", "--shard", "3/2"), 2, "no shard 3 of 2"),
        (("pseudo-label", "--split", "small", "--shard", "3"), 2, "not of the form I/N"),
        (("score",), 2, "sew decode"),
        (("report",), 2, "sew decode"),
        (("prep", "librispeach"), 2, "librispeech"),
        (("import", "nowhere.pt", "out"), 2, "no such model folder"),
        (("export", "nowhere", "out"), 2, "no such model folder"),
        (("pretend",), 2, "pretrain"),
    ],
)
def test_what_is_missing_is_said_with_the_command_that_comes_first(arguments, code, said, tmp_path: Path) -> None:
    done = sew(*arguments, cwd=tmp_path)
    assert done.returncode == code, done.stderr
    assert said in done.stderr and "Traceback" not in done.stderr
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_print_config_shows_the_papers_recipe(tmp_path: Path) -> None:
    done = sew("pretrain", "--model", "sew-d-mid", "--set", "optim.lr=3e-4", "--print-config", cwd=tmp_path)
    assert done.returncode == 0 and "lr: 0.0003" in done.stdout and "warmup_updates: 32000" in done.stdout


@pytest.mark.parametrize("wrong", [("--shard", "0/3"), ("--shard", "x"), ("--subset", "10h")])
def test_wrong_wishes_are_refused_before_a_miniature_is_spoken(wrong, tmp_path, sew) -> None:
    done = sew("prep", "librispeech", "--mini", "--out", tmp_path / "out", *wrong)
    assert done.returncode == 2 and wrong[1] in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("corpus", ["librispeech", "librilight", "tedlium3", "voxpopuli", "swbd_fisher"])
def test_a_file_is_not_a_corpus(corpus, tmp_path) -> None:
    from sewcli.cli.prep import prep

    (tmp_path / "corpus.tgz").write_text("")
    with refused(UsageError, "file-for-folder"):
        prep(corpus, tmp_path / "corpus.tgz", out=tmp_path / "out")
