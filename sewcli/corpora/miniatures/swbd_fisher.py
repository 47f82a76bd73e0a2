"""A miniature of Switchboard-1, Fisher English and their tests: synthetic calls in the true folders, names and formats.

Every kind of markup that the transcripts of the two corpora hold is in it, both layouts of Fisher's discs, a call of audio
known to be bad, and SPHERE files in u-law, PCM and shorten. What is written and what is said come from one draw: they agree.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sewcli.base.files import os_errors_as_usage_errors
from sewcli.base.rng import numpy_rng
from sewcli.corpora.miniatures import hub5
from sewcli.corpora.miniatures.calls import Call, Turn, record
from sewcli.corpora.miniatures.casting import Casting, Speaker, written_once
from sewcli.corpora.miniatures.fisher import write_fisher
from sewcli.corpora.miniatures.markup import FISHER, SWITCHBOARD, Markup
from sewcli.corpora.miniatures.sentences import sentences
from sewcli.corpora.miniatures.switchboard import write_switchboard

VERSION = 2  # raise it when the audio or the text of a plan changes


@dataclass(frozen=True)
class Plan:
    """All that decides the bytes of a miniature. The default: 45 minutes of calls to train on, 6 of tests."""

    switchboard: int = 14
    """Calls."""
    fisher: int = 20
    """Calls, half of them in each part."""
    turns: int = 46
    """Of a call, both sides together."""
    seed: int = 1

    def mark(self) -> dict[str, Any]:
        """What `MINIATURE.json` holds."""
        return {"version": VERSION, **asdict(self)}


def write_miniature(folder: Path, plan: Plan = Plan(), *, jobs: int | None = None) -> bool:
    """Write the miniature to `folder`; all of it, or nothing.

    Returns:
        False when the very same miniature is there already.

    Raises:
        UsageError: eSpeak NG is missing, the disk is full, or the folder holds something else.
    """
    with written_once(folder, plan.mark()) as place:
        if place is None:
            return False
        groups = (max(2, plan.switchboard * 3 // 2), max(2, plan.fisher * 3 // 2), hub5.SPEAKERS)  # some make two calls
        casting = Casting(numpy_rng(plan.seed, "speakers"), sum(groups))
        callers, people, tested = ([casting.next("FM"[i % 2]) for i in range(size)] for size in groups)
        switchboard = _script(plan, switchboard_names(plan), callers, SWITCHBOARD)
        fisher = _script(plan, fisher_names(plan), people, FISHER)
        tests = hub5.scripts(tested, plan.seed)
        recordings = record([*switchboard, *fisher, *tests], plan.seed, jobs or os.cpu_count() or 1)
        with os_errors_as_usage_errors(folder):
            write_switchboard(place, recordings[: plan.switchboard])
            write_fisher(place, recordings[plan.switchboard : -len(tests)])
            hub5.write_tests(place, recordings[-len(tests) :])
            (place / "README.TXT").write_text(README, encoding="utf-8")
    return True


def switchboard_names(plan: Plan) -> list[str]:
    """From sw02001 on, over several folders of a hundred."""
    return [f"sw0{2001 + 137 * i}" for i in range(plan.switchboard)]


def fisher_names(plan: Plan) -> list[str]:
    """The first calls of both parts, and one that is known to be bad."""
    first = [f"fe_03_{1 + i:05d}" for i in range(plan.fisher // 2)]
    first[-1] = "fe_03_00446"
    return [*first, *(f"fe_03_{5851 + i:05d}" for i in range(plan.fisher - len(first)))]


def _script(plan: Plan, names: Sequence[str], speakers: Sequence[Speaker], markup: Markup) -> list[Call]:
    """Calls in which the sides speak in turn, sometimes twice; who calls goes round among the speakers."""
    lines = {speaker.number: sentences("train", plan.seed, speaker.number) for speaker in speakers}
    calls = []
    for index, name in enumerate(names):
        pair = (speakers[2 * index % len(speakers)], speakers[(2 * index + 1) % len(speakers)])
        rng = numpy_rng(plan.seed, "script", name)
        turns, side = [], int(rng.integers(2))
        for _ in range(plan.turns):
            turns.append(Turn(side, *markup(next(lines[pair[side].number]), rng)))
            side = side if rng.random() < 0.2 else 1 - side
        calls.append(Call(name, pair, tuple(turns)))
    return calls


README = """A miniature in the layout of LDC97S62, LDC2004S13, LDC2004T19, LDC2005S13, LDC2005T19, and of the tests LDC2002S09,
LDC2002T43 and LDC2007S10. Nobody said any of this.

The sentences come from a small grammar, the voices from the eSpeak NG synthesiser, through a telephone line of 300 to 3400 Hz.
Written by `sew prep swbd_fisher --mini`. Text and audio are placed in the public domain (CC0 1.0).
"""
