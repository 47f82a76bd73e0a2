"""Files of containers that libsndfile cannot write, made by PyAV."""

import io
from fractions import Fraction

import av
import numpy as np

KINDS = {"fltp": np.float32, "flt": np.float32, "s16": np.int16, "s16p": np.int16, "s32": np.int32, "s32p": np.int32}

CONTAINERS = {  # ending: ffmpeg's muxer, coding, rate
    "m4a": ("ipod", "aac", 44_100),
    "mp4": ("mp4", "aac", 48_000),
    "mov": ("mov", "pcm_s16be", 16_000),
    "webm": ("webm", "libopus", 48_000),
    "mkv": ("matroska", "aac", 44_100),
    "mka": ("matroska", "flac", 16_000),
    "wma": ("asf", "wmav2", 44_100),
    "amr": ("amr", "libopencore_amrnb", 8_000),
    "aac": ("adts", "aac", 22_050),
    "ac3": ("ac3", "ac3", 48_000),
    "flv": ("flv", "aac", 44_100),
    "avi": ("avi", "ac3", 44_100),
    "mts": ("mpegts", "aac", 44_100),
    "mpg": ("mpeg", "mp2", 44_100),
    "wv": ("wv", "wavpack", 16_000),
    "tta": ("tta", "tta", 16_000),
    "alac.m4a": ("ipod", "alac", 16_000),
    "mp3.wav": ("wav", "libmp3lame", 16_000),
    "g722.wav": ("wav", "g722", 16_000),
    "flac.oga": ("ogg", "flac", 16_000),
    "3gp": ("3gp", "libopencore_amrnb", 8_000),
}


def encode(ending: str, wave: np.ndarray, **options: str) -> bytes:
    """The file with this ending; wave float32, shape (channels, S), at the rate of the table."""
    form, coding, rate = CONTAINERS[ending]
    held = io.BytesIO()
    layout = {1: "mono", 2: "stereo"}[len(wave)]
    with av.open(held, "w", format=form, options=options) as container:
        track = container.add_stream(coding, rate=rate, layout=layout)
        if coding in ("wmav2", "mp2", "aac", "ac3"):
            track.bit_rate = 96_000
        if coding in ("wavpack", "tta"):
            track.codec_context.format = {"wavpack": "s16p", "tta": "s16"}[coding]
        kind = track.codec_context.format.name
        if KINDS[kind] is not np.float32:
            wave = (wave * (1 << 8 * np.dtype(KINDS[kind]).itemsize - 1)).astype(KINDS[kind])
        track.codec_context.open()
        size = track.codec_context.frame_size or 1024
        for at in range(0, wave.shape[1], size):
            part = wave[:, at : at + size]
            part = np.ascontiguousarray(part if kind.endswith("p") else part.T.reshape(1, -1))
            frame = av.AudioFrame.from_ndarray(part, format=kind, layout=layout)
            frame.sample_rate, frame.pts, frame.time_base = rate, at, Fraction(1, rate)
            container.mux(track.encode(frame))
        container.mux(track.encode(None))
    return held.getvalue()


def noise(ending: str, seconds: float = 1.0, channels: int = 1) -> np.ndarray:
    """Noise below 2 kHz, which every coder keeps, shape (channels, S), at the rate of that ending's file."""
    rate = CONTAINERS[ending][2]
    rng = np.random.default_rng(0)
    spectrum = np.zeros((channels, int(seconds * rate) // 2 + 1), dtype=complex)
    band = slice(int(200 * seconds), int(2000 * seconds))
    shape = spectrum[:, band].shape
    spectrum[:, band] = rng.normal(size=shape) + 1j * rng.normal(size=shape)
    wave = np.fft.irfft(spectrum, int(seconds * rate), axis=1)
    return (0.4 * wave / np.abs(wave).max()).astype(np.float32)
