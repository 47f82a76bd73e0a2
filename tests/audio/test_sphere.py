"""SPHERE files: the same samples as the WAV beside them, in every coding; and what is damaged is named."""

import resource
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from sphere_files import PCM, ULAW, head, needs, real_files, shortened, speech, ulaw_values
from support.refusals import refused

from sewcli.audio.io import probe, read_channels, read_wave, verify
from sewcli.audio.sphere import read_header
from sewcli.base.errors import DataError
from sewcli.corpora.miniatures.shorten import shorten

READERS = [verify, read_channels]


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("subtype", ["PCM_16", "ULAW", "ALAW"])
@pytest.mark.parametrize("name", ["sw02001.sph", "fe 03 00001 (copy).sph", "sœur d'été – 電話.SPH"])
def test_as_the_wav_beside_it(tmp_path: Path, name: str, subtype: str, channels: int) -> None:
    noise = np.random.default_rng(0).standard_normal((5000, channels)) * 0.2
    sphere, wav = tmp_path / name, tmp_path / "beside.wav"
    soundfile.write(sphere, noise, 8000, format="NIST", subtype=subtype)
    soundfile.write(wav, noise, 8000, subtype=subtype)
    waves, info = read_channels(sphere)
    assert (info.rate, info.channels, info.samples, info.format) == (8000, channels, 5000, "NIST")
    assert probe(sphere) == verify(sphere) == info
    assert waves.shape == (channels, 5000) and np.array_equal(waves, read_channels(wav)[0])
    for channel in range(channels):
        assert np.array_equal(read_wave(sphere, channel=channel, rate=8000), waves[channel])
        part = read_wave(sphere, channel=channel, rate=8000, start=1234, samples=777)
        assert np.array_equal(part, waves[channel, 1234:2011])


@pytest.mark.parametrize("samples", [1, 256, 3000])
def test_shorten(tmp_path: Path, samples: int) -> None:
    path = tmp_path / "fe 03 – ü.sph"
    codes = speech(samples)
    path.write_bytes(shortened(codes))
    waves, info = read_channels(path)
    assert (info.rate, info.channels, info.samples, info.format) == (8000, 2, samples, "NIST")
    assert np.array_equal(waves * 32768, ulaw_values()[codes].T)
    assert probe(path) == verify(path) == info
    assert np.array_equal(read_wave(path, channel=1, rate=8000, start=samples - 1), waves[1, -1:])


MANY = {f"comment_{number}": "-s40 " + "x" * 40 for number in range(40)}
ULAW_HEADERS = {
    "usual": ULAW,
    "mu-law": {**ULAW, "sample_coding": "-s6 mu-law"},
    "mulaw": {**ULAW, "sample_coding": "-s5 mulaw"},
    "capitals": {**ULAW, "sample_coding": "-s4 ULAW"},
    "coding in the byte format": {**ULAW, "sample_coding": None, "sample_byte_format": "-s6 mu-law"},
    "coding in both": {**ULAW, "sample_byte_format": "-s6 mu-law"},
    "order of bytes without need": {**ULAW, "sample_byte_format": "-s2 01"},
    "without byte format": {**ULAW, "sample_byte_format": None},
    "numbers as strings": {**ULAW, "sample_n_bytes": "-s1 1", "channel_count": "-s1 2"},
    "a rate that is real": {**ULAW, "sample_rate": "-r 8000.000"},
    "two spaces": {name: value.replace(" ", "  ") for name, value in ULAW.items()},
    "not ASCII": {"speaker": "-s4 José", "end_head_": "-s8 end_head", **ULAW},
    "fields without a value or a type": {"speaker": "-s0", "nonsense": "", **ULAW},
    "fields beyond 1024 bytes": {**MANY, **ULAW},
    "no sample_count": {**ULAW, "sample_count": None},
}


@pytest.mark.parametrize("fields", ULAW_HEADERS.values(), ids=ULAW_HEADERS)
@pytest.mark.parametrize("size", [2048, 4096, 1024])
def test_headers(tmp_path: Path, fields: dict[str, str], size: int) -> None:
    if len(head(fields)) > size:
        size = 3072
    path, codes = tmp_path / "call.sph", speech()
    path.write_bytes(head({"sample_count": f"-i {len(codes)}", **fields}, size) + codes.tobytes())
    waves, info = read_channels(path)
    assert (info.rate, info.channels, info.samples) == (8000, 2, len(codes))
    assert np.array_equal(waves * 32768, ulaw_values()[codes].T)
    assert np.array_equal(read_wave(path, channel=1, rate=8000, start=1000), waves[1, 1000:])


