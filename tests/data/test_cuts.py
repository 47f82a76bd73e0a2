"""A law: the same words through every form that lhotse has for them are the same utterances, samples and texts; and for each
transform and mixture of lhotse, our samples are those of `cut.load_audio()`."""

import json
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile
from lhotse import CutSet, MonoCut, Recording, RecordingSet, SupervisionSegment, SupervisionSet
from lhotse.cut import Cut, MixedCut, PaddingCut

from sewcli.base.errors import DataError
from sewcli.base.files import read_jsonl, write_jsonl
from sewcli.base.sample_rate import SAMPLE_RATE
from sewcli.data.packing import pack
from sewcli.data.utterances import Utterance, read_cuts, read_split, read_utterances

WORDS = ("PLAY HAPPY MUSIC", "IN THE OFFICE", "", "STOP")
TIMES = ((0.25, 1.1), (1.4, 0.73125), (2.5, 0.4), (3.00003, 0.9))  # start and duration of each, in seconds


def sound(
    folder: Path, name: str = "one.flac", seconds: float = 4.0, rate: int = SAMPLE_RATE, channels: int = 1
) -> Path:
    rng = np.random.default_rng(len(name) + channels)
    noise = rng.normal(0, 0.1, (round(seconds * rate), channels))
    smooth = np.apply_along_axis(lambda wave: np.convolve(wave, np.ones(8) / 8, "same"), 0, noise)
    soundfile.write(folder / name, smooth, rate)
    return folder / name


def segments(recording: str, channel: int | list[int] = 0) -> list[SupervisionSegment]:
    return [
        SupervisionSegment(f"{recording}-{n}", recording, start, duration, channel, text=words, speaker=f"s{n}")
        for n, (words, (start, duration)) in enumerate(zip(WORDS, TIMES, strict=True))
    ]


def long_cut(path: Path) -> MonoCut:
    recording = Recording.from_file(path)
    return MonoCut(recording.id, 0.0, recording.duration, 0, segments(recording.id), recording=recording)


def said(utterances: list[Utterance]) -> list[tuple[str, str, str]]:
    return [(u.id, u.text, u.speaker) for u in utterances]


def assert_as_lhotse(found: list[Utterance], cuts: list[Cut]) -> None:
    assert len(found) == len(cuts)
    for utterance, cut in zip(found, cuts, strict=True):
        loaded = cut.load_audio()
        assert utterance.samples == loaded.shape[1] == cut.num_samples
        assert np.array_equal(utterance.wave(), loaded[0].astype(np.float32)), utterance.id  # mixtures are float64
        assert utterance.text == (cut.supervisions[0].text or "" if cut.supervisions else "")


@pytest.mark.fault("report-52", "input-3")
def test_the_same_words_in_four_forms_are_the_same_utterances(tmp_path: Path) -> None:
    cut = long_cut(sound(tmp_path))
    trimmed = list(cut.trim_to_supervisions(keep_overlapping=False))
    forms = {}
    for name, cuts in {"long": [cut], "trimmed": trimmed}.items():
        CutSet.from_cuts(cuts).to_file(tmp_path / f"cuts_{name}.jsonl.gz")
        forms[name] = read_split(tmp_path, name)
    pair = tmp_path / "kaldi"
    pair.mkdir()
    RecordingSet.from_recordings([cut.recording]).to_file(pair / "recordings.jsonl.gz")
    SupervisionSet.from_segments(cut.supervisions).to_file(pair / "supervisions.jsonl.gz")
    forms["pair"] = read_split(pair, "cuts")
    for n, one in enumerate(trimmed):  # each recording a file of its own
        soundfile.write(tmp_path / f"{n}.wav", one.load_audio()[0], SAMPLE_RATE, subtype="FLOAT")
        own = Recording.from_file(tmp_path / f"{n}.wav")
        supervision = one.supervisions[0]
        supervision.start, supervision.duration, supervision.recording_id = 0.0, own.duration, own.id
        trimmed[n] = MonoCut(one.id, 0.0, own.duration, 0, [supervision], recording=own)
    CutSet.from_cuts(trimmed).to_file(tmp_path / "cuts_single.jsonl.gz")
    forms["single"] = read_split(tmp_path, "single")
    expected = [(f"one-{n}", words, f"s{n}") for n, words in enumerate(WORDS)]
    waves = [cut.load_audio()[0] for cut in trimmed]
    for name, found in forms.items():
        assert said(found) == expected, name
        assert all(np.array_equal(u.wave(), wave) for u, wave in zip(found, waves, strict=True)), name
        assert [u.samples for u in found] == [len(wave) for wave in waves], name
    pack(tmp_path, "long", tmp_path / "shar", shard_size=3, jobs=1)
    packed = read_split(tmp_path / "shar", "long")
    assert said(packed) == expected
    assert all(np.array_equal(u.wave(), wave) for u, wave in zip(packed, waves, strict=True))


