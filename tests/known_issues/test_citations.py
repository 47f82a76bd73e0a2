"""Where the code says that a paper has something, it is there; places that were wrong once."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLACES = {
    "compression/losses.py": '"Shrinking Bigfoot", section 4.1',
    "compression/distill.py": '"Shrinking Bigfoot", section 4.1',
    "scoring/errors.py": "wav2vec 2.0's appendix (11:",
    "scoring/against.py": "table 12 of\nwav2vec 2.0's appendix",
    "decoding/viterbi.py": "SEW table 11",
    "decoding/beam.py": "SEW section 4.1",
    "decoding/weights.py": "SEW (section 4.1)",
    "data/plan.py": "SEW section 4.1",
    "training/pretrain.py": "SEW section 4.1",
    "training/config.py": "SEW section 4.1",
    "nn/squeeze.py": "SEW section 4.3, figure 4",
    "nn/heads.py": "SEW section 4.6",
    "models/pretraining.py": "MLP heads (section 4.6)",
    "nn/log_mel.py": "section 4.7, table 4",
    "corpora/subset.py": "SEW (section 6, B.2-4)",
    "bench/speech.py": "section 4.1, table 6",
    "models/encoder.py": "SEW section 4, figures 2 and 4",
}


@pytest.mark.fault("W9")
@pytest.mark.parametrize("file", PLACES)
def test_a_place_is_the_papers(file: str) -> None:
    assert PLACES[file] in (ROOT / "sewcli" / file).read_text()


@pytest.mark.fault("W9")
def test_no_file_cites_sections_that_have_something_else() -> None:
    """SEW's set-up is section 4.1 and appendix B; section 5.1 does not exist."""
    wrong = re.compile(r"SEW(?:'s|’s)? \(?section 5(?!\d)|section 5\.1")
    files = [*ROOT.glob("sewcli/**/*.py"), *ROOT.glob("sewcli/recipes/**/*.yaml"), *ROOT.glob("docs/*.md")]
    assert len(files) > 300
    assert [str(file) for file in files if wrong.search(file.read_text(encoding="utf-8"))] == []


@pytest.mark.fault("W10", "W13")
def test_what_differs_from_the_papers_is_written_down() -> None:
    page = (ROOT / "docs/published.md").read_text()
    section = page.partition("## Where paper and code differ")[2].partition("\n## ")[0]
    for point in ("3e-5", "after hidden layers only", "W^q,p", "0.2 for all models of 24 layers", "1e-4", "hold-out"):
        assert point in section, point
    assert "official 4-gram, a beam of 50 and\nthe weights 2 and -1" in page
