"""How waves are augmented in fine-tuning."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field, model_validator

from sewcli.base.config import Config

Share = Annotated[float, Field(ge=0, le=1)]


def _numbers(value: object) -> object:
    """`"0.9,1,1.1"` as a list, so that `--set augmentation.speeds=0.9,1,1.1` needs no brackets."""
    return [float(part) for part in value.split(",") if part.strip()] if isinstance(value, str) else value


Speeds = Annotated[
    tuple[Annotated[float, Field(ge=0.5, le=2)], ...],
    BeforeValidator(_numbers),
]
Range = Annotated[tuple[float, float], BeforeValidator(_numbers)]


class AugmentationConfig(Config):
    """Changes of the waves that are trained on; by default there are none."""

    speeds: Speeds = ()
    """Speeds, of which each utterance draws one an epoch: `0.9,1,1.1` are Kaldi's. Pitch changes with them."""
    noise: str | None = None
    """Folder with sound files of noise."""
    noise_share: Share = 0.5
    """Share of the utterances that get noise, where there is a folder."""
    snr: Range = (5.0, 20.0)
    """Signal-to-noise ratio, from and to, in dB."""
    reverberation: Share = 0.0
    """Share of the utterances that are put into a room."""

    @model_validator(mode="after")
    def _goes_up(self) -> AugmentationConfig:
        if self.snr[0] > self.snr[1]:
            raise ValueError(f"snr goes from {self.snr[0]:g} down to {self.snr[1]:g} dB")
        return self

    @property
    def changes(self) -> bool:
        """Whether any wave is changed."""
        return bool(set(self.speeds) - {1.0} or (self.noise and self.noise_share) or self.reverberation)
