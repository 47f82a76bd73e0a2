"""Configs: frozen pydantic models, YAML through `safe_load`, `--set a.b=c` on top; unknown keys are refused.

A YAML file holds only what differs from the defaults. No config can run code: plain data in, checked fields out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from sewcli.base.errors import UsageError, nearest, quoted
from sewcli.base.parsing import ParseError
from sewcli.base.pipes import read_once
from sewcli.base.yaml_text import parse_yaml


class Config(BaseModel):
    """Base of every config section: immutable, unknown keys refused, and infinities and NaN with them."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


C = TypeVar("C", bound=Config)


def read_yaml(path: str | Path) -> dict[str, Any]:
    """The mapping in a YAML file (an empty file is an empty mapping).

    Raises:
        UsageError: missing, not YAML, or not a mapping.
    """
    try:
        with read_once(path) as file:
            content = file.read()
        value = parse_yaml(content.decode("utf-8-sig"))
    except OSError as error:
        raise UsageError("cannot-read", f"cannot read the config ({error.strerror})", where=path) from None
    except (ParseError, UnicodeDecodeError) as error:
        raise UsageError("not-yaml", f"not valid YAML: {str(error)[:300]}", where=path) from None
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise UsageError("config-not-mapping", "a config must be a mapping of keys to values", where=path)
    if odd := [key for key in value if not isinstance(key, str)]:
        raise UsageError("config-not-mapping", f"a key must be a name, not {quoted(odd[0])}", where=path)
    return value


def merge(base: Mapping[str, Any], *updates: Mapping[str, Any]) -> dict[str, Any]:
    """Nested mappings laid over each other, the last one on top."""
    result = dict(base)
    for update in updates:
        for name, value in update.items():
            old = result.get(name)
            result[name] = merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return result


def parse_sets(settings: Iterable[str]) -> dict[str, Any]:
    """`["optim.lr=3e-4"]` -> `{"optim": {"lr": 0.0003}}`; values are read as YAML scalars or lists."""
    result: dict[str, Any] = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals or not name.strip():
            raise UsageError(
                "set-not-key-value",
                f"--set {quoted(setting)} is not of the form key=value",
                hint="see --print-config for every key",
            )
        value: Any = _scalar(text)
        for part in reversed(name.strip().split(".")):
            value = {part: value}
        result = merge(result, value)
    return result


def build(cls: type[C], values: Mapping[str, Any], *, where: str | Path | None = None) -> C:
    """Check `values` and make the config; every fault is listed, an unknown key with the nearest known one.

    Raises:
        UsageError: unknown keys or values out of range.
    """
    try:
        return cls.model_validate(dict(values))
    except ValidationError as error:
        lines = [_explain(cls, fault) for fault in error.errors()]
        raise UsageError(
            "invalid-config", "config: " + "; ".join(lines), where=where, hint="see --print-config for every key"
        ) from None


def dump_yaml(config: Config) -> str:
    """The whole resolved config as YAML, in the order of the fields."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def _scalar(text: str) -> Any:
    try:
        value = parse_yaml(text)
    except ParseError:
        return text
    if isinstance(value, str):  # YAML 1.1 reads 3e-4 as a string
        try:
            return float(value)
        except ValueError:
            return value
    return value


def _explain(cls: type[Config], fault: Any) -> str:
    path = [str(part) for part in fault["loc"]]
    name = ".".join(path)
    if fault["type"] == "extra_forbidden":
        return f"unknown key {quoted(name)}{nearest(path[-1], _fields_at(cls, path[:-1]))}"
    if not path:  # fields that do not fit together: the message names them
        return str(fault["msg"]).removeprefix("Value error, ")
    if fault["type"] == "value_error":  # of a section, whose message names its fields
        return f"{name}: {str(fault['msg']).removeprefix('Value error, ')}"
    return f"{name}: {fault['msg'][0].lower()}{fault['msg'][1:]} (given: {quoted(fault.get('input'))})"


def _fields_at(cls: type[Config], path: list[str]) -> list[str]:
    fields = cls.model_fields
    for part in path:
        annotation = fields[part].annotation if part in fields else None
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return []
        fields = annotation.model_fields
    return list(fields)
