-- The record of a run. Append-only: rows are never changed or removed.
CREATE TABLE events (
    seq      INTEGER PRIMARY KEY,  -- 1, 2, 3, ... in the order written
    ts_ns    INTEGER NOT NULL,     -- the run's clock, ns
    kind     TEXT    NOT NULL,
    order_id TEXT    NOT NULL,     -- '' where no order is concerned
    body     TEXT    NOT NULL      -- canonical JSON: keys sorted, no spaces, ASCII, no floats (money is a decimal string)
) STRICT;

-- schema_version, created_by. Not part of the digest: two versions that trade alike have the same one.
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;
