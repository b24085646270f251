"""What can be wrong with data: rows that cannot be used, and failures that name their remedy."""

from __future__ import annotations

from tunesmith_api.plan import BadRow
from tunesmith_api.protocol import Failure, Reason

LISTED = 20
TOLERATED = 0.05


def invalid(message: str, remedy: str) -> Failure:
    """The data cannot be used as it is."""
    return Failure(Reason.DATASET_INVALID, message, remedy)


class BadRows:
    """Counts the rows of one set that cannot be used and keeps the first 20; the policy decides what follows."""

    def __init__(self, field: str, policy: str) -> None:
        self._field = field
        self._fail = policy == "fail"
        self.count = 0
        self.examples: list[BadRow] = []

    def add(self, file: str, rows: list[tuple[int, str]]) -> None:
        """Note rows of a file; fails once 20 are found and the policy is to fail."""
        self.count += len(rows)
        room = LISTED - len(self.examples)
        self.examples += [BadRow(file=file, line=line, reason=reason) for line, reason in sorted(rows)[:room]]
        if self._fail and self.count >= LISTED:
            raise self._failure(f"at least {self.count} rows cannot be used; the first {LISTED}")

    @property
    def fatal(self) -> bool:
        """Whether the set is already lost, so that only further bad rows are of interest."""
        return self._fail and self.count > 0

    def judge(self, good: int) -> None:
        """Apply the policy after the last row."""
        share = self.count / max(1, self.count + good)
        if self.fatal:
            raise self._failure("1 row cannot be used" if self.count == 1 else f"{self.count} rows cannot be used")
        if share > TOLERATED:
            message = f"{self.count} of {self.count + good} rows ({share:.1%}) cannot be used, more than the 5 % that onBadRow: skip allows"
            raise self._failure(message, "Fix these rows.")

    def _failure(self, what: str, remedy: str = "Fix these rows, or leave out up to 5 % with spec.dataset.onBadRow: skip.") -> Failure:
        listed = "".join(f"\n  {row.file}:{row.line}: {row.reason}" for row in self.examples)
        return invalid(f"{self._field}: {what}:{listed}", remedy)
