"""What is taken: the words for a medicine's form, and the bounds of its numbers."""

from decimal import Decimal

FORMS = (
    "tablet",
    "capsule",
    "drops",
    "syrup",
    "inhaler",
    "injection",
    "patch",
    "cream",
    "suppository",
    "powder",
    "spray",
    "other",
)

MOST = Decimal(1_000_000)
"""No amount of one dose, box or count is larger; an amount has at most DECIMALS places."""
DECIMALS = 4
