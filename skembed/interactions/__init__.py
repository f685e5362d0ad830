"""Users and items as vectors: from baskets, ratings or clicks, also users that come later."""

from skembed.data.holdout import basket_split
from skembed.data.interactions import Interactions, read_interactions
from skembed.interactions._interaction_embedder import InteractionEmbedder
from skembed.interactions._scorer import recommendation_scorer

__all__ = ["InteractionEmbedder", "Interactions", "basket_split", "read_interactions", "recommendation_scorer"]