def test_a_row_for_each_utterance_is_a_cut_of_lhotse(tmp_path: Path) -> None:
    cut = long_cut(sound(tmp_path))
    CutSet.from_cuts([cut, cut.perturb_speed(0.9), cut.pad(duration=5.0)]).to_file(tmp_path / "cuts_a.jsonl.gz")
    rows = list(read_cuts(tmp_path, "a"))
    write_jsonl(tmp_path / "cuts_b.jsonl.gz", (row for row, _ in rows))
    again = read_split(tmp_path, "b")
    assert len(again) == 3 * len(WORDS) and len({u.id for u in again}) == len(again)
    for (_, utterance), other in zip(rows, again, strict=True):
        assert said([utterance]) == said([other]) and np.array_equal(utterance.wave(), other.wave())
    assert_as_lhotse(again, list(CutSet.from_file(tmp_path / "cuts_b.jsonl.gz")))


@pytest.mark.fault("report-53", "input-3")
@pytest.mark.parametrize(
    "change",
    [
        lambda c: c.perturb_speed(1.1),
        lambda c: c.perturb_speed(0.9),
        lambda c: c.perturb_volume(0.3),
        lambda c: c.perturb_volume(0.0),
        lambda c: c.perturb_speed(1.1).perturb_volume(2.0),
        lambda c: c.resample(8000).resample(SAMPLE_RATE),
        lambda c: c.resample(22_050).resample(SAMPLE_RATE),
        lambda c: c.clip_amplitude(gain_db=12.0),
        lambda c: c.compress("mp3", 0.5),
        lambda c: c.compress("vorbis", 0.9),
        lambda c: c.compress("opus", 0.5),
        lambda c: c.narrowband("mulaw"),
        lambda c: c.perturb_speed(1.1).narrowband("mulaw").perturb_volume(0.5),
    ],
    ids=lambda change: "-".join(map(str, change.__code__.co_consts[1:])) or change.__code__.co_names[0],
)
def test_every_transform_is_that_of_lhotse(change: Callable[[Cut], Cut], tmp_path: Path) -> None:
    cut = long_cut(sound(tmp_path))
    whole = cut.drop_supervisions()
    inner = whole.truncate(offset=0.7, duration=1.31)
    changed = [change(each) for each in (whole, inner)]
    CutSet.from_cuts(changed).to_file(tmp_path / "cuts_train.jsonl.gz")
    assert_as_lhotse(read_split(tmp_path, "train"), list(CutSet.from_file(tmp_path / "cuts_train.jsonl.gz")))
    several = change(cut)
    CutSet.from_cuts([several]).to_file(tmp_path / "cuts_dev.jsonl.gz")
    trimmed = list(several.trim_to_supervisions(keep_overlapping=False))
    found = read_split(tmp_path, "dev")
    assert [u.id for u in found] == [t.id for t in trimmed]
    assert_as_lhotse(found, trimmed)


def test_an_impulse_response_that_is_a_file(tmp_path: Path) -> None:
    cut = long_cut(sound(tmp_path)).drop_supervisions()
    response = Recording.from_file(sound(tmp_path, "room.wav", 0.2))
    cuts = [cut.reverb_rir(response), cut.reverb_rir(response, early_only=True, normalize_output=False)]
    CutSet.from_cuts(cuts).to_file(tmp_path / "cuts_train.jsonl.gz")
    assert_as_lhotse(read_split(tmp_path, "train"), cuts)


