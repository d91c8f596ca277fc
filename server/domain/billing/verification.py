"""Verification: what a cache should say, beside what it says."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The first difference of one thing: what it is, its name, what was due and what is there."""

    what: str
    name: str
    expected: str
    found: str

    def __str__(self) -> str:
        return f"{self.name}: {self.what} is {self.found}, should be {self.expected}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What was looked at, and what differed."""

    accounts: int = 0
    wallets: int = 0
    entries: int = 0
    records: int = 0
    findings: tuple[Difference, ...] = ()

    def __add__(self, other: "Verified") -> "Verified":
        return Verified(
            accounts=self.accounts + other.accounts,
            wallets=self.wallets + other.wallets,
            entries=self.entries + other.entries,
            records=self.records + other.records,
            findings=self.findings + other.findings,
        )
