"""Group commit: who must be on disk waits, and everybody who waits at one moment shares one sync.

    write row ──▶ kick()                     a task commits soon, nobody waits for it
    write intent ──▶ await durable() ──▶ send    the first to wait commits for all; who comes meanwhile shares the next one

In virtual time a commit is made on the spot, so that nobody gives way: the order of events is that of a journal that need
not be on disk, and so is the hash.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from execsim.core.errors import JournalError
from execsim.ports import Journal, Pending, Runtime

log = logging.getLogger("execsim.engine")


class Committer:
    """Commits of one journal. `waits`: whether an intent must be on disk before it is sent (mode full); where it is False
    nothing here ever does or awaits anything. `on_failure` is told once when the disk failed; from then on `durable` raises.
    """

    def __init__(self, runtime: Runtime, journal: Journal | None, on_failure: Callable[[JournalError], None]) -> None:
        self.waits = journal is not None and journal.durable
        self._runtime = runtime
        self._journal = journal
        self._on_failure = on_failure
        self._written = 0
        self._safe = 0
        """rows written, and how many of them are on disk"""
        self._running: Pending[None] | None = None
        self._kicked = False
        self._error: JournalError | None = None

    def kick(self) -> None:
        """A row was written: have it on disk soon."""
        if not self.waits:
            return
        self._written += 1
        if not self._kicked:
            self._kicked = True
            self._runtime.spawn(self._soon(), "journal commit", daemon=True)

    async def durable(self) -> None:
        """Return when everything written before this call is on disk. Errors: JournalError, to everybody who waits."""
        if not self.waits:
            return
        target = self._written
        while self._safe < target:
            if self._error is not None:
                raise self._error
            if self._running is None:
                await self._commit()
            else:
                await self._running

    async def _soon(self) -> None:
        try:
            while self._safe < self._written:
                await self.durable()
        except JournalError as error:  # `on_failure` has heard of it: nothing is sent any more
            log.error("%s", error)
        finally:
            self._kicked = False

    async def _commit(self) -> None:
        """Commit for everybody. If this task is cancelled meanwhile, the next in line commits again, after it."""
        assert self._journal is not None
        covered = self._written
        self._running = done = self._runtime.pending("commit of the journal")
        try:
            await self._runtime.blocking(self._journal.flush)
            self._safe = covered
        except JournalError as error:
            self._error = error
            self._on_failure(error)
            raise
        finally:
            self._running = None
            done.set(None)
