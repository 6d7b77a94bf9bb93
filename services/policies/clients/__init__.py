"""The services that policies calls: users, quotes and payments. Messages in and out, domain values here."""

from services.policies.clients.payments import Payments
from services.policies.clients.quotes import Quotes
from services.policies.clients.users import Users

__all__ = ["Payments", "Quotes", "Users"]
