"""Does one split know another: ids, audio and speakers that stand in two places.

A split's name begins with its role: train, dev or test. Splits of one role that were drawn from each other or from the same
one (`1h` and `10h` of `train`) share what they share; the same in two roles makes a word error rate too good.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sewcli.data.findings import Finding
from sewcli.data.utterances import Utterance

ROLES = {"train": ("train",), "dev": ("dev", "valid"), "test": ("test", "eval")}
SHARED = 0.5  # of the shorter cut: padding around segments lets neighbours overlap by less


class _Place(NamedTuple):
    """A cut in its file, in samples; it sorts by file, channel and start."""

    path: str
    channel: int
    start: int
    end: int
    split: str
    id: str

    @property
    def stretch(self) -> tuple[str, int, int, int]:
        return self.path, self.channel, self.start, self.end


@dataclass(frozen=True)
class Relations:
    """How splits stand to each other.

    Args:
        sources: of each split, those that it was drawn from, directly or not, and itself.
    """

    sources: Mapping[str, frozenset[str]]

    def excused(self, one: str, other: str) -> bool:
        """Whether they may share utterances: of one role, and drawn one from the other or both from a third."""
        return one != other and self.role(one) == self.role(other) and bool(self.sources[one] & self.sources[other])

    def role(self, split: str) -> str:
        """train, dev or test, by its name; else that of what it was drawn from; else train."""
        drawn_from = sorted(self.sources[split] - {split})
        return next(filter(None, map(_named_role, [split, *drawn_from])), "train")


def relations(splits: Sequence[str], summaries: Mapping[str, Mapping[str, Any]]) -> Relations:
    """Read from `prep.json` what was drawn from what."""
    found: dict[str, frozenset[str]] = {}

    def sources(split: str, below: frozenset[str]) -> frozenset[str]:
        listed = summaries.get(split, {}).get("drawn_from") or ()
        drawn = [listed] if isinstance(listed, str) else [str(name) for name in listed]
        deeper = (sources(name, below | {split}) for name in drawn if name not in below)  # a circle ends here
        return frozenset({split}).union(*deeper)

    for split in splits:
        found[split] = sources(split, frozenset())
    return Relations(found)


def same_ids(corpus: Mapping[str, Sequence[Utterance]], between: Relations) -> Iterator[Finding]:
    """Ids that stand twice in a split, or in two that are not drawn from each other."""
    seen: dict[str, list[str]] = {}
    for split, utterances in corpus.items():
        for utterance in utterances:
            earlier = seen.setdefault(utterance.id, [])
            if split in earlier:
                yield Finding("duplicate-id", split, utterance.id, str(utterance.path), "twice in this split")
            elif others := [other for other in earlier if not between.excused(split, other)]:
                detail = f"also in {', '.join(others)}"
                yield Finding("duplicate-id", f"{others[0]}, {split}", utterance.id, str(utterance.path), detail)
            if split not in earlier:
                earlier.append(split)


def same_stretches(corpus: Mapping[str, Sequence[Utterance]], between: Relations) -> Iterator[Finding]:
    """Cuts of the same place of the same file."""
    places = sorted(
        _Place(str(u.path), u.channel, u.start, u.start + u.samples, split, u.id)
        for split, utterances in corpus.items()
        for u in utterances
    )
    open_places: list[_Place] = []
    for place in places:
        open_places = [o for o in open_places if o.path == place.path and o.channel == place.channel]
        open_places = [o for o in open_places if o.end > place.start]
        for other in open_places:
            shared = min(other.end, place.end) - place.start
            shorter = min(other.end - other.start, place.end - place.start)
            if other.stretch == place.stretch or (other.split != place.split and shared > SHARED * shorter):
                yield from _shared(other, place, "the same stretch", between)
        open_places.append(place)


def same_samples(
    corpus: Mapping[str, Sequence[Utterance]], digests: Mapping[tuple[str, int], bytes], between: Relations
) -> Iterator[Finding]:
    """Cuts of different places with the very same samples: copies under another name.

    Args:
        corpus: the cuts of each split.
        digests: of the samples of the cuts that were read, by split and index.
        between: how the splits stand to each other.
    """
    first: dict[bytes, list[_Place]] = {}
    for (split, index), digest in digests.items():
        u = corpus[split][index]
        place = _Place(str(u.path), u.channel, u.start, u.start + u.samples, split, u.id)
        earlier = first.setdefault(digest, [])
        for other in earlier:
            if other.stretch != place.stretch:
                yield from _shared(other, place, "the same samples", between)
        if split not in {other.split for other in earlier}:
            earlier.append(place)


def same_speakers(corpus: Mapping[str, Sequence[Utterance]], between: Relations) -> Iterator[Finding]:
    """Speakers who speak in two roles."""
    spoken: dict[str, dict[str, Utterance]] = {}
    for split, utterances in corpus.items():
        for utterance in utterances:
            if utterance.speaker:
                spoken.setdefault(utterance.speaker, {}).setdefault(split, utterance)
    for speaker, cuts in spoken.items():
        if len({between.role(split) for split in cuts}) > 1:
            example = next(reversed(cuts.values()))
            yield Finding("speaker", ", ".join(cuts), speaker, str(example.path), f"speaks in {' and '.join(cuts)}")


def _shared(one: _Place, other: _Place, what: str, between: Relations) -> Iterator[Finding]:
    """The finding names the cut that training can do without."""
    if between.excused(one.split, other.split):
        return
    leaks = between.role(one.split) != between.role(other.split)
    if between.role(one.split) == "train" and leaks:
        one, other = other, one
    where = one.split if one.split == other.split else f"{one.split}, {other.split}"
    at = "" if one.path == other.path else f" ({one.path})"
    yield Finding("leak" if leaks else "twice", where, other.id, other.path, f"{what} as {one.id} of {one.split}{at}")


def _named_role(split: str) -> str | None:
    return next((role for role, names in ROLES.items() if split.startswith(names)), None)
