"""The nearest vectors."""
