"""Our models beside `transformers` with the same weights: logits and gradients."""

from pathlib import Path

import torch
from support.model_cases import apart, noise, shaken
from transformers import AutoModelForCTC

from sewcli.models.ctc import CTCModel
from sewcli.models.folder import save_ctc
from sewcli.models.names import hugging_face_names
from sewcli.text.tokens import Vocabulary

LETTERS = Vocabulary.letters()
LOGITS = 1e-5  # relative to the largest logit
GRADIENTS = 1e-4  # relative to the largest of the parameter


def load_theirs(folder: Path, **changes):
    """What `transformers` makes of a folder; no tensor missing, none too many."""
    theirs, report = AutoModelForCTC.from_pretrained(folder, output_loading_info=True, **changes)
    assert not any(report[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    return theirs.eval()


def both(config, folder: Path):
    torch.manual_seed(0)
    ours = shaken(CTCModel(config, len(LETTERS))).eval()
    save_ctc(ours, LETTERS, folder / "model")
    return ours, load_theirs(folder / "model")


def compare(ours, theirs, samples: int, rows: int = 2) -> float:
    """Largest difference of logits, relative to the largest logit."""
    waves = noise(rows, samples)
    with torch.inference_mode():
        a, b = ours(waves, torch.full((rows,), samples)).logits, theirs(waves).logits
    assert a.shape == b.shape
    return apart(a, b)


def gradients_of(ours: CTCModel) -> dict[str, torch.Tensor]:
    """By the names of `transformers`; of everything but the mask vector, which takes no part without masks."""
    names = hugging_face_names(ours.config.family, dict(ours.named_parameters()))
    assert ours.encoder.mask_vector.grad is None
    parameters = {names[name]: p for name, p in ours.named_parameters() if name != "encoder.mask_vector"}
    assert all(parameter.grad is not None for parameter in parameters.values())
    return {name: parameter.grad for name, parameter in parameters.items()}


def gradients_apart(ours: dict[str, torch.Tensor], theirs) -> float:
    """Largest difference of any parameter's gradient, relative to the largest value in that gradient.

    Where a gradient is less than a thousandth of the model's largest, it is held against that thousandth: a key's bias
    shifts every score of a row alike, so that its true gradient is zero and only noise remains.
    """
    reference = {name: parameter.grad for name, parameter in theirs.named_parameters() if parameter.grad is not None}
    surplus = {name for name in reference.keys() - ours.keys() if ".feature_projection.projection." not in name}
    assert not surplus and not ours.keys() - reference.keys()  # theirs has an identity projection where ours has none
    floor = 1e-3 * max(float(gradient.abs().max()) for gradient in reference.values())
    return max(
        float((gradient - reference[name]).abs().max()) / max(float(reference[name].abs().max()), floor)
        for name, gradient in ours.items()
    )
