"""Errors by their kind: `with refused(DataError, "no-text") as caught:` in place of a match of their wording."""

import pytest

from sewcli.base.errors import SewError


def refused(kind: type[SewError], code: str) -> pytest.RaisesExc[SewError]:
    """As `pytest.raises(kind)`, of errors with this code alone."""
    return pytest.RaisesExc(kind, check=lambda error: error.code == code)
