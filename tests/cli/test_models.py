"""`sew models` prints the zoo, and one model part by part."""

import json

from sewcli.cli.models import print_model, print_models
from sewcli.models.zoo import names


def test_the_list_is_printed(capsys) -> None:
    print_models()
    lines = capsys.readouterr().out.splitlines()
    assert any(
        line.startswith("sew-d-base-plus") and "177.00 M 177.0 M 4.15 M" in " ".join(line.split()) for line in lines
    )
    assert any(
        line.startswith("w2v2-mid+heads-mlp ") and "49.79 M 49.8 M 4.20 M" in " ".join(line.split()) for line in lines
    )
    print_models(as_json=True)
    rows = {row["name"]: row for row in map(json.loads, capsys.readouterr().out.splitlines())}
    assert set(names()) < set(rows) and "sew-tiny+fbfe" in rows
    row = rows["sew-d-mid"]
    assert (row["parameters"], row["extractor_parameters"], row["width"], row["layers"]) == (78816063, 1843968, 512, 24)
    assert row["paper_parameters"] == "78.8" and row["agrees"] is True
    assert rows["w2v2-small"]["paper_parameters"] == "24.8" and rows["w2v2-small"]["agrees"] is False
    assert rows["sew-micro"]["paper_parameters"] is None
    assert rows["w2v2-tiny+e384+25hz+k127"]["samples_per_frame"] == 640


def test_one_model_is_explained(capsys) -> None:
    print_model("sew-tiny+wfe-c-c128-l0+k127")
    shown = capsys.readouterr().out
    assert "encoder.context.layers.0-11, each" in shown and "45,601,951" in shown
    assert "counted as in table 2: 4.32 G; the paper prints 4.3" in shown
    print_model("sew-tiny+fbfe")
    assert "160 x 496 x 37" in capsys.readouterr().out
