"""The tests in a miniature of telephone speech: Hub5 2000 to test on, RT-03S to develop on, as NIST and the LDC lay them out.

What the references of the two hold is in them: optional words and fragments, alternatives, asides, initials, segments that are
not scored, that hold nothing, or nothing but a hesitation, gaps between segments, and sides that overlap. NIST's own tools
(SCTK) take the STM and GLM files. Sentences of the test part in Hub5 2000, of the dev part in RT-03S.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from sewcli.base.rng import numpy_rng
from sewcli.corpora.miniatures.calls import SIDES, Call, Recording, Turn, write_sphere, write_table
from sewcli.corpora.miniatures.casting import Speaker
from sewcli.corpora.miniatures.sentences import sentences
from sewcli.corpora.stm import IGNORED

HUB5 = ("sw_4390", "sw_4484", "en_4156", "en_4852")
RT03 = ("fsh_60262", "sw_45097")
SPEAKERS = 2 * (len(HUB5) + len(RT03))  # each in one call
TURNS = {"test": 40, "dev": 24}  # of a call: about 4 minutes in all, and 1.5
HESITATIONS = ("uh", "um", "er")
Pair = tuple[str, str]  # what is said, what the reference makes of it
Kind = Callable[[list[str], int, str], Pair]  # the words of a sentence, the place of a long one, a hesitation


def scripts(speakers: Sequence[Speaker], seed: int) -> list[Call]:
    """The calls of both tests: those of Hub5 2000 first.

    Args:
        speakers: `SPEAKERS` of them, who are nowhere else in the miniature.
        seed: of the miniature.
    """
    parts = [*((name, "test") for name in HUB5), *((name, "dev") for name in RT03)]
    pairs = zip(speakers[::2], speakers[1::2], strict=True)
    return [_script(name, part, pair, seed) for (name, part), pair in zip(parts, pairs, strict=True)]


def write_tests(folder: Path, recordings: Sequence[Recording]) -> None:
    """Write what was made of `scripts` as LDC2002S09, LDC2002T43 and LDC2007S10."""
    _write_hub5(folder, recordings[: len(HUB5)])
    _write_rt03(folder / "LDC2007S10" / "data", recordings[len(HUB5) :])


def _write_hub5(folder: Path, recordings: Sequence[Recording]) -> None:
    audio, references = folder / "LDC2002S09" / "hub5e_00" / "english", folder / "LDC2002T43" / "reference"
    stm, pem = list(_head({"EN": "Callhome", "SW": "Switchboard"})), [";; file channel speaker begin end"]
    for made in recordings:
        call = made.call.id
        write_sphere(audio / f"{call}.sph", made.wave, "ulaw")
        corpus, spoken = call[:2], []
        for turn, start, end in made.turns():
            side, sex = SIDES[turn.side], made.call.speakers[turn.side].sex
            label = f"<O,{corpus},{sex},{corpus}-{sex}>"
            stm.append(f"{call} {side} {call}_{side} {start:.2f} {end:.2f} {label}  {turn.written}".rstrip())
            pem.append(f"{call} {side} unknown_speaker {start:.2f} {end:.2f}")
            spoken.append(f"{start:.2f} {end:.2f} {side}: {_transcribed(turn.speech)}")
        write_table(references / "english" / f"{call}.txt", [f"#Language: eng, call {call}", "", *spoken])
    write_table(audio / "hub5e_00.pem", pem)
    write_table(references / "hub5e00.english.000405.stm", stm)
    _write_glm(references / "en20000405_hub5.glm")


def _write_rt03(folder: Path, recordings: Sequence[Recording]) -> None:
    cts = Path("eval03", "english", "cts")
    for made in recordings:
        call = made.call.id
        write_sphere(folder / "audio" / cts / f"{call}.sph", made.wave, "ulaw")
        stm = list(_head({"FSH": "Fisher", "SWB": "Switchboard"}))
        for side in range(len(SIDES)):
            stm += _rt03_side(made, side)
        write_table(folder / "references" / cts / f"{call}.stm", stm)
    write_table(
        folder / "references" / "eval03" / "english" / "bnews" / "eval03.stm", ["abc 1 anchor 0.0 2.5 <O>  news"]
    )
    _write_glm(folder / "trans_rules" / "en20030506.glm")


def _rt03_side(made: Recording, side: int) -> Iterator[str]:
    """Small letters, sides called 1 and 2, and a line for each gap between the segments of a side."""
    call, clock = made.call.id, 0.0
    corpus, sex = "FSH" if call.startswith("fsh") else "SWB", made.call.speakers[side].sex
    for turn, start, end in made.turns():
        if turn.side == side:
            if start > clock:
                yield f"{call} {side + 1} inter_segment_gap {clock:.3f} {start:.3f} <O,{corpus},,>"
            label = f"<O,{corpus},{sex},{corpus}-{sex}>"
            text = turn.written if turn.written == IGNORED.upper() else turn.written.lower()
            yield f"{call} {side + 1} {call}_{SIDES[side]} {start:.3f} {end:.3f} {label}  {text}".rstrip()
            clock = end


def _script(name: str, part: str, pair: tuple[Speaker, Speaker], seed: int) -> Call:
    rng = numpy_rng(seed, "script", name)
    lines = [sentences(part, seed, speaker.number) for speaker in pair]
    turns, side = [], int(rng.integers(2))
    for index in range(TURNS[part]):
        turns.append(Turn(side, *_refer(next(lines[side]), index, rng)))
        side = side if rng.random() < 0.2 else 1 - side
    return Call(name, pair, tuple(turns))


def _refer(sentence: str, index: int, rng: np.random.Generator) -> Pair:
    """What is said of a sentence and how the reference has it: plain half of the time, otherwise each kind in turn."""
    hesitation = HESITATIONS[int(rng.integers(len(HESITATIONS)))]
    if index % 13 == 5:
        alone = ("(%HESITATION)", IGNORED.upper(), "")[index // 13 % 3]
        return (sentence.lower() if alone == IGNORED.upper() else hesitation), alone
    words = sentence.split()
    long_ones = [place for place, word in enumerate(words) if len(word) >= 4 and word.isalpha()]
    if index % 2 or not long_ones:
        return sentence.lower(), sentence
    return _KINDS[index // 2 % len(_KINDS)](words, long_ones[int(rng.integers(len(long_ones)))], hesitation)


def _changed(said: str, written: str) -> Kind:
    """A long word with something before it: `{}` is the word, `{0:.2}` its beginning, `{1}` a hesitation."""

    def change(words: list[str], place: int, hesitation: str) -> Pair:
        forms = [form.format(words[place], hesitation) for form in (said, written)]
        heard, referred = (" ".join([*words[:place], form, *words[place + 1 :]]) for form in forms)
        return heard.lower(), referred

    return change


def _followed(said: str, written: str) -> Kind:
    return lambda words, _place, hesitation: (
        " ".join([*words, said.format(hesitation)]).lower(),
        " ".join([*words, written]),
    )


def _aside(words: list[str], _place: int, _hesitation: str) -> Pair:
    return " ".join(words).lower(), " ".join(["<B_ASIDE>", *words, "<E_ASIDE>"])


_KINDS: tuple[Kind, ...] = (
    _changed("{1} {0}", "(%HESITATION) {0}"),
    _changed("{0:.2} {0}", "({0:.2}-) {0}"),
    _changed("{0}", "{{ {0} / @ }}"),
    _aside,
    _changed("{0:.2} {0}", "(({0:.2}-) {0}"),  # an error of the true STM, which Kaldi mends for NIST's tools
    _changed("{0}", "({0})"),
    _followed("on t v", "ON T. V."),
    _followed("and two c dees", "AND TWO C. D.S"),
    _followed("uh huh", "UH-HUH"),
    _followed("it's on", "{ IT'S / IT IS } ON"),
    _followed("{0}", "%HESITATION"),
)


def _transcribed(speech: str) -> str:
    """As the LDC's transcribers wrote it, for people who read reference/english/*.txt."""
    marked = [f"%{word}," if word in HESITATIONS else word for word in speech.split()]
    return " ".join(marked).replace("it's", "<contraction e_form=\"[it=>it][is=>'s]\">it's") + " {breath}"


