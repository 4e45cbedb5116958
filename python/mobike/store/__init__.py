"""What must survive the process, in a database of one file: sealed IKE SAs, inner addresses, accounts.

It knows rows, not what is in them.

key         the key that seals them: from the environment, from a file, or made at first start
base        how each of these files is opened
archive     configurations that were in force, sealed, in a file of its own
database    SQLite in WAL mode; one process at a time; every row is taken once
"""

from mobike.store.archive import Archive, Revision, Seal, Standing
from mobike.store.database import Account, Lease, Row, Store
from mobike.store.key import KEY_OCTETS, store_key
from mobike.store.trouble import InUse, StoreError

__all__ = [
    "KEY_OCTETS",
    "Account",
    "Archive",
    "InUse",
    "Lease",
    "Revision",
    "Row",
    "Seal",
    "Standing",
    "Store",
    "StoreError",
    "store_key",
]
