"""Energy by the counters of the machine: RAPL of the processor, NVML of NVIDIA's GPUs; CO2 of a country by CodeCarbon's data.

Where there is no counter nothing is shown: CodeCarbon then multiplies constants (watts a thread, watts for memory) by time,
which is no measurement. Counters are those of the whole machine, other work on it included. Nothing is looked up on a network.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sewcli.base.errors import UsageError, nearest

POWERCAP = Path("/sys/class/powercap")
PACKAGES = "intel-rapl:?"  # one a processor; what is below them is a part of it
JOULES = 3.6e6  # in a kWh
NO_COUNTER = (
    "this machine gives no energy counter that can be read (RAPL below /sys/class/powercap: {rapl}; NVIDIA's NVML: {nvml}), "
    "so no energy is shown: an estimate from constants would be no measurement"
)


class Counters:
    """The energy counters that can be read here.

    Args:
        powercap: where RAPL's are.
    """

    def __init__(self, powercap: Path = POWERCAP) -> None:
        self._rapl, self._rapl_told = _rapl(powercap)
        self._nvml, self._gpus, self._nvml_told = _nvml()

    @property
    def names(self) -> list[str]:
        """What is counted."""
        return [*(["processor (RAPL)"] if self._rapl else []), *(["GPU (NVML)"] if self._gpus else [])]

    @property
    def missing(self) -> str:
        """Why there is nothing to count with."""
        return NO_COUNTER.format(rapl=self._rapl_told, nvml=self._nvml_told)

    def read(self) -> dict[str, int]:
        """Microjoules since some time, of each."""
        found = {str(path): int(path.read_text()) for path in self._rapl}
        for number, gpu in enumerate(self._gpus):
            found[f"gpu {number}"] = 1000 * self._nvml.nvmlDeviceGetTotalEnergyConsumption(gpu)
        return found

    def since(self, before: dict[str, int]) -> float:
        """Joules since then; a counter that has gone round in between began again at zero."""
        total = 0
        for name, now in self.read().items():
            spent = now - before[name]
            if spent < 0:
                spent += int((Path(name).parent / "max_energy_range_uj").read_text())
            total += spent
        return total / 1e6


@dataclass(frozen=True)
class Country:
    """A country's electricity. grams: of CO2 for a kWh."""

    code: str
    grams: float


def country(code: str) -> Country:
    """By its ISO code of three letters, from the tables that CodeCarbon brings with it.

    Raises:
        UsageError: CodeCarbon is not installed, or does not know the country.
    """
    try:
        from codecarbon.core.emissions import Emissions
        from codecarbon.core.units import Energy
        from codecarbon.external.geography import GeoMetadata
        from codecarbon.input import DataSource
    except ImportError:
        raise UsageError(
            "package-missing", "CodeCarbon is not installed", hint="pip install 'sewcli[energy]'"
        ) from None
    logging.getLogger("codecarbon").setLevel(logging.ERROR)
    source = DataSource()
    known = source.get_global_energy_mix_data()
    if code.upper() not in known:
        raise UsageError(
            "no-such-country",
            f"no country {code!r}{nearest(code.upper(), known)}",
            hint="an ISO code such as DEU or USA",
        )
    place = GeoMetadata(country_iso_code=code.upper(), country_name=str(known[code.upper()].get("country_name", code)))
    kilograms = Emissions(source).get_country_emissions(Energy.from_energy(kWh=1.0), place)
    return Country(code.upper(), 1000 * float(kilograms))


def account(joules: float, audio_seconds: float, where: Country, counters: list[str]) -> dict[str, Any]:
    """What a trial has cost, and a million hours of speech at this rate."""
    kwh = joules / JOULES
    million = kwh / (audio_seconds / 3600) * 1e6
    return {
        "counters": counters,
        "country": where.code,
        "kwh": kwh,
        "kg_co2": kwh * where.grams / 1000,
        "kwh_per_million_hours": million,
        "kg_co2_per_million_hours": million * where.grams / 1000,
    }


def _rapl(powercap: Path) -> tuple[list[Path], str]:
    found = sorted(powercap.glob(f"{PACKAGES}/energy_uj"))
    try:
        for path in found:
            int(path.read_text())
    except PermissionError:
        return [], "only root may read it"
    except (OSError, ValueError) as error:
        return [], str(error)
    return found, "there" if found else "not there"


def _nvml() -> tuple[Any, list[Any], str]:
    try:
        import pynvml
    except ImportError:
        return None, [], "pip install 'sewcli[energy]'"
    with suppress(pynvml.NVMLError):
        pynvml.nvmlInit()
        gpus = [pynvml.nvmlDeviceGetHandleByIndex(number) for number in range(pynvml.nvmlDeviceGetCount())]
        for gpu in gpus:
            pynvml.nvmlDeviceGetTotalEnergyConsumption(gpu)
        return pynvml, gpus, "there" if gpus else "no GPU"
    return None, [], "no driver, or a GPU without a counter"
