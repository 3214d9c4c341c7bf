"""The venue's side of Polymarket's protocol: what `execsim serve --dialect polymarket` speaks. Sans-IO."""

from execsim_polymarket.dialect.dialect import PolymarketDialect

__all__ = ["PolymarketDialect"]
