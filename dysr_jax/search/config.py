"""What the search can be told."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class SearchConfig:
    """NSGA-II over the trained supernet, and the choice of the members."""

    population: int = 64
    """Archs of a generation."""
    generations: int = 12
    """Generations, the random first one included."""
    mutation: float = 0.0
    """Probability that a gene changes; 0 means 1 / slots."""
    crossover: float = 0.9
    """Probability that a child has two parents."""
    patches: int = 16
    """Validation patches on which a candidate's PSNR-Y is computed."""
    patch: int = 32
    """Side of a validation patch, in LR pixels."""
    frame: tuple[int, int] = (180, 320)
    """LR rows and columns of the frame whose latency counts."""
    rounds: int = 15
    """Timed rounds for each latency; the median counts."""
    members: int = 8
    """Sub-graphs of the front that are compiled and measured again; the non-dominated ones are kept."""
    sharing: float = 0.1
    """How much it counts, in choosing members, that neighbours share weights: 0 is hypervolume alone."""
    remeasure: bool = False
    """Measure this device's latency table anew, though an earlier run left one."""
