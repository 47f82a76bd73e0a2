"""The types of `import sewcli`, whose names come from `sewcli.api` when they are first used."""

from sewcli.api import (
    DataError as DataError,
)
from sewcli.api import (
    PartialError as PartialError,
)
from sewcli.api import (
    Recogniser as Recogniser,
)
from sewcli.api import (
    Segment as Segment,
)
from sewcli.api import (
    SewError as SewError,
)
from sewcli.api import (
    UsageError as UsageError,
)
from sewcli.api import (
    Word as Word,
)
from sewcli.api import (
    align as align,
)
from sewcli.api import (
    decode as decode,
)
from sewcli.api import (
    finetune as finetune,
)
from sewcli.api import (
    load as load,
)
from sewcli.api import (
    prepare as prepare,
)
from sewcli.api import (
    pretrain as pretrain,
)
from sewcli.api import (
    score as score,
)

__version__: str
__all__: list[str]
