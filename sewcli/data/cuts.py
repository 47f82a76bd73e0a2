"""From lhotse's cuts, which may hold anything, to cuts of one utterance each.

Every supervision becomes a cut of its own, with the start, the end and the channel that `CutSet.trim_to_supervisions` gives it;
a cut without supervisions stays as it is. What lhotse computes from other audio (transforms, mixtures) stays for
`sewcli.data.derived`. What a model cannot be given is refused by name: several channels at once, features without audio,
sources that are commands or addresses.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

Row = dict[str, Any]
TOLERANCE = 0.025  # seconds by which a rounded duration may reach beyond its cut or its file; lhotse's for long
MIXED, MULTI, PADDING = "MixedCut", "MultiCut", "PaddingCut"
KINDS = ("MonoCut", "Cut", MULTI)  # a cut of one recording; "Cut" is lhotse's name of it before 0.8


class Unsupported(Exception):
    """What of a cut is not supported, and what to do."""

    def __init__(self, what: str, hint: str) -> None:
        self.what, self.hint = what, hint
        super().__init__(what)


class Single(NamedTuple):
    """A cut of one utterance.

    Args:
        row: lhotse's manifest of it.
        supervision: its one supervision.
        id: of the utterance.
        derived: whether lhotse has to compute its audio.
        fault: why its text is not that of its audio.
    """

    row: Row
    supervision: Row
    id: str
    derived: bool = False
    fault: str = ""


def samples_of(seconds: float, rate: int) -> int:
    """Samples of a time, rounded as `lhotse.utils.compute_num_samples` rounds: halves away from zero."""
    exact = round(seconds * rate, 8)
    return math.floor(exact + 0.5) if exact >= 0 else -math.floor(0.5 - exact)


def singles(row: Row) -> Iterator[Single]:
    """The utterances of a cut.

    Raises:
        Unsupported: a model cannot be given this.
        KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError: not a cut.
    """
    if _is_plain(row):
        found = row.get("supervisions")
        yield Single(row, found[0] if found else {}, str(row["id"]))
        return
    kind = row.get("type", "MonoCut")
    if kind == MIXED:
        yield from _of_mixture(row)
    elif kind in KINDS:
        yield from _of_recording(row)
    elif kind == PADDING:
        raise Unsupported("silence without a recording (PaddingCut)", "remove it: it has nothing to learn from")
    else:
        raise Unsupported(f"cuts of type {kind!r:.40} are not supported", "use MonoCut, MultiCut or MixedCut")


def transforms_of(row: Row) -> list[Row]:
    """What lhotse does to the audio of a cut, all of it, in no order."""
    found = list(row.get("transforms") or ())
    for track in row.get("tracks") or ():
        found += transforms_of(track["cut"])
    if isinstance(recording := row.get("recording"), dict):
        found += recording.get("transforms") or ()
    return found


def opened(row: Row) -> Any:
    """lhotse's object of a cut. A copy of `row` is made, because lhotse takes it apart."""
    from lhotse.serialization import deserialize_item  # imported late: it takes seconds

    return deserialize_item(
        json.loads(json.dumps({"id": "cut", "type": "MonoCut", **without(row, ("custom", "features"))}))
    )


def without(row: Row, keys: Sequence[str]) -> Row:
    """A cut, and those it is mixed of, without some of its fields."""
    kept = {key: value for key, value in row.items() if key not in keys}
    if "tracks" in row:
        kept["tracks"] = [{**track, "cut": without(track["cut"], keys)} for track in row["tracks"]]
    return kept


def _is_plain(row: Row) -> bool:
    """Whether a cut is one stretch of one channel as it lies in its file, with one text for all of it at most."""
    recording, supervisions = row.get("recording"), row.get("supervisions") or ()
    if not isinstance(recording, dict) or row.get("type", "MonoCut") != "MonoCut" or recording.get("transforms"):
        return False
    if not supervisions:
        return isinstance(row.get("channel", 0), int)
    if len(supervisions) > 1:
        return False
    one, duration = supervisions[0], row["duration"]
    return (
        one.get("start", 0) == 0
        and 0 <= one.get("duration", duration) - duration <= TOLERANCE
        and isinstance(row.get("channel", 0), int)
        and one.get("channel", row.get("channel", 0)) == row.get("channel", 0)
    )


