"""How far other clocks are from ours: those of panels, and of servers that messages go to."""

from dosette.metrics import gauge

difference = gauge(
    "dosette_clock_difference_seconds", "How far another clock is from ours, as it was last seen", ("source",)
)
