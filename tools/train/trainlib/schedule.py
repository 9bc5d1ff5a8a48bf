"""The learning rate over a run: a multiplier, piecewise linear in the step between knots.

Warm-up, a plateau and a decay to zero are four knots. A wall-clock budget only moves knots that lie
ahead; the knots that a run ended with are in its log and can be given to another run, which then repeats
it step for step, whatever the speed of its machine.
"""

from dataclasses import dataclass

SAFETY = 0.97
"""Share of the time left that a re-plan fills; the rest is for checkpoints and a slower machine."""
SLACK = 0.03
"""Share of the steps ahead that a re-plan must gain to be worth a new knot."""


@dataclass
class Schedule:
    knots: list[tuple[int, float]]
    """(step, multiplier), steps strictly ascending, the last multiplier 0."""

    @classmethod
    def planned(cls, steps: int, warmup: int, decay: float) -> "Schedule":
        start = max(warmup, round(steps * (1.0 - decay)))
        knots = [(warmup, 1.0), (steps, 0.0)]
        if warmup > 0:
            knots.insert(0, (0, 0.0))
        if start > warmup:
            knots.insert(-1, (start, 1.0))
        return cls(knots)

    @property
    def steps(self) -> int:
        return self.knots[-1][0]

    def multiplier(self, step: int) -> float:
        """Multiplier for step 0, 1, …: taken at the step's middle, so that no step has rate zero."""
        at = step + 0.5
        if at <= self.knots[0][0]:
            return self.knots[0][1]
        for (x0, y0), (x1, y1) in zip(self.knots, self.knots[1:]):
            if at <= x1:
                return y0 + (y1 - y0) * (at - x0) / (x1 - x0)
        return 0.0

    def refit(self, step: int, seconds_left: float, seconds_per_step: float, limit: int):
        """Moves the knots after `step` so that the last one falls when the time is up, or at `limit` if that is sooner.

        What lies ahead shrinks or grows in proportion, and the rate of now stays. A run that gains time grows
        only if it gains more than SLACK.
        """
        fits = min(limit, step + max(1, int(seconds_left * SAFETY / seconds_per_step)))
        ahead_now = self.steps - step
        if ahead_now <= 0 or 0 <= fits - self.steps <= SLACK * ahead_now:
            return
        stretch = (fits - step) / ahead_now
        past = [knot for knot in self.knots if knot[0] < step]
        ahead = [knot for knot in self.knots if knot[0] >= step]
        # The rate now, on the line between the two knots around `step`.
        (x0, y0), (x1, y1) = (past[-1] if past else ahead[0]), ahead[0]
        now = y1 if x1 == x0 else y0 + (y1 - y0) * (step - x0) / (x1 - x0)
        moved = {step: now}
        for x, y in ahead:
            moved[step + round((x - step) * stretch)] = y
        self.knots = past + sorted(moved.items())