def _head(corpora: dict[str, str]) -> Iterator[str]:
    """What the labels of segments mean, for the tables of NIST's tools."""
    sexes = {"F": "Female", "M": "Male"}
    both = {f"{corpus}-{sex}": f"{corpora[corpus]} {sexes[sex]}" for corpus in corpora for sex in sexes}
    yield ';; CATEGORY "0" "" ""'
    yield ';; LABEL "O" "Overall" "The Complete Test Set"'
    for number, (title, names) in enumerate((("Corpus", corpora), ("Sex", sexes), ("Corpus/Sex", both)), start=1):
        yield f';; CATEGORY "{number}" "{title}" ""'
        yield from (f';; LABEL "{label}" "{name}" "{name}"' for label, name in names.items())


def _write_glm(path: Path) -> None:
    rules = [
        *((word.upper(), "%HESITATION") for word in HESITATIONS),
        *((f"%{word.upper()}", "%HESITATION") for word in HESITATIONS),
        *(("UH-HUH", "%BCACK"), ("UHHUH", "%BCACK"), ("OKAY", "O. K."), ("TV", "T. V.")),
        ("[IT'S]", "[{IT'S / IT IS / IT HAS}]"),
    ]
    head = [
        f";; File: {path.name}",
        ";; Rules of a miniature, in the format of NIST's global mapping files",
        f'* name "{path.name}"',
        '* desc "spellings that scoring takes for the same"',
        "* format = 'NIST1'",
        "* max_nrules = '2500'",
        "* copy_no_hit = 'T'",
        "* case_sensitive = 'F'",
        "",
    ]
    write_table(path, [*head, *(f"{said:<12} => {meant:<22} / [ ] __ [ ] ;; {said.lower()}" for said, meant in rules)])
