"""The configuration of the whole suite: what every process has, and the sections that single services add to it."""

from __future__ import annotations

from libs.config import load_as
from services.payments.settings import PaymentsSettings


class SuiteSettings(PaymentsSettings):
    """Everything that can be set."""


def load_suite() -> SuiteSettings:
    """Read and check every key, as the services would. `ConfigError` names every wrong one."""
    return load_as(SuiteSettings)