CODED = {name: fields for name, fields in ULAW_HEADERS.items() if {"sample_coding", "sample_count"} - fields.keys()}


@pytest.mark.parametrize("fields", CODED.values(), ids=CODED)
def test_headers_of_shortened_files(tmp_path: Path, fields: dict[str, str | None]) -> None:
    path, codes = tmp_path / "call.sph", speech()
    coding = (fields["sample_coding"] or "-s4 ulaw").split()[1]
    shortened = {"sample_count": f"-i {len(codes)}", "sample_coding": f"-s27 {coding},embedded-shorten-v2.00"}
    path.write_bytes(head({**fields, **shortened}, 4096) + shorten(codes))
    assert np.array_equal(read_channels(path)[0] * 32768, ulaw_values()[codes].T)


@pytest.mark.parametrize(("order", "kind"), [("01", "<i2"), ("10", ">i2")])
@pytest.mark.parametrize("changed", [{}, {"sample_coding": None}, {"sample_n_bytes": None}, MANY], ids=str)
def test_order_of_bytes(tmp_path: Path, order: str, kind: str, changed: dict[str, str | None]) -> None:
    path = tmp_path / "call.sph"
    samples = np.random.default_rng(1).integers(-(2**15), 2**15, (500, 2))
    fields = {"sample_count": "-i 500", **changed, **{k: v for k, v in PCM.items() if k not in changed}}
    path.write_bytes(head({**fields, "sample_byte_format": f"-s2 {order}"}, 4096) + samples.astype(kind).tobytes())
    assert np.array_equal(read_channels(path)[0] * 32768, samples.T)
    path.write_bytes(head({**fields, "sample_byte_format": None}, 4096) + samples.astype(kind).tobytes())
    with pytest.raises(DataError, match="does not say the order of bytes"):
        read_channels(path)


def test_what_follows_the_last_sample_is_no_sound(tmp_path: Path) -> None:
    path, codes = tmp_path / "call.sph", speech(500)
    path.write_bytes(head({**ULAW, "sample_count": "-i 400"}) + codes.tobytes())
    assert verify(path).samples == 400
    assert np.array_equal(read_channels(path)[0] * 32768, ulaw_values()[codes[:400]].T)
    assert len(read_wave(path, rate=8000)) == 400
    with pytest.raises(DataError, match="the file has 400"):
        read_wave(path, rate=8000, start=390, samples=11)


@pytest.mark.parametrize("lost", [1, 1000, 5998])
@pytest.mark.parametrize("size", [1024, 2048])
def test_truncated_data(tmp_path: Path, lost: int, size: int) -> None:
    path, codes = tmp_path / "call.sph", speech()
    path.write_bytes((head({**ULAW, "sample_count": "-i 3000"}, size) + codes.tobytes())[:-lost])
    left = (6000 - lost) // 2
    for read in (probe, partial(read_wave, rate=8000), *READERS):
        with pytest.raises(DataError, match=f"call.sph: truncated: {left} of 3000 samples"):
            read(path)


@pytest.mark.parametrize("keep", [0.001, 0.3, 0.99])
def test_truncated_shorten(tmp_path: Path, keep: float) -> None:
    path, whole = tmp_path / "call.sph", shortened(speech())
    path.write_bytes(whole[: 1024 + int((len(whole) - 1024) * keep)])
    for read in (probe, *READERS):
        with pytest.raises(DataError, match=r"call.sph: its shorten compression cannot be undone \("):
            read(path)


def test_shorten_that_holds_less_than_its_header_promises(tmp_path: Path) -> None:
    path, whole = tmp_path / "call.sph", shortened(speech())
    path.write_bytes(whole.replace(b"sample_count -i 3000", b"sample_count -i 3001"))
    with pytest.raises(DataError, match=r"3000 samples/channel.*3001"):
        verify(path)
    path.write_bytes(whole.replace(b"sample_count -i 3000", b"sample_count -i 2999"))
    assert verify(path).samples == 2999
    path.write_bytes(whole.replace(b"channel_count -i 2", b"channel_count -i 1"))
    with pytest.raises(DataError, match="channel"):
        verify(path)


@pytest.mark.parametrize("length", [8, 12, 16, 17, 200, 1023])
def test_truncated_header(tmp_path: Path, length: int) -> None:
    path = tmp_path / "call.sph"
    path.write_bytes(head({**ULAW, "sample_count": "-i 3000"})[:length])
    for read in (probe, *READERS):
        with pytest.raises(DataError, match=r"call.sph: (truncated in its SPHERE header|the size in its SPHERE)"):
            read(path)


