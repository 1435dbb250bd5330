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

MEASURES = ("mg", "mcg", "g", "ml", "IU", "unit", "mmol", "%")
"""In what an active ingredient is measured; masses are counted together, the others only with their own kind."""

MOST = Decimal(1_000_000)
"""No amount of one dose, box or count is larger; an amount has at most DECIMALS places."""
DECIMALS = 4
