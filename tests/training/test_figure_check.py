"""Every figure of a paper that the project carries is compared with the one table, and a wrong or missing one is found."""

import shutil
from pathlib import Path

import pytest

from sewcli.models.figure_blocks import BLOCKS
from sewcli.training.figure_check import check_figures

ROOT = Path(__file__).parents[2]


def test_every_figure_of_this_repository_is_that_of_the_papers() -> None:
    found = check_figures(ROOT)
    assert found.differences == []
    assert found.figures > 2000
    marked = {place.rpartition("(")[2].rstrip(")") for place in found.places}
    assert set(BLOCKS) <= marked and {"docs/published.md", "docs/recipes.md", "docs/models.md"} <= set(found.places)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for folder in ("docs", "egs"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    return tmp_path


@pytest.mark.fault("W2", "W3", "W4")
@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("egs/librispeech/RESULTS.md", "22.3 / 13.4", "22.3 / 13.5", "sew-d-tiny 100K, dev-other: 22.3 / 13.5, where"),
        (
            "egs/voxpopuli/RESULTS.md",
            "| sew-d-base-plus | 400K | 14.8 / 15.5 |",
            "| x | 400K | 14.8 / 15.5 |",
            "model: x",
        ),
        ("egs/swbd_fisher/RESULTS.md", "<!-- figures: swbd_fisher -->", "", "no table is marked <!-- figures: swbd_"),
        ("docs/compression.md", "WER, dev-clean", "WER, test-clean", "without WER, dev-clean"),
        ("docs/recipes.md", "7.97 ± 0.02", "7.96 ± 0.02", "docs/recipes.md:"),
        ("docs/models.md", "| 40.73 |", "| 40.74 |", "docs/models.md, table 4, 6 squeezed"),
        ("docs/published.md", "74.4", "74.5", "docs/published.md:"),
    ],
)
def test_a_figure_that_differs_is_found(file: str, old: str, new: str, said: str, copy: Path) -> None:
    text = (copy / file).read_text()
    assert old in text
    (copy / file).write_text(text.replace(old, new))
    assert any(said in line for line in check_figures(copy).differences)


def test_our_own_columns_are_free(copy: Path) -> None:
    file = copy / "egs/librispeech/RESULTS.md"
    file.write_text(
        file.read_text().replace(
            "13.4 | 10.4 / 4.9 | 22.8 / 13.9 | not measured", "13.4 | 10.4 / 4.9 | 22.8 / 13.9 | 9.9 / 21.0"
        )
    )
    assert "9.9 / 21.0" in file.read_text() and check_figures(copy).differences == []


def test_an_installed_package_has_its_recipes_alone(tmp_path: Path) -> None:
    found = check_figures(tmp_path)
    assert found.differences == [] and found.figures > 100 and len(found.places) == 1


def test_the_command_says_how_many(sew_here) -> None:
    done = sew_here("recipes", "--check-figures")
    assert done.returncode == 0 and "figures compared, 0 differ" in done.stdout
