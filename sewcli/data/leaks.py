"""Does one split know another: ids, audio and speakers that stand in two places.

A split's name begins with its role: train, dev or test. One with another name (`1h`, `10h`, a subset drawn at random) is
training material that may share its utterances with the train splits; the same in two roles makes a result too good.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from sewcli.corpora.roles import role
from sewcli.data.findings import Finding
from sewcli.data.utterances import Utterance

SHARED = 0.5  # of the shorter cut: padding around segments lets neighbours overlap by less


class _Place(NamedTuple):
    """A cut in its file, in samples; it sorts by file, channel and start."""

    path: str
    channel: int
    start: int
    end: int
    split: str
    id: str
    derived: bytes

    @property
    def stretch(self) -> tuple[str, int, int, int, bytes]:
        return self.path, self.channel, self.start, self.end, self.derived


def _place(u: Utterance, split: str) -> _Place:
    return _Place(str(u.path), u.channel, u.start, u.start + u.samples, split, u.id, u.derived or b"")


def may_share(one: str, other: str) -> bool:
    """Whether two splits may hold the same utterances: train parts and what was drawn from them under another name."""
    return (
        one != other
        and role(one) == role(other) == "train"
        and not (one.startswith("train") and other.startswith("train"))
    )


def same_ids(corpus: Mapping[str, Sequence[Utterance]]) -> Iterator[Finding]:
    """Ids that stand twice in a split, or in two that are not drawn from each other."""
    seen: dict[str, list[str]] = {}
    for split, utterances in corpus.items():
        for utterance in utterances:
            earlier = seen.setdefault(utterance.id, [])
            if split in earlier:
                yield Finding("duplicate-id", split, utterance.id, str(utterance.path), "twice in this split")
            elif others := [other for other in earlier if not may_share(split, other)]:
                detail = f"also in {', '.join(others)}"
                yield Finding("duplicate-id", f"{others[0]}, {split}", utterance.id, str(utterance.path), detail)
            if split not in earlier:
                earlier.append(split)


def same_stretches(corpus: Mapping[str, Sequence[Utterance]]) -> Iterator[Finding]:
    """Cuts of the same place of the same file."""
    places = sorted(_place(u, split) for split, utterances in corpus.items() for u in utterances)
    open_places: list[_Place] = []
    for place in places:
        open_places = [o for o in open_places if o.path == place.path and o.channel == place.channel]
        open_places = [o for o in open_places if o.end > place.start]
        for other in open_places:
            shared = min(other.end, place.end) - place.start
            shorter = min(other.end - other.start, place.end - place.start)
            if other.stretch == place.stretch or (other.split != place.split and shared > SHARED * shorter):
                yield from _shared(other, place, "the same stretch")
        open_places.append(place)


def same_samples(
    corpus: Mapping[str, Sequence[Utterance]], digests: Mapping[tuple[str, int], bytes]
) -> Iterator[Finding]:
    """Cuts of different places with the very same samples: copies under another name.

    Args:
        corpus: the cuts of each split.
        digests: of the samples of the cuts that were read, by split and index.
    """
    first: dict[bytes, list[_Place]] = {}
    for (split, index), digest in digests.items():
        place = _place(corpus[split][index], split)
        earlier = first.setdefault(digest, [])
        for other in earlier:
            if other.stretch != place.stretch:
                yield from _shared(other, place, "the same samples")
        if split not in {other.split for other in earlier}:
            earlier.append(place)


def same_speakers(corpus: Mapping[str, Sequence[Utterance]]) -> Iterator[Finding]:
    """Speakers who speak in two roles."""
    spoken: dict[str, dict[str, Utterance]] = {}
    for split, utterances in corpus.items():
        for utterance in utterances:
            if utterance.speaker:
                spoken.setdefault(utterance.speaker, {}).setdefault(split, utterance)
    for speaker, cuts in spoken.items():
        if len({role(split) for split in cuts}) > 1:
            example = next(reversed(cuts.values()))
            yield Finding("speaker", ", ".join(cuts), speaker, str(example.path), f"speaks in {' and '.join(cuts)}")


def _shared(one: _Place, other: _Place, what: str) -> Iterator[Finding]:
    """The finding names the cut that training can do without."""
    if may_share(one.split, other.split):
        return
    leaks = role(one.split) != role(other.split)
    if role(one.split) == "train" and leaks:
        one, other = other, one
    where = one.split if one.split == other.split else f"{one.split}, {other.split}"
    at = "" if one.path == other.path else f" ({one.path})"
    yield Finding("leak" if leaks else "twice", where, other.id, other.path, f"{what} as {one.id} of {one.split}{at}")
