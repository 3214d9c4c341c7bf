"""Orders that have left memory, read back from the journal: an order's rows, folded."""

from __future__ import annotations

from execsim.core.errors import ExecError, JournalError
from execsim.core.order import OrderId
from execsim.engine.fold import fold
from execsim.engine.track import Entry
from execsim.engine.view import LiveView
from execsim.ports import OrderArchive


class JournalledOrders:
    """Answers from a journal that can be asked about one order. Each answer is read anew: a look-up in an index."""

    def __init__(self, archive: OrderArchive, view: LiveView) -> None:
        self._archive = archive
        self._view = view

    def entry(self, order_id: OrderId) -> Entry | None:
        """The order with its fills as its rows tell; None when the journal has none. Errors: JournalError."""
        rows = self._archive.rows_of(order_id)
        try:
            folded = fold(rows, self._view.instruments)
        except ExecError as error:
            raise JournalError(f"journal, order {order_id}", error.message) from error
        return folded.tracker.find(order_id)
