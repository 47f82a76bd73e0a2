"""Which layers a student takes, and that it takes them whole."""

from itertools import pairwise

import pytest
import torch

from sewcli.base.errors import UsageError
from sewcli.compression.config import DistillConfig
from sewcli.compression.layers import chosen_layers, with_layers
from sewcli.compression.student import new_student, require_equal_rates
from sewcli.models.ctc import CTCModel
from sewcli.models.sparsity import LAYERS
from sewcli.models.zoo import lookup
from sewcli.text.tokens import Vocabulary


@pytest.mark.parametrize("total, wanted", [(24, 12), (12, 6), (12, 4), (8, 2), (4, 4)])
def test_alternate_layers_are_the_papers_where_numbers_divide(total: int, wanted: int) -> None:
    assert chosen_layers("alternate", total, wanted) == list(range(0, total, total // wanted))


def test_other_numbers_are_spread_evenly() -> None:
    assert chosen_layers("alternate", 12, 8) == [0, 1, 3, 4, 6, 7, 9, 10]
    assert chosen_layers("alternate", 12, 10) == [0, 1, 2, 3, 4, 6, 7, 8, 9, 10]
    assert chosen_layers("last", 12, 4) == [8, 9, 10, 11]
    for total in range(1, 26):
        for wanted in range(1, total + 1):
            layers = chosen_layers("alternate", total, wanted)
            steps = {after - before for before, after in pairwise(layers)}
            assert len(set(layers)) == wanted and layers[0] == 0 and len(steps) <= 2


def test_more_layers_than_there_are() -> None:
    with pytest.raises(UsageError, match="5 layers from a model of 4"):
        chosen_layers("alternate", 4, 5)


@pytest.mark.parametrize("name", ["sew-micro", "sew-d-micro", "w2v2-micro"])
def test_a_student_has_its_teachers_weights(name: str) -> None:
    teacher = CTCModel(lookup(name), 32)
    with torch.no_grad():
        for parameter in teacher.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    student = with_layers(teacher, [0, 2])
    ours, theirs = student.state_dict(), teacher.state_dict()
    assert student.config.layers == 2
    for key, tensor in ours.items():
        old = key.replace(f"{LAYERS}1.", f"{LAYERS}2.")
        assert torch.equal(tensor, theirs[old]), key
    assert theirs.keys() - {k.replace(f"{LAYERS}1.", f"{LAYERS}2.") for k in ours} == {
        k for k in theirs if k.startswith((f"{LAYERS}1.", f"{LAYERS}3."))
    }
    waves, lengths = torch.randn(1, 8000), torch.tensor([8000])
    same = with_layers(teacher, [0, 1, 2, 3]).eval()(waves, lengths).logits
    assert torch.equal(same, teacher.eval()(waves, lengths).logits)
    assert not torch.equal(student.eval()(waves, lengths).logits, same)


def test_a_zoo_name_is_a_student_with_new_weights_of_any_depth() -> None:
    config = DistillConfig(teacher="t", model="sew-micro", layers=3, init="random")
    student = new_student(config, Vocabulary.letters())
    assert student.config.layers == 3 and student.config.family == "sew" and student.config.layer_drop == 0.0
    assert student.config.extractor_gradient == 0.1


def test_unequal_frame_rates_are_refused_with_the_mend() -> None:
    require_equal_rates(lookup("sew-micro"), lookup("w2v2-micro"))
    require_equal_rates(lookup("w2v2-micro+25hz+upsample"), lookup("w2v2-micro"))
    with pytest.raises(UsageError, match="the student makes 25 frames a second and the teacher 50") as caught:
        require_equal_rates(lookup("w2v2-micro+25hz"), lookup("w2v2-micro"))
    assert "overrides.output_upsample=2" in str(caught.value.hint)
    with pytest.raises(UsageError, match="the teacher makes 25"):
        require_equal_rates(lookup("w2v2-micro"), lookup("w2v2-micro+25hz"))


def test_nothing_to_learn_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing to learn"):
        DistillConfig(teacher="t", model="m", divergence_weight=0)
