"""How much slower one core of a small board is than one of this machine, by a score that was published for such a board.

The score is an n-body simulation in plain Python: the interpreter that the product runs on, no library, no input or output.
"""

import math
import time
from dataclasses import dataclass
from itertools import combinations

STEPS, TRIES = 40_000, 5
DT = 0.01
SOLAR_MASS = 4 * math.pi**2
DAYS_PER_YEAR = 365.24
# Position (AU), velocity (AU a day), mass (of the sun's): Jupiter, Saturn, Uranus, Neptune, as in the benchmark game's n-body.
PLANETS = (
    (
        (4.84143144246472090, -1.16032004402742839, -0.103622044471123109),
        (0.00166007664274403694, 0.00769901118419740425, -0.0000690460016972063023),
        0.000954791938424326609,
    ),
    (
        (8.34336671824457987, 4.12479856412430479, -0.403523417114321381),
        (-0.00276742510726411577, 0.00499852801234917238, 0.0000230417297573763929),
        0.000285885980666130812,
    ),
    (
        (12.8943695621391310, -15.1111514016986312, -0.223307578892655734),
        (0.00296460137564761618, 0.00237847173959480950, -0.0000296589568540237556),
        0.0000436624404335156298,
    ),
    (
        (15.3796971148509165, -25.9193146099879641, 0.179258772950371181),
        (0.00268067772490389322, 0.00162824170038242295, -0.0000951592254519715870),
        0.0000515138902046611451,
    ),
)

Body = tuple[list[float], list[float], float]


@dataclass(frozen=True)
class Score:
    """One core's, in steps a second; what is known of the board's lies between low and high."""

    name: str
    unit: str
    here: float
    there: float
    there_low: float
    there_high: float
    source: str

    @property
    def slowdown(self) -> float:
        """So many times slower is one core of the board."""
        return self.here / self.there

    def told(self) -> dict[str, object]:
        """As the results hold it."""
        return {
            "score": self.name,
            "unit": self.unit,
            "here": round(self.here),
            "there": self.there,
            "there_low": self.there_low,
            "there_high": self.there_high,
            "slowdown": round(self.slowdown, 2),
            "slowdown_low": round(self.here / self.there_high, 2),
            "slowdown_high": round(self.here / self.there_low, 2),
            "source": self.source,
        }


def steps_per_s(steps: int = STEPS, tries: int = TRIES) -> float:
    """Of this machine, by CPU time: the best of some tries, for what disturbs makes it slower and never faster."""
    return max(_once(steps) for _ in range(tries))


def _once(steps: int) -> float:
    bodies = solar_system()
    began = time.process_time()
    advance(bodies, steps)
    return steps / (time.process_time() - began)


def solar_system() -> list[Body]:
    """Sun and planets: place, speed, mass; the sun moves so that nothing drifts away."""
    planets = [
        (list(place), [each * DAYS_PER_YEAR for each in speed], mass * SOLAR_MASS) for place, speed, mass in PLANETS
    ]
    drift = [-sum(speed[axis] * mass for _, speed, mass in planets) / SOLAR_MASS for axis in range(3)]
    return [([0.0, 0.0, 0.0], drift, SOLAR_MASS), *planets]


def advance(bodies: list[Body], steps: int, dt: float = DT) -> None:
    """Moves them: every pair pulls at each other, then everyone moves on.

    Places are unpacked, as the program behind the published figure does: another way to write it has another score.
    """
    pairs = list(combinations(bodies, 2))
    for _ in range(steps):
        for ([x, y, z], speed, mass), ([other_x, other_y, other_z], other_speed, other_mass) in pairs:
            dx = x - other_x
            dy = y - other_y
            dz = z - other_z
            pull = dt * ((dx * dx + dy * dy + dz * dz) ** (-1.5))
            ours = other_mass * pull
            theirs = mass * pull
            speed[0] -= dx * ours
            speed[1] -= dy * ours
            speed[2] -= dz * ours
            other_speed[0] += dx * theirs
            other_speed[1] += dy * theirs
            other_speed[2] += dz * theirs
        for place, (vx, vy, vz), _mass in bodies:
            place[0] += dt * vx
            place[1] += dt * vy
            place[2] += dt * vz


def energy(bodies: list[Body]) -> float:
    """Of motion, less that of gravity: what tells whether `advance` is right."""
    moving = sum(mass * sum(each**2 for each in speed) / 2 for _, speed, mass in bodies)
    bound = sum(one[2] * other[2] / math.dist(one[0], other[0]) for one, other in combinations(bodies, 2))
    return moving - bound
