"""The ledger: which row of docs/requirements.md is proven by which test."""
