"""The rate that chooses the best model: of characters where blanks separate no words, of phones where symbols are phones."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from sewcli.data.utterances import Utterance, read_split
from sewcli.models.ctc import CTCModel
from sewcli.models.zoo import lookup
from sewcli.scoring.wer import character_errors, sum_counts, word_errors
from sewcli.text.spacing import has_words
from sewcli.text.tokens import Vocabulary
from sewcli.training.config import FinetuneConfig
from sewcli.training.finetune import Finetuning
from sewcli.training.recipes import compose
from sewcli.training.selection import chosen_rate, error_rates
from sewcli.training.stop import StopFlag

CPU = torch.device("cpu")


@pytest.fixture
def phones(tmp_path: Path) -> Vocabulary:
    (tmp_path / "phones.txt").write_text("sh\niy\nhh\nae\nd\ny\ner\n")
    return Vocabulary.read(tmp_path / "phones.txt")


def validated(prepared: Path, vocabulary: Vocabulary, text: str, *sets: str) -> tuple[Finetuning, float, dict]:
    config = compose(
        FinetuneConfig, "finetune", None, {"model": "sew-micro"}, ["batch.seconds=4", "batch.micro_seconds=4", *sets]
    )
    cuts: list[Utterance] = [replace(u, text=text) for u in read_split(prepared, "dev-clean")[:2]]
    torch.manual_seed(3)
    task = Finetuning(config, CTCModel(lookup("sew-micro"), len(vocabulary)), vocabulary, cuts, cuts)
    outcome = task.validate(5, CPU, StopFlag())
    assert outcome is not None
    return task, *outcome


@pytest.mark.fault("report-7", "report-28")
def test_texts_without_blanks_are_chosen_by_characters(prepared: Path) -> None:
    own = Vocabulary(("<pad>", "<s>", "</s>", "<unk>", "|", *sorted(set("今天天气很好我们去公园"))))
    task, figure, row = validated(prepared, own, "今天天气很好我们去公园")
    assert (task.rate, figure) == ("cer", row["cer"])
    assert "Character error rate (greedy, validation)" in task.facts and "Word error rate" not in str(task.facts)
    task, figure, row = validated(prepared, own, "今天天气很好我们去公园", "select=wer")
    assert (task.rate, figure) == ("wer", row["wer"])


@pytest.mark.fault("report-7")
def test_texts_with_words_are_chosen_by_words_and_characters_are_logged(prepared: Path) -> None:
    task, figure, row = validated(prepared, Vocabulary.letters(), "turn it\ton")
    assert (task.rate, figure) == ("wer", row["wer"]) and row["cer"] > 0
    assert "Word error rate (greedy, validation)" in task.facts
    assert validated(prepared, Vocabulary.letters(), "TURN IT ON", "select=cer")[0].rate == "cer"


@pytest.mark.fault("W7", "report-8")
def test_phones_are_chosen_by_phones(prepared: Path, phones: Vocabulary) -> None:
    task, figure, row = validated(prepared, phones, "sh iy hh ae d")
    assert (task.rate, figure) == ("per", row["per"]) and "wer" not in row and "cer" not in row
    assert task.labels[0] == phones.encode("sh iy hh ae d") and len(task.labels[0]) == 5
    assert "Phone error rate (greedy, validation)" in task.facts


def test_rates_by_hand(phones: Vocabulary) -> None:
    assert error_rates(["sh iy hh", "d"], ["sh iy", "d"], phones) == {"per": 1 / 4}
    rates = error_rates(["PLAY HAPPY MUSIC"], ["PLA HAPPY MUSIC"], Vocabulary.letters())
    assert rates == {"wer": 1 / 3, "cer": 1 / 16}
    assert error_rates(["play\u00a0happy music"], ["PLAY HAPPY MUSIC"], Vocabulary.letters())["wer"] == 0
    assert chosen_rate("auto", Vocabulary.letters(), ["YES", "NO"]) == "wer"
    assert word_errors(["AB"], ["A"]).wer == 1 and sum_counts(character_errors(["AB"], ["A"])).wer == 0.5


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (["PLAY HAPPY MUSIC IN THE OFFICE"], True),
        (["PLAYHAPPYMUSICINTHEOFFICE"], False),
        (["YES", "NO", "STOP"], True),
        (["LENTOKONESUIHKUTURBIINIMOOTTORI ON TÄÄLLÄ NYT"], True),
        (["今天天气很好我们去公园", "你好"], False),
        (["打开灯", "关灯"], False),
        (["今天 天气 很 好", "我们 去 公园"], True),
        (["きょうはとてもいいてんきですね"], False),
        (["วันนี้อากาศดีมาก เราไปสวนสาธารณะกันเถอะ"], False),
        (["วันนี้ อากาศ ดี มาก"], True),
        (["안녕하세요 오늘 날씨가 좋네요"], True),
        (["مرحبا بكم في البيت"], True),
        (["नमस्ते दुनिया आप कैसे हैं"], True),
        (["", "12 34"], True),
    ],
)
def test_which_texts_have_words(texts: list[str], words: bool) -> None:
    assert has_words(texts) is words
