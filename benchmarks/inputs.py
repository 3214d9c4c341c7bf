"""Where the benchmarks find the repository's scenarios and recordings."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
