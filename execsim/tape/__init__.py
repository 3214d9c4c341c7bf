"""Recorded market data: what a tape is, how it is written, read, merged and checked. Import the modules by name."""
