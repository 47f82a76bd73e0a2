"""A small shorten encoder, so that a miniature of Fisher can be compressed as the true one is.

Lossless u-law mode (type 8) of version 2 with the polynomial predictors DIFF0 to DIFF3, by Robinson 1994, "SHORTEN: simple
lossless and near-lossless waveform compression" (CUED/F-INFENG/TR.156); no linear prediction. Any decoder reads it.
Legend: S samples, D channels.
"""

from __future__ import annotations

import numpy as np

MAGIC, VERSION = b"ajkg", 2
ULAW_TYPE = 8  # u-law without loss, coded in the order of the loudness of its 256 codes
BLOCK = 256  # samples of one channel a block
ORDERS = range(4)  # of the polynomial that predicts a block; its command has the same number
QUIT, NEW_BLOCK_SIZE = 4, 5  # other commands
ENERGIES = range(8)  # one less than the Rice parameter of a block
COMMAND_BITS, ENERGY_BITS, LENGTH_BITS = 2, 3, 2  # Rice parameters of the fields


def shorten(codes: np.ndarray) -> bytes:
    """Compress u-law codes.

    Args:
        codes: uint8, shape (S, D).

    Returns:
        The stream that follows a SPHERE header with `sample_coding ulaw,embedded-shorten-v2.00`.
    """
    signed = codes.astype(np.int64)
    ranks = np.where(signed >= 128, 255 - signed, signed - 128)
    channels = [_Predicted(channel) for channel in ranks.T]
    fields = [_long(number) for number in (ULAW_TYPE, len(channels), BLOCK, 0, 0, 0)]
    for block in range(-(-len(ranks) // BLOCK)):
        if (left := len(ranks) - block * BLOCK) < BLOCK:
            fields += [_field(NEW_BLOCK_SIZE, COMMAND_BITS), _long(left)]
        for channel in channels:
            fields += channel.fields(block)
    fields.append(_field(QUIT, COMMAND_BITS))
    return MAGIC + bytes([VERSION]) + _pack(np.concatenate(fields, axis=1))


class _Predicted:
    """One channel, shape (S,), with the predictor and the Rice parameter of each block that take the fewest bits."""

    def __init__(self, ranks: np.ndarray) -> None:
        past = np.concatenate([np.zeros(3, np.int64), ranks])
        residuals = [np.diff(past, order)[3 - order :] for order in ORDERS]
        self._folded = np.stack([np.where(residual >= 0, 2 * residual, -2 * residual - 1) for residual in residuals])
        blocks = -(-len(ranks) // BLOCK)
        padded = np.pad(self._folded, ((0, 0), (0, blocks * BLOCK - len(ranks)))).reshape(len(ORDERS), blocks, BLOCK)
        bits = np.stack([np.sum((padded >> (energy + 1)) + energy, axis=-1) for energy in ENERGIES])
        best = bits.reshape(-1, blocks).argmin(axis=0)
        self._energies, self._orders = np.divmod(best, len(ORDERS))

    def fields(self, block: int) -> list[np.ndarray]:
        """The fields of one block."""
        order, energy = int(self._orders[block]), int(self._energies[block])
        values = self._folded[order, block * BLOCK : (block + 1) * BLOCK]
        parameters = np.full_like(values, energy + 1)
        return [_field(order, COMMAND_BITS), _field(energy, ENERGY_BITS), np.stack([values, parameters])]


def _field(value: int, bits: int) -> np.ndarray:
    """One Rice-coded number: its value and its parameter, shape (2, 1)."""
    return np.array([[value], [bits]], np.int64)


def _long(value: int) -> np.ndarray:
    """A number that says its own Rice parameter first."""
    return np.concatenate([_field(value.bit_length(), LENGTH_BITS), _field(value, value.bit_length())], axis=1)


def _pack(fields: np.ndarray) -> bytes:
    """Rice codes: as many zeros as the high part says, a one, and the low bits; shape (2, fields)."""
    values, parameters = fields
    high = values >> parameters
    ends = np.cumsum(high + 1 + parameters)
    ones = ends - parameters - 1
    bits = np.zeros(-(-int(ends[-1]) // 32) * 32, np.uint8)  # the stream fills words of 32 bits
    bits[ones] = 1
    for place in range(int(parameters.max())):
        low = parameters > place
        bits[ends[low] - 1 - place] = (values[low] >> place) & 1
    return np.packbits(bits).tobytes()
