"""The contracts of systems, corpora and further modalities as functions that a user's own test calls: `check_system`,
`check_corpus`, `check_modality`.

Each raises `ContractBroken`, which lists what was promised, what happened and how to mend it. Needs no pytest.
"""

from .corpora import check_corpus
from .films import FilmSound, film_with_tone, recording_with_tone
from .modalities import check_modality
from .results import CheckResult, ContractBroken
from .synthetic_store import SyntheticStore, SyntheticWindows
from .systems import check_system

__all__ = [
    "CheckResult",
    "ContractBroken",
    "FilmSound",
    "SyntheticStore",
    "SyntheticWindows",
    "check_corpus",
    "check_modality",
    "check_system",
    "film_with_tone",
    "recording_with_tone",
]
