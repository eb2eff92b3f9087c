"""The four ways to fuse. Each maps preprocessed features of all modalities to the output.

early         features side by side -> one shared encoder -> head
late          encoders -> a head each -> weighted sum of the outputs
hybrid        encoders -> everybody attends to everybody -> head, plus the late sum as residual
hierarchical  encoders -> attention within pairs, then groups of four, …, then all -> head
"""

from __future__ import annotations

from .config import FusionStrategy
from .early import EarlyFusion
from .encoded_fusion import EncodedFusion
from .hierarchical import HierarchicalFusion
from .hybrid import HybridFusion
from .late import LateFusion

STRATEGIES: dict[FusionStrategy, type[EarlyFusion] | type[EncodedFusion]] = {
    FusionStrategy.EARLY: EarlyFusion,
    FusionStrategy.LATE: LateFusion,
    FusionStrategy.HYBRID: HybridFusion,
    FusionStrategy.HIERARCHICAL: HierarchicalFusion,
}
