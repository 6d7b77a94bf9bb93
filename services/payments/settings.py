"""What only payments can be set to."""

from __future__ import annotations

from typing import Literal

from libs.config import Section, Settings


class ProviderSettings(Section):
    """The provider that collects money. Outside production the sandbox need not be named."""

    provider: Literal["", "sandbox"]


class PaymentsSettings(Settings):
    """What every process can be set to, and the provider."""

    payments: ProviderSettings
