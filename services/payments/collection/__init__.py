"""Collection: payments of invoices, and the providers that make them."""
