"""A shop that sends its invoices in the background."""
