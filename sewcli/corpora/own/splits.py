"""Which utterances are for training, validation and test: as the data say, or drawn by speaker and seed.

Speakers are drawn whole, so that nobody is in two splits. Where there are too few (or none is named) recordings are drawn,
and where there is one recording its utterances; this is logged. A draw depends on the seed and the data alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sewcli.audio.opening import guessed_seconds
from sewcli.base.errors import DataError, UsageError, nearest
from sewcli.base.log import info, track, warn
from sewcli.base.rng import key
from sewcli.corpora.own.rows import Row
from sewcli.corpora.roles import role

TRAIN = "train"
ALIASES = {
    **dict.fromkeys(("train", "training", "trn"), TRAIN),
    **dict.fromkeys(("dev", "development", "valid", "validation", "val"), "dev"),
    **dict.fromkeys(("test", "eval", "evaluation", "tst"), "test"),
}
LETTERS_A_SECOND = 14.0  # of speech whose length nobody states
SLACK = 2.0  # by how many times a draw of whole speakers may miss what was asked for


@dataclass(frozen=True, slots=True)
class HoldOut:
    """What leaves the training data for a split of its own: speakers by name, a share, or an amount in seconds."""

    split: str
    speakers: tuple[str, ...] = ()
    share: float = 0.0
    seconds: float = 0.0
    seed: int = 1


DEFAULT = (HoldOut("dev", share=0.1), HoldOut("test", share=0.1))


def parse_hold_out(settings: Sequence[str]) -> list[HoldOut]:
    """`["dev=10%", "test=2h@7", "other=ben,carla"]`; a number after @ is the seed of the draw.

    Raises:
        UsageError: of another form.
    """
    found: dict[str, HoldOut] = {}
    for setting in settings:
        split, equals, wish = setting.partition("=")
        drawn = re.fullmatch(r"(\d+(?:\.\d+)?)(%|h|min)(?:@(\d+))?", wish)
        names = tuple(name for name in wish.split(",") if name)
        if not equals or not names or not split or Path(split).name != split or split == TRAIN:
            raise UsageError(
                "invalid-hold-out",
                f"--hold-out {setting!r} is not of the form SPLIT=SPEAKER,... or SPLIT=AMOUNT[@SEED]",
                hint="e.g. --hold-out dev=10% --hold-out test=2h@7 --hold-out other=anna,ben",
            )
        if drawn is None:
            earlier = found.get(split, HoldOut(split)).speakers
            found[split] = HoldOut(split, speakers=(*earlier, *names))
            continue
        amount, unit, seed = float(drawn[1]), drawn[2], int(drawn[3] or 1)
        if amount <= 0 or (unit == "%" and amount >= 100):
            raise UsageError(
                "invalid-hold-out", f"--hold-out {setting}: nothing would be left", hint="e.g. --hold-out dev=10%"
            )
        share, seconds = (amount / 100, 0.0) if unit == "%" else (0.0, amount * (3600 if unit == "h" else 60))
        found[split] = HoldOut(split, share=share, seconds=seconds, seed=seed)
    return list(found.values())


def split_of_name(name: str) -> str:
    """The split that the name of a file or folder tells: `train_clean` and `ka-dev.tsv` do, `validated.tsv` does not.

    >>> [split_of_name(name) for name in ("ka-validation.tsv", "train_si284", "clips.tsv")]
    ['dev', 'train_si284', '']
    """
    stem = re.sub(r"[_-]?(manifest|metadata)", "", name.partition(".")[0])
    words = [word for word in re.split(r"[^a-z0-9]+", stem.lower()) if word]
    if words and words[0] in ALIASES and len(words) > 1 and ALIASES[words[0]] == role(stem):
        return stem
    return next((ALIASES[word] for word in words if word in ALIASES), "")


def split_of_value(value: str) -> str:
    """The split that a column names: `validation` is dev, any other name stands."""
    return ALIASES.get(value.strip().lower(), re.sub(r"[^\w.+-]+", "-", value.strip()))


def assign(rows: Sequence[Row], wishes: Sequence[HoldOut] | None) -> list[Row]:
    """`rows`, each with its split.

    Args:
        rows: their splits as far as the data say so.
        wishes: what to hold out of the training data; None: a tenth each for dev and test where the data name no split
            but train.

    Raises:
        UsageError: a speaker is not there, or speech is missing for what was asked.
    """
    given = {row.split for row in rows if row.split}
    named = [replace(row, split=row.split or TRAIN) for row in rows]
    if wishes is None and any(role(split) != TRAIN for split in given):
        if len(given) > 1 and any(not row.split for row in rows):
            info(f"{sum(not row.split for row in rows):,} utterances without a split are for training")
        return named
    for wish in wishes or ():
        if wish.split in given:
            raise UsageError(
                "split-taken",
                f"the data have a split {wish.split!r} already",
                hint="hold out into a split of another name",
            )
    training = [row for row in named if role(row.split) == TRAIN]
    others = [row for row in named if role(row.split) != TRAIN]
    for wish in wishes or ():
        training = [replace(row, split=wish.split) if row.speaker in wish.speakers else row for row in training]
        _require_speakers(wish, training)
    drawn = [wish for wish in (DEFAULT if wishes is None else wishes) if not wish.speakers]
    free = [row for row in training if row.split not in {wish.split for wish in wishes or () if wish.speakers}]
    fixed = [row for row in training if row.split in {wish.split for wish in wishes or () if wish.speakers}]
    return [*_draw(free, drawn), *fixed, *others] if drawn else [*free, *fixed, *others]


def _require_speakers(wish: HoldOut, training: Sequence[Row]) -> None:
    there = {row.speaker for row in training}
    for name in wish.speakers:
        if name not in there:
            shown = ", ".join(sorted(there - {""})[:12]) or "none is named"
            raise UsageError(
                "no-such-speaker", f"no speaker {name!r}{nearest(name, there)}", hint=f"there are: {shown}"
            )


def _draw(rows: list[Row], wishes: Sequence[HoldOut]) -> list[Row]:
    if len(rows) <= len(wishes):
        raise DataError(
            "no-utterances",
            f"{len(rows)} utterances: too few to hold some out",
            hint="give more data, or --hold-out none",
        )
    seconds = [_seconds(row) for row in track(rows, "lengths of the recordings", len(rows))]
    total = sum(seconds)
    levels: list[tuple[str, Callable[[Row], str]]] = [
        ("speakers", lambda row: row.speaker),
        ("recordings", lambda row: str(row.audio)),
        ("utterances", lambda row: f"{row.audio} {row.start:.3f} {row.channel} {row.place}"),
    ]
    for what, group_of in levels:
        groups: dict[str, float] = {}
        for row, length in zip(rows, seconds, strict=True):
            groups[group_of(row)] = groups.get(group_of(row), 0.0) + length
        if what == "speakers" and "" in groups:
            continue
        away = _choose(groups, wishes, total, strict=what != "utterances")
        if away is not None:
            if what != "speakers":
                why = "no speakers are named" if not all(row.speaker for row in rows) else "there are too few speakers"
                warn(f"{why}, so splits are drawn by {what}: the same voice may be in two of them")
            info(f"drawn by {what}: {', '.join(f'{wish.split} (seed {wish.seed})' for wish in wishes)}")
            return [replace(row, split=away.get(group_of(row), row.split)) for row in rows]
    raise AssertionError("utterances can always be drawn")


def _choose(
    groups: Mapping[str, float], wishes: Sequence[HoldOut], total: float, *, strict: bool
) -> dict[str, str] | None:
    """The split of each group that leaves; None where whole groups miss by too much what was asked for."""
    away: dict[str, str] = {}
    for wish in wishes:
        target = wish.seconds or wish.share * total
        if target >= total:
            raise UsageError(
                "not-enough-speech",
                f"{wish.split}: {target / 3600:.3g} hours are wanted, there are {total / 3600:.3g}",
                hint="hold out less",
            )
        taken = 0.0
        for name in sorted(groups.keys() - away.keys(), key=lambda name: (key(wish.seed, "hold out", name), name)):
            length = groups[name]
            if len(away) + 1 >= len(groups) or taken >= target:
                break
            if not taken or taken + length - target < target - taken:
                if strict and length > SLACK * target:
                    continue
                away[name] = wish.split
                taken += length
        if not taken or (strict and not target / SLACK <= taken <= target * SLACK):
            return None
    return away


def _seconds(row: Row) -> float:
    if row.end is not None:
        return row.end - row.start
    if row.content is None:
        try:
            return max(guessed_seconds(row.audio) - row.start, 0.0)
        except DataError:
            return 0.0  # it will be set aside
    return len(row.text) / LETTERS_A_SECOND
