"""How a Hugging Face folder wants its waves: rate and normalisation, from the file where `transformers` looks for them.

`processor_config.json` with a feature extractor in it (transformers 5), else `preprocessor_config.json`; what the file leaves
out has the defaults of `Wav2Vec2FeatureExtractor`: 16 kHz, and every utterance to zero mean and unit variance.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sewcli.base.errors import DataError
from sewcli.base.files import read_object
from sewcli.base.sample_rate import SAMPLE_RATE

PROCESSOR = "processor_config.json"
PREPROCESSOR = "preprocessor_config.json"
FILES = (PROCESSOR, PREPROCESSOR)
NESTED = ("feature_extractor", "audio_processor")
KIND = "Wav2Vec2FeatureExtractor"


def wants_normalised(folder: Path) -> bool | None:
    """Whether waves must be normalised; None when no file says anything of them.

    Raises:
        DataError: a file is broken, features of another kind, or another sampling rate.
    """
    settings, path = _settings(folder)
    if settings is None:
        return None
    kind = settings.get("feature_extractor_type", KIND)
    if kind != KIND:
        raise DataError(
            "features-unsupported",
            f"features of a {kind}",
            where=path,
            hint=f"sew's models take waves, as a {KIND} makes them",
        )
    if (rate := settings.get("sampling_rate", SAMPLE_RATE)) != SAMPLE_RATE:
        raise DataError(
            "wrong-sample-rate",
            f"a model of {rate} Hz; sew recognises speech at {SAMPLE_RATE} Hz only",
            where=path,
            hint=f"take a model that was trained at {SAMPLE_RATE} Hz",
        )
    if settings.get("feature_size", 1) != 1:
        raise DataError(
            "features-unsupported", f"feature_size = {settings['feature_size']!r} is not supported", where=path
        )
    return bool(settings.get("do_normalize", True))  # as transformers takes 1 and "true"


def _settings(folder: Path) -> tuple[dict[str, Any] | None, Path]:
    for name in FILES:
        path = folder / name
        if not path.is_file():
            continue
        content = read_object(path)
        if name == PREPROCESSOR:
            return content, path
        nested = next((content[key] for key in NESTED if key in content), None)
        if isinstance(nested, dict):
            return nested, path
    return None, folder
