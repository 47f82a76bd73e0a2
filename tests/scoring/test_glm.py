"""Maps of spellings, counted by hand; test_nist.py holds them against rfilter1."""

from pathlib import Path

import pytest
from glm_rules import GLM

from sewcli.base.errors import DataError
from sewcli.scoring.glm import parse_glm, read_glm


@pytest.mark.parametrize(
    ("text", "ref", "hyp"),
    [
        ("uh um uh okay", "%HES %HES %HES O. K.", "%HES %HES %HES O. K."),
        ("b (b)", "F (F)", "B (B)"),
        ("he's UH-HUH well-off", "{HE IS / HE HAS} %BC WELL OFF", "{HE IS / HE HAS} %BC WELL OFF"),
        ("go to go  TO (TH-) -ING", "GOTO GOTO (TH-) -ING", "GOTO GOTO (TH-) -ING"),
        ("XX a (a b uh)", "A (A) (F) (%HES)", "A (A) (B) (%HES)"),
        ("(he's)", "{ (HE) (IS) / (HE) (HAS) }", "{ (HE) (IS) / (HE) (HAS) }"),
        ("", "", ""),
    ],
)
def test_a_map_of_spellings(text: str, ref: str, hyp: str) -> None:
    assert parse_glm(GLM.splitlines(), side="ref").words(text) == ref
    assert parse_glm(GLM.splitlines(), side="hyp").words(text) == hyp


def test_rules_see_the_text_as_given_and_the_first_wins() -> None:
    rules = parse_glm(["**", "* case_sensitive = 'F'", "A => B / [ ] __ [ ]", "B => C", "[C D] => [X ]"], side="ref")
    assert rules.words("a b cde AA") == "B C CDE AA"
    assert rules.words("c da") == "X A"
    exact = parse_glm([";;", "* case_sensitive = 'T'", "a => x", "B => y"], side="ref")
    assert exact.words("a b") == "A y"  # the text is in capitals by then


def test_what_is_no_map_is_said(tmp_path: Path) -> None:
    (tmp_path / "bad.glm").write_text(";;\nA B\n")
    with pytest.raises(DataError, match="without an arrow") as caught:
        read_glm(tmp_path / "bad.glm", side="ref")
    assert "bad.glm" in str(caught.value)
    with pytest.raises(DataError, match="cannot be read"):
        read_glm(tmp_path / "none.glm", side="ref")
