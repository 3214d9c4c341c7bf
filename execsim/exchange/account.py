"""Accounts of the simulated venue: asset -> integer, with reservations for resting orders. Money is never made or lost."""

from __future__ import annotations

from collections import defaultdict

from execsim.core.errors import InternalError


class Account:
    """What one trader holds. `reserved` is the part that resting orders have a claim on, `unsettled` what matches gave
    and the chain has not mined yet, `locked` what a fault keeps from being used. `allowed` is what the venue may still take
    of an asset (trades only: splits and merges are the owner's own doing); an asset that is not there: everything."""

    def __init__(self) -> None:
        self.balances: dict[str, int] = defaultdict(int)
        self.reserved: dict[str, int] = defaultdict(int)
        self.unsettled: dict[str, int] = defaultdict(int)
        self.locked: dict[str, int] = defaultdict(int)
        self.allowed: dict[str, int] = {}

    def free(self, asset: str) -> int:
        """What a new order may use."""
        return self.balances[asset] - self.reserved[asset] - self.unsettled[asset] - self.locked[asset]

    def approved(self, asset: str) -> int | None:
        """What a new order may use of what the venue is allowed to take, beside resting orders; None: no bound."""
        allowed = self.allowed.get(asset)
        return None if allowed is None else allowed - self.reserved[asset]

    def taken(self, asset: str, amount: int) -> None:
        """The venue took `amount` (negative: a trade failed, and it goes back): a bounded allowance is used up."""
        if asset in self.allowed:
            self.allowed[asset] -= amount

    def reserve(self, asset: str, amount: int) -> bool:
        """Claim `amount` of what is free; False (and nothing happens) when there is not enough."""
        if amount > self.free(asset):
            return False
        self.reserved[asset] += amount
        return True

    def release(self, asset: str, amount: int) -> None:
        self.reserved[asset] -= amount
        if self.reserved[asset] < 0:
            raise InternalError(f"reservation of {asset} fell to {self.reserved[asset]}")


class Ledger:
    """Every account of a venue. A transfer debits one and credits another by the same integer: totals are constant.

    `street` is the rest of the market (whoever is on the tape), `fees` what the venue keeps, `mint` the contract that
    turns cash into full sets and back.
    """

    STREET, FEES, MINT = "street", "fees", "mint"

    OWN = frozenset({STREET, FEES, MINT})
    """the venue's own accounts: nobody trades by these names"""

    def __init__(self) -> None:
        self.accounts: dict[str, Account] = defaultdict(Account)
        self.deposited: dict[str, int] = defaultdict(int)

    def __getitem__(self, name: str) -> Account:
        return self.accounts[name]

    def deposit(self, name: str, asset: str, amount: int) -> None:
        """Money from outside; the only way a total changes."""
        self.accounts[name].balances[asset] += amount
        self.deposited[asset] += amount

    def move(self, source: str, target: str, asset: str, amount: int) -> None:
        """Transfer; a negative amount goes the other way."""
        self.accounts[source].balances[asset] -= amount
        self.accounts[target].balances[asset] += amount

    def check(self) -> None:
        """Errors: InternalError when the accounts of an asset do not sum to what was deposited."""
        for asset in sorted({a for account in self.accounts.values() for a in account.balances}):
            total = sum(account.balances[asset] for account in self.accounts.values())
            if total != self.deposited[asset]:
                raise InternalError(f"{asset} is not conserved: {total} held, {self.deposited[asset]} deposited")
