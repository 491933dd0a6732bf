"""Contracts: what a table promises, and the audit that checks it."""
