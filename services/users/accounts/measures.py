"""What is counted of accounts."""

from __future__ import annotations

from prometheus_client import Counter

_registrations = Counter("bazaruto_user_registrations_total", "Total number of user registrations", ["source"])
registrations_by_call = _registrations.labels("api")
registrations_by_command = _registrations.labels("cli")

_failed_logins = Counter("bazaruto_auth_failed_logins_total", "Log-ins and refreshes that were refused", ["reason"])
failed_logins = {
    reason: _failed_logins.labels(reason)  # there from the start, so that the first failure is an increase
    for reason in ("unknown_email", "wrong_password", "user_disabled", "throttled", "refresh_invalid", "refresh_reused")
}
