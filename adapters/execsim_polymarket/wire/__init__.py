"""The venue's messages as frozen dataclasses, read and written in both directions: `values` (how numbers, hashes and sides
are written; `Codec`), `account`, `trading`, `markets` (REST), `channels` (WebSocket)."""