def _of_recording(row: Row) -> Iterator[Single]:
    """Of a MonoCut or MultiCut."""
    recording = row.get("recording")
    if not isinstance(recording, dict):
        if "features" in row:
            raise Unsupported(
                "features and no recording: the models take samples",
                "make the cuts of recordings: lhotse cut simple -r RECORDINGS -s SUPERVISIONS cuts_SPLIT.jsonl.gz",
            )
        raise KeyError("recording")
    rate, derived = int(recording["sampling_rate"]), bool(recording.get("transforms"))
    if rate <= 0:
        raise ValueError(f"a rate of {rate} Hz")
    supervisions = row.get("supervisions") or []
    if not supervisions:
        yield Single({**row, "type": "MonoCut", "channel": _channel(row, {})}, {}, str(row["id"]), derived)
        return
    first, total = samples_of(row["start"], rate), samples_of(row["duration"], rate)
    for index, supervision in enumerate(supervisions):
        begin, end, fault = _stretch(supervision, total, rate)
        single = {
            **row,
            "type": "MonoCut",
            "start": (first + begin) / rate,
            "duration": (end - begin) / rate,
            "channel": _channel(row, supervision),
            "supervisions": [{**supervision, "start": 0.0, "duration": (end - begin) / rate}],
        }
        if begin == 0 and end == total:  # to the last digit as it was
            single |= {"start": row["start"], "duration": row["duration"]}
        yield Single(single, supervision, _identity(row, supervisions, index), derived, fault)


def _of_mixture(row: Row) -> Iterator[Single]:
    """Of a MixedCut: lhotse's own object knows where the supervisions of its tracks are."""
    cut = opened(row)
    if cut.num_channels != 1:
        raise Unsupported(
            f"a mixture of {cut.num_channels} channels; a model takes one",
            "CutSet.map(lambda cut: cut.to_mono(mono_downmix=True))",
        )
    supervisions = [supervision.to_dict() for supervision in cut.supervisions]
    if not supervisions:
        yield Single(row, {}, str(row["id"]), True)
        return
    rate, total = cut.sampling_rate, cut.num_samples
    for index, supervision in enumerate(supervisions):
        begin, end, fault = _stretch(supervision, total, rate)
        identity = _identity(row, supervisions, index)
        if begin == 0 and end == total:
            yield Single(row, supervision, identity, True, fault)
            continue
        if row.get("transforms"):
            raise Unsupported(
                "a supervision of a part of a mixture that has transforms of its own, which lhotse loses in trimming it",
                "write the audio first: CutSet.save_audios, then CutSet.trim_to_supervisions",
            )
        offset, duration = begin / rate, (end - begin) / rate
        part = cut.truncate(
            offset=offset, duration=duration, keep_excessive_supervisions=False, preserve_id=True
        )  # else lhotse draws ids
        single = part.to_dict()
        if single["type"] == PADDING:
            fault, single = "lies in a stretch of the mixture without a recording", row
        yield Single(single, supervision, identity, True, fault)


def _stretch(supervision: Mapping[str, Any], total: int, rate: int) -> tuple[int, int, str]:
    """First and last sample of a supervision within its cut, and why its text is not that of this audio."""
    begin = samples_of(supervision.get("start", 0), rate)
    end = begin + samples_of(supervision["duration"], rate) if "duration" in supervision else total
    inside = max(begin, 0), min(end, total)
    if inside[0] >= inside[1]:
        return 0, total, f"its supervision is outside of the cut ({begin / rate:.3f} to {end / rate:.3f} s of it)"
    if (beyond := max(-begin, end - total) / rate) > TOLERANCE:
        return *inside, f"its supervision reaches {beyond:.3f} s beyond the cut, so its text is not that of this audio"
    return *inside, ""


def _channel(row: Row, supervision: Mapping[str, Any]) -> int:
    """The one channel of an utterance."""
    own = _listed(row.get("channel", 0))
    wanted = _listed(supervision.get("channel", own))
    if not set(wanted) <= set(own):
        raise Unsupported(
            f"its supervision is of channel {_told(wanted)}, the cut of channel {_told(own)}",
            "set the supervision's channel to that of the cut",
        )
    if len(wanted) != 1:
        raise Unsupported(
            f"channels {_told(wanted)} at once; a model takes one",
            "a cut a channel: MultiCut.to_mono(); or all of them mixed: MultiCut.to_mono(mono_downmix=True)",
        )
    return wanted[0]


def _listed(channel: Any) -> list[int]:
    return [int(each) for each in channel] if isinstance(channel, list) else [int(channel)]


def _told(channels: Sequence[int]) -> str:
    return ", ".join(map(str, channels[:8]))


def _identity(row: Row, supervisions: Sequence[Mapping[str, Any]], index: int) -> str:
    """As lhotse names what it trims: after the supervision; a cut with only one keeps its own name."""
    if len(supervisions) == 1:
        return str(row["id"])
    return str(supervisions[index].get("id") or f"{row['id']}-{index}")
