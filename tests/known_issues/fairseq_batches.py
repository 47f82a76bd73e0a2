"""fairseq's `batch_by_size_vec`, written again from its description, and lengths like those of LibriSpeech's 960 hours.

fairseq keeps a complete batch and the tail after it: the tail joins when the sum may be a batch (fewer utterances than the
required multiple, or a multiple of it); when the sum is too large the batch is closed and the tail is the next one; when the
tail is too large too, it is closed without the newest utterance.
"""

import numpy as np


def batch_by_size(sizes: list[int], limit: int, multiple: int) -> list[list[int]]:
    """Batches of places in the ordered `sizes`; `limit` is the padded size of a batch."""
    closed: list[list[int]] = []
    batch: list[int] = []
    tail: list[int] = []

    def padded(places: list[int]) -> int:
        return len(places) * max(sizes[place] for place in places)

    for place in range(len(sizes)):
        tail.append(place)
        together = batch + tail
        if padded(together) > limit:
            closed.append(batch)
            if padded(tail) > limit:
                closed.append(tail[:-1])
                tail = [place]
            batch, tail = tail, []
        elif len(together) < multiple or len(together) % multiple == 0:
            batch, tail = together, []
    return [part for part in (*closed, batch, tail) if part]


def librispeech_like(count: int, seed: int) -> list[int]:
    """Samples of utterances: mean 12.3 s, quartiles 10.6, 14.0 and 15.3 s."""
    shares = np.array([0.0, 0.10, 0.25, 0.50, 0.75, 0.90, 0.99, 1.0])
    seconds = np.array([1.4, 4.3, 10.6, 14.0, 15.3, 15.9, 16.6, 24.5])
    drawn = np.random.default_rng(seed).uniform(size=count)
    return (np.interp(drawn, shares, seconds) * 16_000).astype(int).tolist()
