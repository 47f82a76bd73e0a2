"""STM, CTM and GLM: rules counted by hand, and the same counts as NIST's tools on random cases."""

import random
import re
from pathlib import Path

import pytest
from glm_rules import GLM
from nist_tools import TOOLS, needs_sctk, random_pairs
from support.refusals import refused

from sewcli.base.errors import DataError, UsageError
from sewcli.scoring import nist
from sewcli.scoring.errors import by_group, by_length, top_errors
from sewcli.scoring.glm import with_room
from sewcli.scoring.nist import SegmentCounts, TimedWord, normalised_stm, score, score_in_python, score_with_sctk
from sewcli.scoring.wer import WordErrors, sum_counts, word_errors

VOCABULARY = re.split(" ", "A B C D UH UM OKAY O. K. HE'S HE IS GO TO TH- THE -ING SING UH-HUH WELL-OFF WELL")
MARKUP = [word for word in VOCABULARY if word != "HE'S"]  # an optional contraction breaks sclite


@pytest.fixture
def glm(tmp_path: Path) -> Path:
    path = tmp_path / "rules.glm"
    path.write_text(GLM)
    return path


STM = """\
f 1 f_A 0.00 2.00 <o,x> A B
f 1 inter_segment_gap 2.00 3.00 <o,>
f 1 f_A 3.00 4.00 <o,x> <B_ASIDE> ((TH-) C <E_ASIDE>
f 1 f_A 4.00 6.00 <o,x> IGNORE_TIME_SEGMENT_IN_SCORING
f 1 f_A 6.00 7.00 <o,x> D
"""


@pytest.mark.parametrize("tool", ["python", pytest.param("sctk", marks=needs_sctk)])
def test_words_belong_to_segments_by_their_middle(tmp_path: Path, tool: str) -> None:
    (tmp_path / "x.stm").write_text(STM)
    said = [(0.5, "A"), (1.8, "B"), (2.2, "X"), (3.2, "THE"), (3.7, "C"), (5.0, "Y"), (5.9, "Z"), (6.5, "D"), (9, "E")]
    words = [TimedWord("f", "1", start, 0.2, word) for start, word in said]
    used, found = score(tmp_path / "x.stm", None, words, tool=tool)
    assert used == tool
    # B's middle is at 1.9 s; X, in the gap, and THE belong to the next segment; Y is ignored; Z's middle is at 6.0 s
    assert [(s.counts.words, s.counts.errors) for s in found] == [(2, 0), (2, 1), (1, 2)]
    assert {s.file for s in found} == {"f"}


def test_what_the_tools_are_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (
        normalised_stm(STM).count("\n") == 4 and "((" not in normalised_stm(STM) and "ASIDE" not in normalised_stm(STM)
    )
    assert "max_nrules = '27'" in with_room(GLM + "A => B\nC => D\nE => F\n")
    monkeypatch.setattr(nist, "sctk", lambda: None)
    (tmp_path / "x.stm").write_text(STM)
    assert score(tmp_path / "x.stm", None, [])[0] == "python"
    with refused(UsageError, "sctk-missing"):
        score(tmp_path / "x.stm", None, [], tool="sctk")
    with pytest.raises(UsageError, match="no tool 'asclite'"):
        score(tmp_path / "x.stm", None, [], tool="asclite")
    (tmp_path / "x.stm").write_text("f 1 A\n")
    with pytest.raises(DataError, match="line 1"):
        score(tmp_path / "x.stm", None, [])


@needs_sctk
def test_channels_and_calls_without_a_word(tmp_path: Path) -> None:
    assert TOOLS is not None
    stm = normalised_stm("e 1 e_A 0 1 <o,x> WELL\n" + STM + "f 2 f_B 0 1 <o,x> WELL\n")
    for words in ([], [TimedWord("f", "2", 0.5, 0.2, "WELL")], [TimedWord("e", "1", 0.5, 0.2, "WELL")]):
        theirs, ours = score_with_sctk(stm, None, words, TOOLS), score_in_python(stm, None, words)
        assert len(ours) == 5 and _by_file(ours) == _by_file(theirs)


