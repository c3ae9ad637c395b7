"""Counters and gauges for Prometheus, named by CONTRACT.md. No label ever holds anything a citizen wrote."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

ACK_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 4.5, 5)


class Metrics:
    """One registry per gateway, so that two in one process do not mix."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.envelopes = self._counter("hotline_envelopes", "Envelopes kept.", "channel")
        self.outcomes = self._counter("hotline_outcomes", "Final outcomes.", "channel", "outcome")
        self.refused = self._counter(
            "hotline_refused_requests", "Requests refused at the door: nothing kept.", "channel", "reason"
        )
        self.flagged = self._counter("hotline_flagged_envelopes", "Envelopes with an oddity.", "channel", "flag")
        self.ack_seconds = Histogram(
            "hotline_ack_seconds",
            "From the last byte in to the acknowledgement, seconds.",
            ["channel"],
            registry=self.registry,
            buckets=ACK_BUCKETS,
        )
        self.pipeline_seconds = self._histogram(
            "hotline_pipeline_seconds", "From arrival to the final outcome, seconds."
        )
        self.handoff_seconds = self._histogram("hotline_handoff_seconds", "From event to delivery, seconds.")
        self.replies = self._counter("hotline_replies", "Replies handed to a channel.", "channel", "result")
        self.files = self._counter("hotline_files", "Files held, by the scanner's verdict.", "channel", "scan")
        self.pending = self._gauge("hotline_pending_envelopes", "Pieces of work waiting in the pipeline.")
        self.copy_waiting = self._labelled("hotline_copy_waiting", "Events waiting for another sink.", "sink")
        self.waiting = self._gauge("hotline_handoff_waiting", "Events waiting for the core.")
        self.sink_paused = self._labelled("hotline_sink_paused", "1 while a sink is away and is only tried.", "sink")
        self.journaled = self._gauge("hotline_journal_envelopes", "Kept beside the database, which is away.")
        self.away = self._gauge("hotline_store_away", "1 while this node cannot work on the database.")
        self.full = self._gauge("hotline_disk_full", "1 while nothing is accepted because the disk is full.")
        self.progress = self._labelled(
            "hotline_channel_last_progress_timestamp_seconds",
            "When the channel last delivered anything or, where it polls, last looked with success, Unix time.",
            "channel",
        )

    def exposition(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self.registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str) -> Histogram:
        return Histogram(name, text, registry=self.registry)

    def _labelled(self, name: str, text: str, label: str) -> Gauge:
        return Gauge(name, text, [label], registry=self.registry)

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(name, text, registry=self.registry)
