"""The package: what a wheel holds, and that it works in a fresh environment where no checkout can be imported."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())
NOT_PYTHON = sorted(
    path.relative_to(ROOT / "sewcli")
    for path in (ROOT / "sewcli").rglob("*")
    if path.is_file() and path.suffix not in (".py", ".pyc")
)


def test_every_file_of_the_package_that_is_not_python_is_package_data():
    patterns = SETTINGS["tool"]["setuptools"]["package-data"]["sewcli"]
    found = {pattern: set((ROOT / "sewcli").glob(pattern)) for pattern in patterns}
    assert all(found.values()), found
    named = {path.relative_to(ROOT / "sewcli") for paths in found.values() for path in paths if path.is_file()}
    assert named == set(NOT_PYTHON)


def test_every_package_is_found():
    folders = {path.parent for path in (ROOT / "sewcli").rglob("*.py")}
    assert [folder for folder in folders if not (folder / "__init__.py").is_file()] == []


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new environment with the wheel in it; the other packages are those of this Python, the checkout is not."""
    folder = tmp_path_factory.mktemp("package")
    source = folder / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / "sewcli", source / "sewcli", ignore=shutil.ignore_patterns("__pycache__"))
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, source)
    (wheel,) = folder.glob("sewcli-*.whl")
    venv.create(folder / "env", with_pip=True)
    python = folder / "env" / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", "--no-deps", wheel)
    (packages,) = (folder / "env").glob("lib/python*/site-packages")
    (packages / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    shutil.rmtree(source)
    return folder / "env"


def run(*command: object, cwd: Path | None = None) -> str:
    """Stdout of a command that is to succeed; nothing of this checkout is on its path."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run([*map(str, command)], check=False, capture_output=True, text=True, cwd=cwd, env=clean)
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


@pytest.mark.long
def test_a_wheel_works_without_a_checkout(environment: Path, tmp_path: Path):
    import numpy as np
    import soundfile

    from sewcli.models.ctc import CTCModel
    from sewcli.models.folder import save_ctc
    from sewcli.models.zoo import lookup
    from sewcli.text.tokens import Vocabulary

    save_ctc(CTCModel(lookup("sew-micro"), 32), Vocabulary.letters(), tmp_path / "exp" / "sew-tiny-ft" / "model")
    wave = np.random.default_rng(0).normal(0, 0.1, 48_000)
    soundfile.write(tmp_path / "talk.wav", wave, 16_000)
    python, sew = environment / "bin" / "python", environment / "bin" / "sew"

    place = Path(run(python, "-c", "import sewcli; print(sewcli.__file__)", cwd=tmp_path).strip())
    assert place.is_relative_to(environment) and not (environment / "source").exists()
    assert all((place.parent / name).is_file() for name in NOT_PYTHON)

    assert "transcribe" in run(sew, "--help", cwd=tmp_path)
    assert "sew-d-mid" in run(sew, "models", cwd=tmp_path)
    assert "100h-stable" in run(sew, "recipes", cwd=tmp_path)
    transcript = run(sew, "transcribe", "talk.wav", "--model", "exp/sew-tiny-ft", cwd=tmp_path)
    assert transcript.strip()
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    lines = run(python, "-c", example.replace("talk.mp3", "talk.wav"), cwd=tmp_path).splitlines()
    assert [line.partition(" ")[2] for line in lines] == transcript.splitlines()