@needs_sctk
def test_what_the_tools_refuse_is_scored_without_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.stm").write_text("f 1 f_A 0 1 <o,x> (HE'S)\n")
    (tmp_path / "x.glm").write_text(GLM)
    words = [TimedWord("f", "1", 0.5, 0.2, "A")]
    with pytest.raises(DataError, match=r"hubscr\.pl failed"):
        score(tmp_path / "x.stm", tmp_path / "x.glm", words, tool="sctk")
    used, found = score(tmp_path / "x.stm", tmp_path / "x.glm", words)
    assert used == "python" and "without NIST's tools" in capsys.readouterr().err
    assert found[0].counts.errors == 1


def _reference(rng: random.Random, depth: int = 0) -> list[str]:
    words: list[str] = []
    for _ in range(rng.randint(1, 2) if depth else rng.randint(0, 6)):
        draw = rng.random()
        if draw < 0.12:
            words.append(f"({rng.choice(MARKUP)})")
        elif draw < 0.16:
            words.append(f"({rng.choice(MARKUP)} {rng.choice(MARKUP)})")
        elif draw < 0.3 and depth < 2:
            ways = (
                " ".join(_reference(rng, depth + 1)) if rng.random() < 0.8 else "@" for _ in range(rng.randint(2, 3))
            )
            words.append(f"{{ {' / '.join(ways)} }}")
        else:
            words.append(rng.choice(VOCABULARY))
    return words


def _said(reference: list[str], rng: random.Random) -> list[str]:
    text = " ".join(reference)
    while "{" in text:
        text = re.sub(r"\{([^{}]*)\}", lambda match: rng.choice(match[1].split("/")), text)
    said: list[str] = []
    for word in text.replace("(", "").replace(")", "").split():
        draw = rng.random()
        if word != "@" and draw > 0.12:
            said.append(word if draw > 0.25 else rng.choice(VOCABULARY))
        if draw > 0.9:
            said.append(rng.choice(VOCABULARY))
    return said


def _case(files: int, seed: int) -> tuple[str, list[TimedWord]]:
    """Calls of two channels and four segments each, with gaps, words over their ends, and stretches that are ignored."""
    rng = random.Random(seed)
    lines: list[str] = []
    words: list[TimedWord] = []
    for number in range(files):
        for channel in "AB":
            start = 0.0
            for segment in range(4):
                reference = _reference(rng)
                text = " ".join(reference) if rng.random() > 0.1 else "IGNORE_TIME_SEGMENT_IN_SCORING"
                lines.append(f"f{number:03d} {channel} f{number}_{channel} {start:.2f} {start + 2:.2f} <O,x> {text}\n")
                said = _said(reference, rng) or ([] if segment else ["A"])
                step = 2.3 / max(len(said), 1)
                words += [
                    TimedWord(f"f{number:03d}", channel, round(start + n * step, 3), round(0.8 * step, 3), word)
                    for n, word in enumerate(said)
                ]
                start += 2 + rng.choice((0, 0, 0.5))
    return "".join(lines), words


def _by_file(segments: list[SegmentCounts]) -> list[tuple[str, tuple[int, ...]]]:
    return sorted(
        (s.file, (s.counts.words, s.counts.substitutions, s.counts.deletions, s.counts.insertions)) for s in segments
    )


def _errors_by_file(segments: list[SegmentCounts]) -> list[int]:
    return [s.counts.errors for s in sorted(segments, key=lambda s: s.file)]


@needs_sctk
def test_as_sclite_on_random_cases(glm: Path) -> None:
    """Not the total alone: substitutions, deletions, insertions and words of each of 500 segments."""
    assert TOOLS is not None
    stm, words = _case(files=70, seed=3)
    theirs, ours = score_with_sctk(stm, glm, words, TOOLS), score_in_python(stm, glm, words)
    assert len(theirs) == len(ours) > 480
    assert sum_counts(s.counts for s in ours).errors > 400
    assert _by_file(ours) == _by_file(theirs)


def _random_texts() -> tuple[WordErrors, str, list[TimedWord]]:
    """1,000 pairs: their errors as jiwer has them, and the pairs as an STM and timed words."""
    references, hypotheses = random_pairs(1000, 0.2, seed=5)
    texts = [[" ".join(words) for words in side] for side in (references, hypotheses)]
    errors = word_errors(*texts)
    stm, words = "", []
    for n, (reference, hypothesis) in enumerate(zip(*texts, strict=True)):
        stm += f"f{n:04d} A s{n % 20} 0.00 9.00 <O> {reference}\n"
        words += [TimedWord(f"f{n:04d}", "A", 0.1 * place, 0.1, word) for place, word in enumerate(hypothesis.split())]
    return errors, stm, words


@needs_sctk
def test_jiwer_and_sclite_count_the_same() -> None:
    """sclite prefers hits to few errors, so that another split of the same total is its right."""
    assert TOOLS is not None
    errors, stm, words = _random_texts()
    theirs = score_with_sctk(stm, None, words, TOOLS)
    assert _errors_by_file(theirs) == [c.errors for c in errors.utterances]
    assert _by_file(score_in_python(stm, None, words)) == _by_file(theirs)


def test_jiwer_our_rules_and_our_breakdowns_count_the_same() -> None:
    errors, stm, words = _random_texts()
    assert _errors_by_file(score_in_python(stm, None, words)) == [c.errors for c in errors.utterances]
    for parts in (by_group([f"s{n % 20}" for n in range(1000)], errors.utterances), by_length(errors.utterances)):
        assert sum(size for size, _ in parts.values()) == 1000
        assert sum_counts(c for _, c in parts.values()) == errors.total
    for kind, found in top_errors(errors.alignments, limit=10_000).items():
        assert sum(times for _, times in found) == getattr(errors.total, kind)
