"""When a job that failed is tried again."""

from __future__ import annotations

import random
from collections.abc import Collection

from procrastinate.jobs import Job
from procrastinate.retry import BaseRetryStrategy, RetryDecision

from libs.config import JobSettings
from libs.jobs.kinds import GiveUp


class Retry(BaseRetryStrategy):
    """Waits that grow fourfold, with jitter, up to a cap; and an end of trying, but for endless kinds."""

    def __init__(self, settings: JobSettings, endless: Collection[str] = ()) -> None:
        """`endless` are the names of kinds that are tried until they succeed; it may grow."""
        self._settings = settings
        self._endless = endless

    def is_over(self, exception: BaseException, job: Job) -> bool:
        """Whether this was the last try."""
        if isinstance(exception, GiveUp):
            return True
        return self.is_worrying(job) and job.task_name not in self._endless

    def is_worrying(self, job: Job) -> bool:
        """Whether it was tried so often that somebody should look."""
        return job.attempts + 1 >= self._settings.max_attempts

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:
        """How long to wait; None when this was the last try."""
        if self.is_over(exception, job):
            return None
        wait = self._settings.retry_wait * (4 ** min(job.attempts, 20)) * random.uniform(0.8, 1.2)  # noqa: S311
        return RetryDecision(retry_in={"seconds": max(1, round(min(wait, self._settings.retry_cap).total_seconds()))})
