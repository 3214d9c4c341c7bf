"""The strategy's books and subscriptions, the same in all three modes."""

from execsim.market.books import Books
from execsim.market.ladders import Ladders
from execsim.market.streams import TRADE_QUEUE_MAX

__all__ = ["TRADE_QUEUE_MAX", "Books", "Ladders"]
