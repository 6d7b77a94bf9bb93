"""The gRPC face of payments: parse, load, decide, save, reply."""

from services.payments.servicer.invoices import InvoiceServicer
from services.payments.servicer.ledger import LedgerServicer
from services.payments.servicer.payments import PaymentServicer

__all__ = ["InvoiceServicer", "LedgerServicer", "PaymentServicer"]
