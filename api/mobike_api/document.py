"""The API's description as it is committed: `python -m mobike_api.document` writes it (`make openapi`)."""

import json
import sys

from mobike_api.app import described


def document() -> str:
    """OpenAPI 3.1, in a form that makes a difference easy to read."""
    return json.dumps(described().openapi(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(document())