FAULTS = [
    ({"channel_count": None}, "says nothing for channel_count"),
    ({"channel_count": "-i 0"}, r"cannot be read as sound|says 0 for channel_count"),
    ({"channel_count": "-i 3"}, "truncated: 2000 of 3000"),
    ({"sample_rate": "-i -8000"}, "says -8000 for sample_rate"),
    ({"sample_rate": "-i 0"}, "cannot be read as sound|says 0"),
    ({"sample_rate": "-s3 ²³¹"}, "says ²³¹ for sample_rate"),
    ({"sample_count": "-i 0"}, "holds no samples"),
    ({"sample_count": "-i -1"}, "says -1 for sample_count"),
    ({"sample_count": "-i many"}, "says many for sample_count"),
    ({"sample_count": "-i 3001"}, "truncated: 3000 of 3001"),
    (
        {"sample_coding": "-s27 ulaw,embedded-wavpack-v1.0"},
        r"coding 'ulaw,embedded-wavpack-v1.0'[\s\S]*w_decode -o pcm",
    ),
    ({"sample_coding": "-s5 adpcm"}, "coding 'adpcm'"),
    ({"sample_coding": "-s27 ulaw,embedded-shorten-v2.00"}, "shorten compression cannot be undone"),
]


@pytest.mark.parametrize(("changed", "message"), FAULTS)
def test_faulty_headers(tmp_path: Path, changed: dict[str, str | None], message: str) -> None:
    path = tmp_path / "call.sph"
    path.write_bytes(head({**ULAW, "sample_count": "-i 3000", **changed}) + speech().tobytes())
    for read in READERS:
        with pytest.raises(DataError, match=message):
            read(path)


def test_what_is_no_sphere_file(tmp_path: Path) -> None:
    path = tmp_path / "notes.sph"
    for content, message in ((b"NIST was here\n" * 100, "cannot be read as sound"), (b"", "an empty file")):
        path.write_bytes(content)
        for read in (probe, *READERS):
            with pytest.raises(DataError, match=f"notes.sph: {message}"):
                read(path)
    with refused(DataError, "file-not-found"):
        verify(tmp_path / "absent.sph")
    soundfile.write(tmp_path / "wav.sph", np.zeros(100), 8000, format="WAV")  # what it is decides, not its name
    assert verify(tmp_path / "wav.sph").format == "WAV"


def _ulong(value: int) -> str:
    """Shorten's long number, as bits."""
    width = value.bit_length()
    return "0" * (width >> 2) + "1" + f"{width & 3:02b}" + "1" + (f"{value:b}" if width else "")


SIZES = (10**5, 10**9, 2**31, 2**40, 2**63, 10**30)


