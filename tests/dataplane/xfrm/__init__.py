"""The kernel's data plane: against a model, against this machine's kernel, and in the lab against one with ESP."""
