# SPDX-License-Identifier: Apache-2.0
"""Databases as servers of an earlier schema left them."""
import hashlib
import os
import sqlite3

MIGRATIONS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "migrations")


def make(path, version):
    """An open database of this schema, to be filled, committed and closed."""
    d = sqlite3.connect(path)
    d.execute("PRAGMA application_id = 0x51524e31")
    d.execute("PRAGMA journal_mode = WAL")
    d.execute("CREATE TABLE schema_migration (version INTEGER PRIMARY KEY, name TEXT NOT NULL, "
              "sha256 TEXT NOT NULL, applied_ms INTEGER NOT NULL) STRICT")
    for name in sorted(os.listdir(MIGRATIONS))[:version]:
        with open(os.path.join(MIGRATIONS, name), "rb") as f:
            sql = f.read()
        d.executescript(sql.decode())
        d.execute("INSERT INTO schema_migration VALUES (?, ?, ?, 0)",
                  (int(name[:4]), name[:-4], hashlib.sha256(sql).hexdigest()))
    d.execute(f"PRAGMA user_version = {version}")
    return d
