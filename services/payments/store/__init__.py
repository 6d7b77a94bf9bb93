"""What payments keeps: tables, the way from rows to domain values and back, and functions that never commit."""

from services.payments.store import billing, invoices, ledger, payments

__all__ = ["billing", "invoices", "ledger", "payments"]