@pytest.mark.fault("report-54", "input-3")
def test_mixtures_and_padding(tmp_path: Path) -> None:
    cut, noise = long_cut(sound(tmp_path)), long_cut(sound(tmp_path, "noise.wav", 6.0)).drop_supervisions()
    one = cut.truncate(offset=1.3, duration=1.0, keep_excessive_supervisions=False)
    cuts = [
        one.mix(noise, snr=10, offset_other_by=0.2),
        one.pad(duration=3.0),
        one.pad(duration=3.0, direction="both").mix(noise, snr=5),
        one.append(noise),
        cut.mix(noise, snr=20),
        MixedCut("muted", one.mix(noise, snr=3).tracks),
        noise.mix(noise.perturb_speed(1.1), snr=0),
    ]
    CutSet.from_cuts(cuts).to_file(tmp_path / "cuts_train.jsonl.gz")
    expected: list[Cut] = []
    for each in cuts:
        expected += list(each.trim_to_supervisions(keep_overlapping=False)) if each.supervisions else [each]
    assert_as_lhotse(read_split(tmp_path, "train"), expected)


@pytest.mark.fault("report-50")
def test_common_voice_mp3_resampled_on_reading(tmp_path: Path) -> None:
    path = sound(tmp_path, "clip.mp3", 3.0, 48_000)
    recording = Recording.from_file(path).resample(SAMPLE_RATE)
    cut = MonoCut(
        "clip",
        0.0,
        recording.duration,
        0,
        [SupervisionSegment("clip", "clip", 0, recording.duration, text="BONJOUR")],
        recording=recording,
    )
    CutSet.from_cuts([cut]).to_file(tmp_path / "cuts_train.jsonl.gz")
    found = read_split(tmp_path, "train")
    assert found[0].rate == SAMPLE_RATE
    assert_as_lhotse(found, [cut])


def test_the_rate_of_a_resampled_file_is_held_against_the_manifest(tmp_path: Path) -> None:
    """lhotse itself does not look, and would play a file of another rate too fast."""
    recording = Recording.from_file(sound(tmp_path, "clip.wav", 2.0, 48_000)).resample(SAMPLE_RATE)
    CutSet.from_cuts([recording.to_cut()]).to_file(tmp_path / "cuts_train.jsonl.gz")
    soundfile.write(tmp_path / "clip.wav", np.zeros(88_200), 44_100)
    with pytest.raises(DataError, match="44100 Hz, not 48000 Hz"):
        read_split(tmp_path, "train")[0].wave()


def test_two_channels(tmp_path: Path) -> None:
    recording = Recording.from_file(sound(tmp_path, "call.wav", channels=2))
    sides = [*segments("call", 0)[:1], *segments("call", 1)[1:2]]
    cut = recording.to_cut()
    cut.supervisions = sides
    CutSet.from_cuts([cut]).to_file(tmp_path / "cuts_train.jsonl.gz")
    found = read_split(tmp_path, "train")
    trimmed = list(cut.trim_to_supervisions(keep_overlapping=False))
    assert [u.channel for u in found] == [0, 1]
    assert_as_lhotse(found, trimmed)
    CutSet.from_cuts([cut.perturb_speed(1.1)]).to_file(tmp_path / "cuts_sp.jsonl.gz")
    assert_as_lhotse(
        read_split(tmp_path, "sp"), list(cut.perturb_speed(1.1).trim_to_supervisions(keep_overlapping=False))
    )


def test_cuts_within_their_recordings(tmp_path: Path) -> None:
    cut = long_cut(sound(tmp_path)).truncate(offset=0.2, duration=3.0)
    CutSet.from_cuts([cut]).to_file(tmp_path / "cuts_train.jsonl.gz")
    found = read_split(tmp_path, "train")
    cut.supervisions = cut.supervisions[:3]
    assert_as_lhotse(found[:3], list(cut.trim_to_supervisions(keep_overlapping=False)))
    assert "0.700 s beyond the cut" in found[3].fault
    with pytest.raises(DataError, match="text is not that of this audio"):
        found[3].wave()


def test_ids_are_unique_where_windows_share_a_supervision(tmp_path: Path) -> None:
    windows = CutSet.from_cuts([long_cut(sound(tmp_path))]).cut_into_windows(2.0)
    windows.to_file(tmp_path / "cuts_train.jsonl.gz")
    found = read_split(tmp_path, "train")
    assert len({u.id for u in found}) == len(found)
    assert [bool(u.fault) for u in found] == [False, True, True, False, False]


def change(cut: MonoCut, **fields: object) -> dict:
    return {**json.loads(json.dumps(cut.to_dict())), **fields}


