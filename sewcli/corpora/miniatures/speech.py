"""Synthetic speech by eSpeak NG (the `mini` extra), for miniature corpora.

The library keeps state that runs on from call to call, and draws the breath of some voices from a generator that it
seeds by the clock. So that is seeded here before each sentence, and a speaker of a miniature is one process: there the
same calls in the same order give the same samples. Waves: int16, (S,), 22050 Hz.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

import numpy as np

from sewcli.base.errors import UsageError

_SYNCHRONOUS, _UTF8 = 2, 1  # AUDIO_OUTPUT_SYNCHRONOUS, espeakCHARS_UTF8
_RATE, _VOLUME, _PITCH, _RANGE = 1, 2, 3, 4  # espeak_PARAMETER

Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


@dataclass(frozen=True, slots=True)
class Voice:
    """A voice by name (`en-us+f3`), its rate in words a minute, pitch and pitch range from 0 to 99."""

    name: str
    rate: int
    pitch: int
    range: int


class Synthesizer:
    """One voice of eSpeak NG; at most one a process.

    Raises:
        UsageError: the extra is not installed, or there is no such voice.
    """

    def __init__(self, voice: Voice) -> None:
        self._library, data = _load()
        self.rate = int(self._library.espeak_Initialize(_SYNCHRONOUS, 0, data.encode(), 0))
        if self.rate <= 0:
            raise UsageError(
                "espeak-failed",
                "eSpeak NG does not start",
                where=data,
                hint="install the extra again: pip install 'sewcli[mini]'",
            )
        if self._library.espeak_SetVoiceByName(voice.name.encode()) != 0:  # otherwise the voice before it speaks on
            raise UsageError("espeak-failed", f"eSpeak NG has no voice {voice.name!r}")
        for parameter, value in ((_RATE, voice.rate), (_VOLUME, 80), (_PITCH, voice.pitch), (_RANGE, voice.range)):
            self._library.espeak_SetParameter(parameter, value, 0)
        self._chunks: list[np.ndarray] = []
        self._callback = Callback(self._receive)  # kept: the library holds only its address
        self._library.espeak_SetSynthCallback(self._callback)

    def speak(self, text: str) -> np.ndarray:
        """The samples of `text`: int16, shape (S,), at `self.rate` Hz, silence at both ends included."""
        self._chunks = []
        self._library.espeak_ng_SetRandSeed(1)
        ctypes.CDLL(None).srand(1)  # the Klatt synthesiser draws from the C library
        encoded = text.encode() + b"\0"
        status = self._library.espeak_Synth(encoded, len(encoded), 0, 0, 0, _UTF8, None, None)
        if status != 0 or not self._chunks:
            raise UsageError("espeak-failed", f"eSpeak NG could not speak {text!r} (status {status})")
        return np.concatenate(self._chunks)

    def _receive(self, samples: ctypes._Pointer[ctypes.c_short], count: int, _events: int | None) -> int:
        if samples and count > 0:
            self._chunks.append(np.ctypeslib.as_array(samples, shape=(count,)).copy())
        return 0


def require() -> None:
    """Check that eSpeak NG can be loaded.

    Raises:
        UsageError: it cannot, with the command that installs it.
    """
    _load()


def _load() -> tuple[ctypes.CDLL, str]:
    try:
        import espeakng_loader

        library = ctypes.CDLL(espeakng_loader.get_library_path())
    except (ImportError, OSError) as error:
        raise UsageError(
            "package-missing",
            f"the miniature is spoken by eSpeak NG, which is not here ({error})",
            hint="pip install 'sewcli[mini]'",
        ) from None
    library.espeak_Initialize.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_char_p, ctypes.c_int]
    library.espeak_ng_SetRandSeed.argtypes = [ctypes.c_long]
    library.espeak_SetVoiceByName.argtypes = [ctypes.c_char_p]
    library.espeak_SetParameter.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int]
    library.espeak_SetSynthCallback.argtypes = [Callback]
    library.espeak_Synth.argtypes = [
        *(ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_int, ctypes.c_uint, ctypes.c_uint),
        *(ctypes.c_void_p, ctypes.c_void_p),
    ]
    return library, espeakng_loader.get_data_path()
