"""How tape rows look in memory: columns while reading, one int64 matrix once merged. Shared with the kernel."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

Columns = dict[str, npt.NDArray[Any]]
"""Column name of schema.COLUMNS -> array; all of one length."""

Ints = npt.NDArray[np.int64]

TS_VENUE, TS_LOCAL, MARKET, KIND, SIDE, PRICE, SIZE, SEQ = range(8)
"""Columns of a merged row. KIND is kind | flags << KIND_BITS; SIDE is a SideCode (the aggressor's for a trade); MARKET
is an index of the run's market table; SEQ is source index << SOURCE_SHIFT | seq of that tape: unique in a run."""

WIDTH: Final = 8
"""Columns of a merged row."""

BIRTH: Final = 8
"""One column more, only where asked for (merge.merged): order_id of the tape, which FIFO queues need."""

KIND_BITS: Final = 8
SOURCE_SHIFT: Final = 40
"""Bits of SEQ below the source index: a tape may hold 2**40 rows."""

END_NS: Final = 2**63 - 1
"""Watermark of the last chunk of a merge: nothing follows (the same instant as ports.NEVER)."""
