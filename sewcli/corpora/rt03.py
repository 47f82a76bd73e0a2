"""RT-03S, the telephone part of NIST's Rich Transcription test of spring 2003, English: LDC2007S10. To develop on.

Utterances are the segments of data/references/eval03/english/cts/*.stm, which call the sides 1 and 2 and mark the gaps between
segments, as in Kaldi. Nothing else of the disc (broadcast news, Arabic, Mandarin) is read. lhotse has no recipe for it.
"""

from __future__ import annotations

import re
from pathlib import Path

from sewcli.corpora.calls import Marks
from sewcli.corpora.hub5 import TelephoneTest, find_test
from sewcli.corpora.utterances import Published, Split

SPLIT = "dev-rt03"
TITLE = "RT-03S (LDC2007S10)"
# What sclite counts: 8420 segments of 72 calls, 39436 words of Switchboard Cellular (sw_) and 36721 of Fisher (fsh_).
PUBLISHED = Published(8420, 6.3, 144, parts={"sw_": 4450, "fsh_": 3970})
MARKS = Marks(r"LDC2007S10|^rt-?03s?$", r"(?:sw|fsh)_\d{5}\.sph")
TEST = TelephoneTest(
    split=SPLIT,
    marks=MARKS,
    audio=re.compile(r"(?i)((?:sw|fsh)_\d{5})\.sph"),
    references=re.compile(r"(?i).*\.stm"),
    below="english/cts",
    spellings=re.compile(r"(?i)en20030506\.glm"),
    numbers=("its data/audio/eval03/english/cts", "its data/references/eval03/english/cts"),
    published=PUBLISHED,
)


def find_splits(corpus: Path) -> list[Split]:
    """The split `dev-rt03`; none when nothing of it is below `corpus`.

    Raises:
        UsageError: only its audio or only its references are there.
    """
    return find_test(corpus, TEST)