def hostile_files() -> dict[str, bytes]:
    """Headers that promise far more than a machine has."""
    data = speech(100).tobytes()
    files = {f"size {size}": b"NIST_1A\n%7d\n" % size + data for size in (10**6, 9_999_999, 10**12)}
    for name in ("channel_count", "sample_rate", "sample_count", "sample_n_bytes"):
        for number in SIZES:
            files[f"{name} {number}"] = head({**ULAW, "sample_count": "-i 100", name: f"-i {number}"}) + data
    for place in range(6):  # type, channels, block size, order, means, bytes to skip
        numbers = [8, 2, 256, 0, 0, 0]
        for number in (2**24 + 1, 2**31, 2**60):
            numbers[place] = number
            bits = "".join(map(_ulong, numbers)) + "1000" * 100
            stream = int(bits.ljust(-(-len(bits) // 8) * 8, "0"), 2).to_bytes(-(-len(bits) // 8))
            fields = {**ULAW, "sample_count": "-i 100", "sample_coding": "-s27 ulaw,embedded-shorten-v2.00"}
            files[f"shorten {place} {number}"] = head(fields) + b"ajkg\x02" + stream
    return files


TRY = """
import sys
from functools import partial
from pathlib import Path
from sewcli.audio.io import read_channels
from sewcli.base.errors import DataError
for path in sorted(Path(sys.argv[1]).iterdir()):
    try:
        read_channels(path)
        print(path.name, "was read")
    except DataError:
        pass
    except MemoryError:
        print(path.name, "exhausted memory")
"""


def test_hostile_sizes_do_not_exhaust_memory(tmp_path: Path) -> None:
    for name, content in hostile_files().items():
        (tmp_path / name).write_bytes(content)
    gigabyte = (1 << 30, 1 << 30)
    done = subprocess.run(
        [sys.executable, "-c", TRY, str(tmp_path)],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, gigabyte),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    # an odd rate costs nothing, and how wide a u-law sample is said to be does not matter: it is 8 bits
    harmless = [f"{name} {n} was read" for name in ("sample_n_bytes", "sample_rate") for n in SIZES]
    assert set(done.stdout.splitlines()) <= set(harmless)


NAMES = st.from_regex(r"[a-z_]{1,12}", fullmatch=True).filter(lambda name: name != "end_head")
VALUES = st.text(st.characters(max_codepoint=255, exclude_categories=["Cc"]), max_size=20).map(str.strip)


@given(st.dictionaries(NAMES, VALUES, max_size=8), st.sampled_from([1024, 2048]))
def test_any_fields_come_back(tmp_path_factory: pytest.TempPathFactory, fields: dict[str, str], size: int) -> None:
    path = tmp_path_factory.getbasetemp() / "fields.sph"
    path.write_bytes(head({name: f"-s{len(value)} {value}" for name, value in fields.items()}, size) + b"data")
    header = read_header(path)
    assert header is not None and header.fields == fields and header.size == size


@given(
    st.binary(max_size=64),
    st.sampled_from([b"", b"NIST_1A\n", b"NIST_1A\n   1024\n", b"NIST_1A\n     64\n"]),
    st.sampled_from([b"", b"\nend_head\n", b"\nsample_coding -s4 ulaw\nend_head\n".ljust(1024)]),
)
def test_any_bytes_are_a_header_or_none_or_named(
    tmp_path_factory: pytest.TempPathFactory, middle: bytes, start: bytes, end: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "bytes.sph"
    path.write_bytes(start + middle + end)
    try:
        header = read_header(path)
    except DataError as error:
        assert error.where == path and path.read_bytes().startswith(b"NIST_1A\n")
    else:
        assert (header is None) == (not path.read_bytes().startswith(b"NIST_1A\n"))
    try:
        read_channels(path)
    except DataError as error:
        assert str(path) in str(error)


def _field(path: Path, name: str) -> int:
    header = read_header(path)
    assert header is not None
    return int(header.fields[name])


@needs("an4_sph")
def test_real_pcm() -> None:
    for path in real_files("an4_sph"):
        waves, info = read_channels(path)
        assert (info.rate, info.channels) == (16000, 1) and verify(path) == info
        assert np.array_equal(waves[0] * 32768, np.frombuffer(path.read_bytes()[1024:], "<i2"))
        assert int((waves * 32768).sum(dtype=np.float64)) % 2**16 == _field(path, "sample_checksum")
        assert np.array_equal(read_wave(path), waves[0])


@needs("sph_shorten_samples")
def test_real_shortened_and_companded_files() -> None:
    """NIST's own checksums hold: of PCM the sum of the samples, of u-law and A-law that of the codes."""
    paths = {path.stem: path for path in real_files("sph_shorten_samples")}
    decoded = {name: read_channels(path)[0] for name, path in paths.items()}
    assert len(paths) == 7
    for name, waves in decoded.items():
        info = verify(paths[name])
        assert (info.rate, info.samples, info.format) == (20_000, 37_120, "NIST") and probe(paths[name]) == info
        assert info.channels == len(waves) == int(name[4])
        assert np.array_equal(read_wave(paths[name], rate=20_000, start=20_000, samples=500), waves[0, 20_000:20_500])
        if "pc" in name:
            assert int((waves * 32768).sum(dtype=np.float64)) % 2**16 == _field(paths[name], "sample_checksum")
    one, two = decoded["123_1pcle_shn"], decoded["123_2pcle_shn"]
    assert np.array_equal(one, decoded["123_1pcbe_shn"]) and np.array_equal(two, decoded["123_2pcbe_shn"])
    ulaw = ulaw_values()
    codes = np.abs(decoded["123_1ulaw_shn"][0, :, None] * 32768 - ulaw).argmin(axis=-1)
    assert np.array_equal(ulaw[codes], decoded["123_1ulaw_shn"][0] * 32768)
    zeros = int((ulaw[codes] == 0).sum())  # 0x7F and 0xFF are both 0: 128 apart in the sum, for each of them
    off = (_field(paths["123_1ulaw_shn"], "sample_checksum") - int(codes.sum())) % 2**16
    assert off % 128 == 0 and off // 128 <= zeros
    # companding keeps 5 significant bits: each code stands for the values nearest to it
    for name, linear in (("123_1ulaw_shn", one), ("123_2ulaw_shn", two), ("123_2alaw", two)):
        assert (np.abs(decoded[name] - linear) <= np.abs(linear) / 32 + 8 / 32768).all()
