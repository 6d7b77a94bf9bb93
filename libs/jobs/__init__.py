"""Background jobs on procrastinate, in the service's own database.

A job is deferred inside the transaction of the fact that it follows from, so that neither is ever there without
the other. It runs at least once: handlers are written so that a second run changes nothing.
"""

from libs.jobs.deferring import defer
from libs.jobs.kinds import QUEUES, GiveUp, JobKind, Nothing, UnknownQueue, required
from libs.jobs.measures import count, observe
from libs.jobs.runner import JobRunner

__all__ = [
    "QUEUES",
    "GiveUp",
    "JobKind",
    "JobRunner",
    "Nothing",
    "UnknownQueue",
    "count",
    "defer",
    "observe",
    "required",
]
