"""Keeps count of what is in stock."""

from dataclasses import dataclass, field


class OutOfStock(Exception):
    """Raised when more is taken than there is."""


@dataclass
class Inventory:
    """Amounts in stock, by article number."""

    amounts: dict[str, int] = field(default_factory=dict)

    def add(self, article: str, amount: int) -> None:
        """Puts an amount of an article in stock. The amount must be positive."""
        _require_positive(amount)
        self.amounts[article] = self.amounts.get(article, 0) + amount

    def take(self, article: str, amount: int) -> int:
        """Takes an amount out and returns what is left.

        Raises OutOfStock, and takes nothing, if there is not enough.
        """
        _require_positive(amount)
        left = self.amounts.get(article, 0) - amount
        if left < 0:
            raise OutOfStock(f"{article}: {-left} too few in stock")
        self.amounts[article] = left
        return left

    def running_low(self, threshold: int) -> list[str]:
        """Articles of which fewer than the threshold are left, in alphabetical order."""
        return sorted(article for article, amount in self.amounts.items() if amount < threshold)


def read_delivery(lines) -> Inventory:
    """Reads a delivery note: one line an article, its number and its amount with a space between.

    Empty lines and those that begin with # are skipped.
    """
    inventory = Inventory()
    for line in lines:
        text = line.strip()
        if text and not text.startswith("#"):
            article, amount = text.rsplit(maxsplit=1)
            inventory.add(article, int(amount))
    return inventory


def _require_positive(amount: int) -> None:
    if amount <= 0:
        raise ValueError(f"an amount must be positive, not {amount}")
