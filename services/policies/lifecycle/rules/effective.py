"""The days on which a change of a policy may take effect."""

from __future__ import annotations

from libs.errors import Invalid, Refused


class EffectiveDateInvalid(Invalid):
    """The change cannot take effect on that day: it can from `earliest` to `latest`."""

    reason = "EFFECTIVE_DATE_INVALID"


class BackDating(Refused):
    """The change would take effect more days ago than the caller may back-date."""

    reason = "BACKDATING"
