"""What the metrics of a run must be, counted over its journal and nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from execsim.engine.metrics import Metrics

Row = tuple[str, int, str, Mapping[str, Any]]
"""(kind, ts_ns, order id, body)"""
Labels = tuple[str, str, str]

KINDS = {"intent": "orders_placed", "refuse": "orders_rejected", "lapse": "orders_expired", "fill": "fills"}
TOLD = {*KINDS.values(), "orders_filled", "orders_cancelled", "risk_rejections"}
"""Counters that can be told from a journal."""


class Counted:
    """Counters and sums of stages (ns) by (name, labels)."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self.counts: Counter[tuple[str, Labels]] = Counter()
        self.stages: Counter[tuple[str, Labels]] = Counter()
        self.stage_ns: Counter[tuple[str, Labels]] = Counter()
        self.ended_by_fill: Counter[Labels] = Counter()
        """orders of which a part had failed: a fill may have been their end, and the row does not say so"""
        self.amends_refused: Counter[Labels] = Counter()
        """some of them by risk: the row does not say so"""
        self._labels: dict[str, Labels] = {}
        self._created: dict[str, int] = {}
        self._sent: dict[str, int] = {}
        self._acked: dict[str, int] = {}
        self._heard: set[str] = set()
        self._filled: set[str] = set()
        self._complete: set[str] = set()
        self._voided: set[str] = set()
        for row in rows:
            self._add(*row)

    def _add(self, kind: str, ts_ns: int, order_id: str, body: Mapping[str, Any]) -> None:
        if "created_ns" in body:
            self._labels[order_id] = (body["venue"], body["market"], body["side"])
            self._created[order_id] = body["created_ns"]
        if not order_id or order_id not in self._labels:
            return
        labels = self._labels[order_id]
        if kind in KINDS:
            self.counts[(KINDS[kind], labels)] += 1
        if kind == "refuse" and body["error"] == "RiskRejected":
            self.counts[("risk_rejections", labels)] += 1
        self.amends_refused[labels] += kind == "amend_refuse"
        if kind == "gone":
            self.counts[("orders_cancelled", labels)] += 1
        elif kind == "void":
            self._voided.add(order_id)
            self._complete.discard(order_id)
        elif kind == "found":
            self._heard.add(order_id)
        elif kind == "intent":
            self._sent[order_id] = ts_ns
            self._stage("throttle", labels, ts_ns - self._created[order_id])
        elif kind == "ack" and order_id not in self._heard:
            self._heard.add(order_id)
            self._acked[order_id] = ts_ns
            self._stage("send_ack", labels, ts_ns - self._sent[order_id])
            self._stage("total", labels, ts_ns - self._created[order_id])
            if order_id in self._filled:
                self._stage("ack_fill", labels, 0)
        elif kind == "fill":
            if body["done"] and order_id not in self._complete:
                # a fill that was overtaken by the last one comes to an order that is filled
                self._complete.add(order_id)
                self.counts[("orders_filled", labels)] += 1
            if order_id not in self._filled and order_id in self._acked:
                self._stage("ack_fill", labels, ts_ns - self._acked[order_id])
            self._filled.add(order_id)
            self.ended_by_fill[labels] += order_id in self._voided

    def _stage(self, stage: str, labels: Labels, ns: int) -> None:
        self.stages[(stage, labels)] += 1
        self.stage_ns[(stage, labels)] += ns


def differences(metrics: Metrics, rows: Iterable[Row]) -> list[str]:
    """Where the metrics are not what the journal says; empty when all is well."""
    expected = Counted(rows)
    counts: Counter[tuple[str, Labels]] = Counter()
    stages: Counter[tuple[str, Labels]] = Counter()
    stage_ms: dict[tuple[str, Labels], float] = {}
    for row in metrics.labelled():
        name, labels = row["metric_name"].removeprefix("exec."), row["labels"]
        if name == "latency_ms":
            key = (labels["stage"], (labels["venue"], labels["market"], labels["side"]))
            stages[key], stage_ms[key] = row["value"]["count"], row["value"]["sum"]
        elif name in TOLD:
            counts[(name, (labels["venue"], labels["market"], labels["side"]))] = row["value"]
    wrong = []
    for key in {*counts, *expected.counts}:
        name, labels = key
        low = high = expected.counts[key]
        if name == "orders_cancelled":
            high += expected.ended_by_fill[labels]
        if name == "risk_rejections":
            high += expected.amends_refused[labels]
        if not low <= counts[key] <= high:
            wrong.append(f"{name} {labels}: {counts[key]}, the journal says {low} to {high}")
    for key in {*stages, *expected.stages} - {k for k in stages if k[0] in ("validate", "risk")}:
        if stages[key] != expected.stages[key] or abs(stage_ms[key] - expected.stage_ns[key] / 1e6) > 1e-6:
            said = f"{expected.stages[key]} of {expected.stage_ns[key]} ns"
            wrong.append(f"stage {key}: {stages[key]} of {stage_ms.get(key)} ms, the journal says {said}")
    return wrong
