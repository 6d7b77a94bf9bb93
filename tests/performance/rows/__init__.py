"""The rows of the benchmark, in the order of the table: a module each, and what it measures in a sentence.

A module is imported when its turn comes, so that one that cannot be imported does not keep the others from being
measured. It has `measure(bench)`, which gives the figures of the row.
"""

from __future__ import annotations

ROWS = {
    "reading": "GET /v1/policies/{id}: 1,000 policies read by their 100 owners; CPU of every process, PostgreSQL too",
    "timeline": "the same read for what it says of the timeline, and as it was known at a moment; CPU of every process",
    "gateway": "the same read; CPU of the front alone, however many requests the service behind it lets through",
    "half-load": "the same read, by callers who come at half of the rate that each was seen to answer",
    "chain": "GetPolicy over gRPC; CPU of the policies service alone, against its servicer with nothing around it",
    "telemetry": "the read with logs, metrics and 10 % of the traces, CPU of gateway and policies; the page of metrics",
    "workers": "the read with two workers of gateway and policies against one of each, on all cores",
    "writes": "PATCH /v1/users/me with an idempotency key and without; CPU of every process, PostgreSQL too",
    "purchases": "quote, accept, issue, pay until in force, four customers at a time; CPU of every process",
    "changes": "previewing a cancellation, changing a policy and billing that, against the read; CPU of every process",
    "lapses": "purchases while 10,000 policies lapse, four customers at a time, against the same purchases alone",
    "jobs": "jobs that wait 20 ms, with two workers against one, as they are configured by default",
    "rating": "the price of a motor risk with nothing around it, against the same formula as one plain function",
    "books": "the trial balance of 1,000,000 postings, as of a day and of a moment of booking, over HTTP",
    "rate-changes": "100,000 stored quotes rated again with a version of their product; CPU and memory of the process",
    "nightly": "earning, dunning and comparing 20,000 policies in a night, and offering 1,000, against a tenth of them",
    "memory": "PSS of each process after the rows before: what it has to itself, and its share of what it shares",
    "starting": "CPU of importing each main in a new interpreter, against importing the libraries alone",
    "restarting": "every process replaced at a hundred requests a second, against the same load left alone",
    "recovery": "a server with many rows is lost and comes back to a moment, against the time of writing the rows",
    "nights": "the same runs over 100,000 policies against 10,000; CPU and memory",
    "growth": "reads and lists with 1,000,000 policies against 1,000; CPU of every process, PostgreSQL too",
}
SEPARATE = ("nights", "growth")
"""Rows that run only when they are named: they take longer than all others together."""
