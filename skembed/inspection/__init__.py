"""Pictures, pages and evaluations of embeddings."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from skembed.inspection._analogies import AnalogyAnswer as AnalogyAnswer
    from skembed.inspection._analogies import AnalogyResult as AnalogyResult
    from skembed.inspection._analogies import AnalogySection as AnalogySection
    from skembed.inspection._analogies import evaluate_analogies as evaluate_analogies
    from skembed.inspection._categorization import CategorizationResult as CategorizationResult
    from skembed.inspection._categorization import evaluate_categorization as evaluate_categorization
    from skembed.inspection._comparison import TableComparison as TableComparison
    from skembed.inspection._comparison import compare_tables as compare_tables
    from skembed.inspection._display import EmbeddingDisplay as EmbeddingDisplay
    from skembed.inspection._hubs import hubness as hubness
    from skembed.inspection._hubs import k_occurrences as k_occurrences
    from skembed.inspection._links import link_prediction_auc as link_prediction_auc
    from skembed.inspection._neighborhood import neighborhood_preservation as neighborhood_preservation
    from skembed.inspection._neighborhood import trustworthiness as trustworthiness
    from skembed.inspection._probe import ProbeResult as ProbeResult
    from skembed.inspection._probe import probe_score as probe_score
    from skembed.inspection._ranking import ndcg_at_k as ndcg_at_k
    from skembed.inspection._ranking import recall_at_k as recall_at_k
    from skembed.inspection._scorers import analogy_scorer as analogy_scorer
    from skembed.inspection._scorers import categorization_scorer as categorization_scorer
    from skembed.inspection._scorers import neighborhood_scorer as neighborhood_scorer
    from skembed.inspection._scorers import similarity_scorer as similarity_scorer
    from skembed.inspection._scorers import trustworthiness_scorer as trustworthiness_scorer
    from skembed.inspection._similarity import SentenceSimilarityResult as SentenceSimilarityResult
    from skembed.inspection._similarity import SimilarityResult as SimilarityResult
    from skembed.inspection._similarity import evaluate_sentence_similarity as evaluate_sentence_similarity
    from skembed.inspection._similarity import evaluate_similarity as evaluate_similarity
    from skembed.inspection._word_movers import DocumentNeighbors as DocumentNeighbors
    from skembed.inspection._word_movers import nearest_documents as nearest_documents
    from skembed.inspection._word_movers import pairwise_word_movers_distances as pairwise_word_movers_distances
    from skembed.inspection._word_movers import word_movers_distance as word_movers_distance

# public name -> the module that holds it
_HOMES = {
    "AnalogyAnswer": "skembed.inspection._analogies",
    "AnalogyResult": "skembed.inspection._analogies",
    "AnalogySection": "skembed.inspection._analogies",
    "CategorizationResult": "skembed.inspection._categorization",
    "ProbeResult": "skembed.inspection._probe",
    "SentenceSimilarityResult": "skembed.inspection._similarity",
    "SimilarityResult": "skembed.inspection._similarity",
    "TableComparison": "skembed.inspection._comparison",
    "analogy_scorer": "skembed.inspection._scorers",
    "categorization_scorer": "skembed.inspection._scorers",
    "compare_tables": "skembed.inspection._comparison",
    "evaluate_analogies": "skembed.inspection._analogies",
    "evaluate_categorization": "skembed.inspection._categorization",
    "evaluate_sentence_similarity": "skembed.inspection._similarity",
    "evaluate_similarity": "skembed.inspection._similarity",
    "hubness": "skembed.inspection._hubs",
    "k_occurrences": "skembed.inspection._hubs",
    "link_prediction_auc": "skembed.inspection._links",
    "ndcg_at_k": "skembed.inspection._ranking",
    "neighborhood_preservation": "skembed.inspection._neighborhood",
    "neighborhood_scorer": "skembed.inspection._scorers",
    "probe_score": "skembed.inspection._probe",
    "recall_at_k": "skembed.inspection._ranking",
    "similarity_scorer": "skembed.inspection._scorers",
    "trustworthiness": "skembed.inspection._neighborhood",
    "trustworthiness_scorer": "skembed.inspection._scorers",
    "EmbeddingDisplay": "skembed.inspection._display",
    "DocumentNeighbors": "skembed.inspection._word_movers",
    "nearest_documents": "skembed.inspection._word_movers",
    "pairwise_word_movers_distances": "skembed.inspection._word_movers",
    "word_movers_distance": "skembed.inspection._word_movers",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'skembed.inspection' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
