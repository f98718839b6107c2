"""Findings: what the analyzer says of a session, linked to its steps and calls."""

from __future__ import annotations

from typing import Any

from ctxplug.inspector.words import Words
from ctxplug.tracing.analysis import Analysis
from ctxplug_server.viewing.held import Held
from ctxplug_server.viewing.jobs import Job, Jobs
from ctxplug_server.viewing.steps import places_of
from ctxplug_server.viewing.telling import bounded

__all__ = ["PENDING", "findings"]

PENDING = {"pending": True}
MOST = 500


def findings(held: Held, jobs: Jobs, agent: str | None, lang: str) -> dict[str, Any]:
    """Return the findings of a session, or that they are being looked for."""
    held.read()
    outline, steps = held.outline, held.steps
    key = "findings", agent, held.stream, held.begun, outline.head, len(steps)

    def make(job: Job) -> Analysis:
        job.progress(0)
        return held.reading.analysis(outline, steps)

    job = jobs.ask(key, 1, make)
    if not job.ended.is_set():
        return {**PENDING, "done": job.done, "of": job.of}
    words, calls = Words(lang), places_of(held)
    found = [
        {
            **bounded(finding.to_dict()),
            "steps": list(finding.steps[:MOST]),
            "versions": list(finding.versions[:MOST]),
            "label": words.known("finding", finding.kind),
            "calls": sorted({calls[id] for id in finding.steps if id in calls}),
        }
        for finding in job.result.findings[:MOST]
    ]
    return {
        "pending": False,
        "total": len(job.result.findings),
        "findings": found,
        "notes": list(job.result.notes),
    }
