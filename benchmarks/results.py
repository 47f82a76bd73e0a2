"""benchmarks/RESULTS.md: what was aimed at and what was measured, from the JSON that the other scripts wrote.

    python benchmarks/results.py            # writes benchmarks/RESULTS.md; a test fails when it is not up to date

A goal names its file, what it reads there, and the bound. "not measured" is what has no figure: no file yet, a row that is not
in it, a machine that lacks what the row needs. results/notes.json holds a sentence for a goal, by its key: what holds a miss
back, or why nothing was measured. Nothing is typed in here but the goals.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from goals import SECTIONS, Found, Goal, Section

from sewcli.base.files import read_json, write_text

HERE = Path(__file__).parent
INTRODUCTION = """\
# Speed, memory and compression: goals and measurements

Made by `python benchmarks/results.py` from benchmarks/results/*.json; do not edit. Ratios are times as fast as the peer, in the
same run with the same weights and input. Figures hold for the machine of their line; another one gives others.
"""


def main() -> None:
    write_text(HERE / "RESULTS.md", results(HERE / "results"))


def results(folder: Path) -> str:
    """The whole of RESULTS.md, from a folder of JSON files."""
    notes = read_json(folder / "notes.json") if (folder / "notes.json").is_file() else {}
    unknown = set(notes) - {goal.key for section in SECTIONS for goal in section.goals}
    if unknown:
        raise SystemExit(f"notes.json: no goal of this name: {', '.join(sorted(unknown))}")
    sections = [_section(section, folder, notes) for section in SECTIONS]
    profile = folder / "cpu_profile.json"
    return "\n".join([INTRODUCTION, *sections, *([_profile(read_json(profile))] if profile.is_file() else [])])


def _profile(found: Found) -> str:
    """What cpu_profile.py found."""
    kinds = list(
        dict.fromkeys(kind for programs in found["models"].values() for ms in programs.values() for kind in ms)
    )
    kinds.append(kinds.pop(kinds.index("all")))
    lines = [f"| model | program | {' | '.join(kinds)} |", "|---|---|" + "---|" * len(kinds)]
    for model, programs in found["models"].items():
        for program, times in programs.items():
            cells = (f"{times[kind]:.0f}" if kind in times else "" for kind in kinds)
            lines.append(f"| {model} | {program} | {' | '.join(cells)} |")
    text = [
        "## Where the time of a forward pass goes\n",
        f"Milliseconds of {found['seconds']} s of audio by kind of operation, {found['machine']}, {found['date']}. The line",
        "`products` is what the model's multiplications would take at the speed of the best square fp32 product here,",
        f"{found['fp32_products_gflop_a_second']} GFLOP a second. OpenVINO fuses attention; it is under `rest`.\n",
        *lines,
        f"\nCommand: `{found['command']}`.",
    ]
    return "\n".join(text) + "\n"


def _section(section: Section, folder: Path, notes: dict[str, str]) -> str:
    lines = ["| goal | bound | measured | | machine, day |", "|---|---|---|---|---|"]
    remarks, commands = [], dict[str, None]()
    for goal in section.goals:
        path = folder / goal.file
        found = read_json(path) if path.is_file() else None
        value = _value(goal, found)
        bound = f"{'≥' if goal.least else '≤'} {goal.shown.format(goal.bound)}"
        measured = "not measured" if value is None else goal.shown.format(value)
        verdict = "" if value is None else "hit" if goal.met(value) else "**missed**"
        where = "" if value is None else ", ".join(str(word) for word in _circumstances(goal, found) if word)
        lines.append(f"| {goal.what} | {bound} | {measured} | {verdict} | {where} |")
        if value is not None:
            commands |= dict.fromkeys(_commands(found))
        if goal.key in notes:
            remarks.append(f"- {goal.what}: {notes[goal.key]}")
    text = [f"## {section.title}\n", *lines]
    if remarks:
        text += ["", *remarks]
    if commands:
        text += ["", "Commands: " + "; ".join(f"`{command}`" for command in commands) + "."]
    return "\n".join(text) + "\n"


def _value(goal: Goal, found: Found) -> float | None:
    """The figure; None where the file has no such row."""
    if found is None:
        return None
    with suppress(KeyError, IndexError, StopIteration, ValueError, TypeError):
        return goal.read(found)
    return None


def _circumstances(goal: Goal, found: Found) -> tuple[Any, Any]:
    """Machine and day; files with a part for each of their commands have these inside."""
    inside = [part for name, part in found.items() if name.startswith(goal.part)]
    parts = [part for part in (found, *inside) if isinstance(part, dict) and "date" in part]
    if not parts:
        return None, None
    return parts[0].get("machine") or parts[0].get("device"), parts[0]["date"]


def _commands(found: Found) -> list[str]:
    several = found.get("commands")
    if isinstance(several, dict):
        return [str(command) for command in several.values()]
    parts = [found, *(part for part in found.values() if isinstance(part, dict))]
    return [str(part["command"]) for part in parts if "command" in part and " " in str(part["command"])]


if __name__ == "__main__":
    main()