@pytest.mark.fault("input-3", "report-54")
def test_what_is_not_supported_is_refused_by_name(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    cut = long_cut(sound(tmp_path))
    one = cut.truncate(offset=1.3, duration=1.0, keep_excessive_supervisions=False)
    command = {"type": "command", "channels": [0], "source": f"touch {marker}; cat {tmp_path}/one.flac"}

    def row(source: dict, change: Callable[[MonoCut], Cut] = lambda cut: cut) -> dict:
        text = json.dumps(change(one).to_dict())
        own = json.dumps(one.recording.sources[0].to_dict())
        assert own in text
        return json.loads(text.replace(own, json.dumps(source)))

    features = change(one, features={"type": "fbank", "num_features": 80})
    features.pop("recording")
    stereo = Recording.from_file(sound(tmp_path, "call.wav", channels=2)).to_cut().to_dict()
    transform = {"transforms": [{"name": "Evil", "kwargs": {}}]}
    cases = {
        "the output of a command": row(command),
        "the output of a command ": row(command, lambda cut: cut.perturb_speed(1.1)),
        "the output of a command  ": row(command, lambda cut: cut.pad(duration=9)),
        "type 'url'": row({"type": "url", "channels": [0], "source": "http://127.0.0.1:1/a.wav"}),
        "type 'memory'": row({"type": "memory", "channels": [0], "source": "AA=="}, lambda cut: cut.perturb_volume(2)),
        "features and no recording": features,
        "a generated impulse response": change(one.reverb_rir(room_rng_seed=1)),
        "channels 0, 1 at once": stereo,
        "of channel 1, the cut of channel 0": change(
            one, supervisions=[{**one.supervisions[0].to_dict(), "channel": 1}]
        ),
        "'Evil' is not one of lhotse's": change(one, recording={**one.recording.to_dict(), **transform}),
        "PaddingCut": PaddingCut("p", 1.0, SAMPLE_RATE, 0.0, num_samples=SAMPLE_RATE).to_dict(),
        "type 'TextExample'": {"type": "TextExample", "id": "t", "text": "a"},
        "a recording, not a cut": one.recording.to_dict(),
        "a supervision, not a cut": one.supervisions[0].to_dict(),
        "NeMo manifest": {"audio_filepath": "a.wav", "duration": 1.0, "text": "a"},
        "Tempo cannot be applied here": change(one.perturb_tempo(1.1)),
    }
    for told, wrong in cases.items():
        write_jsonl(tmp_path / "cuts_train.jsonl.gz", [one.to_dict(), wrong])
        with pytest.raises(DataError) as caught:
            read_split(tmp_path, "train")
        assert told.strip() in caught.value.what and "line 2" in caught.value.what, (told, caught.value.what)
        assert caught.value.hint and "sew prep" not in caught.value.hint
        assert not marker.exists()


@pytest.mark.fault("report-51")
def test_durations_rounded_to_ten_milliseconds_are_clamped(tmp_path: Path) -> None:
    samples = 13_848
    path = sound(tmp_path, "one.wav", samples / SAMPLE_RATE)
    for beyond, fits in ((72, True), (400, True), (401, False), (8000, False)):
        duration = (samples + beyond) / SAMPLE_RATE
        recording = Recording.from_file(path)
        recording.num_samples, recording.duration = samples + beyond, duration
        supervision = SupervisionSegment("one", "one", 0.0, duration, text="A")
        CutSet.from_cuts([MonoCut("one", 0.0, duration, 0, [supervision], recording=recording)]).to_file(
            tmp_path / "cuts_a.jsonl.gz"
        )
        (found,) = read_split(tmp_path, "a")
        if fits:
            assert np.array_equal(found.wave(), soundfile.read(path, dtype="float32")[0])
        else:
            with pytest.raises(
                DataError, match=f"samples 0 to {samples + beyond} were asked for, the file has {samples}"
            ):
                found.wave()
    recording = Recording.from_file(path)
    recording.num_samples, recording.duration = samples + 8000, (samples + 8000) / SAMPLE_RATE
    CutSet.from_cuts([recording.perturb_volume(0.5).to_cut()]).to_file(tmp_path / "cuts_a.jsonl.gz")
    with pytest.raises(DataError, match="8,000 fewer than the manifest says"):
        read_split(tmp_path, "a")[0].wave()


def test_plain_cuts_are_read_as_before(tmp_path: Path) -> None:
    """Without anything of lhotse's own, the samples are those of the file, and lhotse is not asked."""
    cut = long_cut(sound(tmp_path)).truncate(offset=1.3, duration=1.0, keep_excessive_supervisions=False)
    cut.supervisions[0].start, cut.supervisions[0].duration = 0.0, cut.duration
    CutSet.from_cuts([cut]).to_file(tmp_path / "cuts_a.jsonl")
    (found,) = read_utterances(tmp_path / "cuts_a.jsonl")
    assert (found.derived, found.fault, found.id) == (None, "", cut.id)
    start = round(cut.start * SAMPLE_RATE)
    assert np.array_equal(
        found.wave(), soundfile.read(tmp_path / "one.flac", dtype="float32")[0][start : start + SAMPLE_RATE]
    )
    assert next(read_jsonl(tmp_path / "cuts_a.jsonl")) == next(read_cuts(tmp_path, "a"))[0]


def test_derived_audio_is_the_same_from_every_thread_and_each_time(tmp_path: Path) -> None:
    """What a resumed run reads is what the first one read."""
    cut = long_cut(sound(tmp_path))
    noise = long_cut(sound(tmp_path, "noise.wav", 6.0)).drop_supervisions()
    CutSet.from_cuts([cut.perturb_speed(1.1), cut.mix(noise, snr=10), cut.narrowband("mulaw")]).to_file(
        tmp_path / "cuts_a.jsonl.gz"
    )
    found = read_split(tmp_path, "a")
    once = [u.wave() for u in found]
    with ThreadPoolExecutor(8) as pool:
        again = list(pool.map(lambda n: (n % len(found), found[n % len(found)].wave()), range(6 * len(found))))
    assert all(np.array_equal(wave, once[n]) for n, wave in again)
    assert read_split(tmp_path, "a") == found


@pytest.mark.fault("input-3")
def test_filters_that_would_fill_the_memory_are_refused(tmp_path: Path) -> None:
    cut = long_cut(sound(tmp_path)).drop_supervisions()
    row = cut.resample(8000).to_dict()
    for rates in ((999_983, 999_979), (1, 16_000), (0, 16_000), (16_000, -1), (10**30, 16_000)):
        row["recording"]["transforms"][0]["kwargs"] = dict(
            zip(("source_sampling_rate", "target_sampling_rate"), rates, strict=True)
        )
        write_jsonl(tmp_path / "cuts_a.jsonl.gz", [row])
        with pytest.raises(DataError, match="Resample from"):
            read_split(tmp_path, "a")
    mixture = cut.pad(duration=5.0).to_dict()
    for track in mixture["tracks"]:
        if track["type"] == "PaddingCut":
            track["cut"] |= {"duration": 1e9, "num_samples": 16_000 * 10**9}
    write_jsonl(tmp_path / "cuts_a.jsonl.gz", [mixture])
    with pytest.raises(DataError, match="a mixture of"):
        read_split(tmp_path, "a")


VALUES = (
    None,
    True,
    0,
    1,
    -1,
    10**30,
    0.5,
    -0.5,
    1e30,
    "",
    "a",
    "x" * 300,
    [],
    {},
    [None],
    [0, 1],
    {"a": 1},
    "MixedCut",
    "shar",
)


def changed(row: dict, rng: random.Random) -> dict:
    """A copy in which something is gone or something else."""
    copy = json.loads(json.dumps(row))
    places: list[tuple[dict | list, object]] = []
    waiting = [copy]
    while waiting:
        at = waiting.pop()
        for key, value in at.items() if isinstance(at, dict) else enumerate(at):
            places.append((at, key))
            if isinstance(value, dict | list):
                waiting.append(value)
    where, key = rng.choice(places)
    if rng.random() < 0.2:
        del where[key]
    else:
        where[key] = rng.choice(VALUES)
    return copy


@pytest.mark.fault("input-3", "input-23")
def test_changed_cuts_are_read_or_refused(tmp_path: Path) -> None:
    rng = random.Random(0)
    cut = long_cut(sound(tmp_path))
    noise = long_cut(sound(tmp_path, "noise.wav", 6.0)).drop_supervisions()
    kinds = [
        cut,
        cut.perturb_speed(1.1),
        cut.mix(noise, snr=10),
        cut.pad(duration=5.0),
        cut.resample(8000).resample(SAMPLE_RATE),
    ]
    rows = [json.loads(json.dumps(kind.to_dict())) for kind in kinds]
    refused = 0
    for _ in range(300):
        (tmp_path / "cuts_a.jsonl").write_text(json.dumps(changed(rng.choice(rows), rng)) + "\n")
        try:
            for utterance in read_split(tmp_path, "a")[:2]:
                utterance.wave()
        except DataError as error:
            assert len(str(error)) < 1500
            refused += 1
    assert 50 < refused < 250
