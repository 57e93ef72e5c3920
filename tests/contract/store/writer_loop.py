"""The child of the kill test: writes for ever and says what was acknowledged. Run as `python writer_loop.py URL [PASSWORD_FILE]`."""

from __future__ import annotations

import sys
from itertools import count

from aiops.adapters.store import open_store
from aiops.domain.execution import EntryKind, JournalEntry
from aiops.ports.storage import Changes
from tests.contract.store.shapes import decision, execution, incident


def changes(number: int) -> Changes:
    """One transaction over several tables; all of it carries the number."""
    return Changes(
        incidents=(incident(number),),
        executions=(execution(number),),
        entries=tuple(JournalEntry(f"exe-{number}", EntryKind.INTENT, float(n)) for n in range(3)),
        decisions=tuple(decision(1000.0 * number, subject=str(n), detail=str(number)) for n in range(5)),
        values={"last": number},
    )


def main() -> None:
    store = open_store(sys.argv[1], password_file=sys.argv[2] if len(sys.argv) > 2 else "")
    for number in count(1):
        store.write(changes(number))
        print(number, flush=True)


if __name__ == "__main__":
    main()
