"""`decode.json`, `score.json` and the figures of a run, typed: what a report takes from files that anybody may have edited."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from sewcli.base.errors import DataError, quoted
from sewcli.base.files import read_object

Rate = Annotated[float, Field(ge=0, le=1e6)]
Count = Annotated[int, Field(ge=0, le=10**15)]
Bounds = Annotated[list[Rate], Field(min_length=2, max_length=2)]
Name = Annotated[str, Field(max_length=4096)]


class _Written(BaseModel):
    """Fields of other versions stay."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True, allow_inf_nan=False)


class Errors(_Written):
    """Counts of errors and their rate."""

    wer: Rate
    words: Count = 0
    substitutions: Count = 0
    deletions: Count = 0
    insertions: Count = 0


class Nist(Errors):
    """By NIST's rules, of a telephone test and of its parts."""

    parts: dict[Name, Errors] = {}
    tool: Name = ""


class Score(Errors):
    """`score.json`."""

    wer_interval: Bounds | None = None
    interval_over: Name = "utterances"
    cer: Rate | None = None
    cer_interval: Bounds | None = None
    nist: Nist | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Score:
        for bounds in (self.wer_interval, self.cer_interval):
            if bounds and bounds[0] > bounds[1]:
                raise ValueError("an interval whose ends are the wrong way round")
        return self


class Decoded(_Written):
    """`decode.json`."""

    split: Name
    data: Name = ""
    model: Name | None = None
    decoder: Name | None = None
    lm: Name | None = None
    beam: Count | None = None
    device: Name = "?"
    real_time_factor: Annotated[float, Field(ge=0, le=1e9)] | None = None


class Run(_Written):
    """What is taken from a run's `config.yaml`."""

    updates: Count | None = None
    model: Name | None = None


class Amount(_Written):
    """Of audio, in `data.json`."""

    hours: Annotated[float, Field(ge=0, le=1e9)] | None = None


class Data(_Written):
    """`data.json`."""

    train: Amount | None = None


M = TypeVar("M", bound=_Written)


def read_checked(cls: type[M], path: Path) -> dict[str, Any]:
    """A file's object, after its fields were held against `cls`.

    Raises:
        DataError: it cannot be read, or a field has another type or an impossible value.
    """
    return checked(cls, read_object(path), path)


def checked(cls: type[M], content: dict[str, Any], path: Path) -> dict[str, Any]:
    """`content`, whose fields are as `cls` says.

    Raises:
        DataError: the first field that is not.
    """
    try:
        cls.model_validate(content)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_context=False)[0]
        name = ".".join(map(str, fault["loc"])) or "it"
        told = str(fault["msg"])
        raise DataError(
            "unexpected-content",
            f"{name[:80]}: {told[:1].lower()}{told[1:]} (it is {quoted(fault.get('input'))})",
            where=path,
        ) from None
    return content
