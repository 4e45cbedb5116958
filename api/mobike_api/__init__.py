"""The management API of mobike: FastAPI over `mobike.facade`."""
