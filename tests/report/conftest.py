"""Experiments of a made-up corpus with all that a report shows, and names that try to become markup."""

from pathlib import Path

import numpy as np
import pytest
from report_folders import BAD_ID, corpus, experiment


@pytest.fixture
def exp(tmp_path: Path) -> Path:
    """A pre-training, two fine-tunings decoded twice each, alignments, and the corpus beside them."""
    data, root = tmp_path / "data", tmp_path / "exp"
    references = corpus(data, 24)
    experiment(root / "pre", stage="pretrain", updates=300)
    rng = np.random.default_rng(0)
    for name, rate in (("good", 0.1), ("poor", 0.4)):
        texts = {key: _spoiled(text, rate, rng) for key, text in references.items()}
        beam = {key: _spoiled(text, rate / 2, rng) for key, text in references.items()}
        experiment(
            root / name,
            updates=200,
            pretrained=root / "pre" / "model",
            data=data,
            references=references,
            decoded={"greedy": texts, "4gram-beam50": beam},
        )
    (root / "good" / "align" / "test").mkdir(parents=True)
    lines = [
        f"{'_'.join(key.split())} 1 {0.1 * n:.3f} 0.080 {word} 0.9\n"
        for key, text in references.items()
        for n, word in enumerate(text.split())
    ]
    (root / "good" / "align" / "test" / "words.ctm").write_text("".join(lines))
    assert BAD_ID in references
    return root


def _spoiled(text: str, rate: float, rng: np.random.Generator) -> str:
    words = [word if rng.random() > rate else "<i>WRONG</i>" for word in text.split()]
    return " ".join(word for word in words if rng.random() > rate / 4)
