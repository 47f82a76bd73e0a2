"""Hub5 2000 English, the test of Switchboard and CallHome calls: LDC2002S09 (audio) and LDC2002T43 (references).

Utterances are the segments of `hub5e00.english.000405.stm`, as in Kaldi. lhotse's recipe takes them from the transcripts
`reference/english/*.txt`: other segments (4473 of them), words that scoring does not know, and each disc at one certain level.
"""

from __future__ import annotations

import re
from pathlib import Path

from sewcli.corpora.calls import Marks
from sewcli.corpora.hub5 import TelephoneTest, find_test
from sewcli.corpora.utterances import Published, Split

SPLIT = "test-eval2000"
TITLE = "Hub5 2000 English (LDC2002S09, LDC2002T43)"
# What sclite counts: 4459 segments of 40 calls, 21395 words of Switchboard (sw_) and 21594 of CallHome (en_).
PUBLISHED = Published(4459, 3.6, 80, parts={"sw_": 1831, "en_": 2628})
MARKS = Marks(
    r"LDC2002S09|LDC2002T43|^hub5e_00$|^2000_hub5_eng_eval_tr$",
    r"hub5e_00\.pem|(?:sw|en)_\d{4}\.sph|hub5e00\.english\.000405\.stm",
)
TEST = TelephoneTest(
    split=SPLIT,
    marks=MARKS,
    audio=re.compile(r"(?i)((?:sw|en)_\d{4})\.sph"),
    references=re.compile(r"(?i)hub5e00\.english\.000405\.stm"),
    spellings=re.compile(r"(?i)en20000405_hub5\.glm"),
    numbers=("LDC2002S09 (sw_4390.sph and others)", "LDC2002T43 (hub5e00.english.000405.stm)"),
    published=PUBLISHED,
)


def find_splits(corpus: Path) -> list[Split]:
    """The split `test-eval2000`; none when nothing of it is below `corpus`.

    Raises:
        UsageError: only its audio or only its references are there.
    """
    return find_test(corpus, TEST)
