"""`gateway evaluate incident`: how well different citizens with one cause are brought together, on texts of one's own."""

from __future__ import annotations

from rich.console import Console

from gateway.commands.evaluate_pairs import Asked, bar, errors, nothing_known, tell, write
from gateway.gathering import gather, judge, near
from gateway.labelled import read_labels, read_messages
from gateway.measure_incidents import by_incident, cluster, incident, labelled_pairs, met_pairs, shape


def evaluate_incident(asked: Asked, out: Console, err: Console) -> int:
    """Bring together what has one cause, and judge the labelled pairs of different senders. Raises Unusable."""
    messages = read_messages(asked.messages)
    labels = None if asked.gold is None else read_labels(asked.gold, messages)
    with bar(err, "reading", len(messages)) as progress:
        gathered = gather(messages, asked.days, progress)
    with bar(err, "bringing together", len(messages)) as progress:
        incidents = cluster(gathered, progress)
    if labels is None:
        found = by_incident(incidents, judge(gathered, met_pairs(gathered)))
        told = nothing_known(gathered, write(asked, gathered, found))
    else:
        pairs, n = labelled_pairs(gathered, incidents, labels)
        kept = near(gathered, pairs, asked.days)
        left_out = len(pairs) - len(kept)
        judged = list(by_incident(incidents, judge(gathered, kept)))
        write(asked, gathered, judged)
        told = incident(judged, n - left_out) | {"left_out": left_out} | errors(gathered, judged)
    return tell("One incident", gathered, told | shape(incidents), asked, out)
