"""A local vendor that keeps the contract."""
