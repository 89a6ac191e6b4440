"""Models on the Hugging Face hub: fetched by name, sent from a folder. Three files, and never another.

Not huggingface-hub's PyTorchModelHubMixin: where a repository has no safetensors it fetches pytorch_model.bin, which is
a pickle; it loads with missing tensors left as they fell; and its config.json knows neither our format number nor the
hash that binds config and tensors, nor anything of how the input was prepared. Here the library only carries files,
and what arrives is checked as any other folder (checkpoint.py).
"""

import logging
import re
from pathlib import Path

from ... import __version__
from ...errors import BadModel
from .folder import CARD, CONFIG, TENSORS

log = logging.getLogger(__name__)

FILES = [TENSORS, CONFIG, CARD]
NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)  # user/name, or organisation/name
REMEDY = "Check the name and the network; a private model needs `hf auth login` or the environment's HF_TOKEN."


def is_hub_name(name: str | Path) -> bool:
    """Whether this is user/name of the hub and no path here: neither such a folder, nor one called user, is there."""
    path = Path(name)
    return bool(NAME.fullmatch(path.as_posix())) and not path.exists() and not path.parent.exists()


def find_model(name: str | Path, revision: str | None = None) -> Path:
    """The folder of a model: the one that is named, or for user/name of the hub the copy fetched into its cache.

    revision : branch, tag or commit on the hub, the newest if not given. What is in the cache already is not fetched
    again, and serves when there is no network. Raises BadModel if the hub has no such model, or cannot be reached.
    """
    if not is_hub_name(name):
        return Path(name)
    from huggingface_hub import snapshot_download

    repo = Path(name).as_posix()
    log.info("%s is no folder here: looking for it on the Hugging Face hub", repo)
    try:
        folder = snapshot_download(
            repo, revision=revision, allow_patterns=FILES, library_name="gbvnet", library_version=__version__
        )
    except Exception as error:
        if not _is_hubs_or_networks(error):
            raise
        raise BadModel(repo, "a folder here, or a model on the hub", _line(error), REMEDY) from None
    return Path(folder)


def send_model(folder: str | Path, name: str, *, private: bool = True) -> str:
    """Send a model folder's three files to user/name on the hub, made if it is not there; gives its address.

    The folder must have been checked: see `shared.push_model`. private : who may see a repository made here; one that
    is there keeps what it has. Raises BadModel for a name that is none, and if the hub refuses or cannot be reached.
    """
    if not NAME.fullmatch(name):
        raise BadModel(name, "a name on the hub as user/name", repr(name))
    from huggingface_hub import HfApi

    hub = HfApi(library_name="gbvnet", library_version=__version__)
    try:
        address = hub.create_repo(name, private=private, exist_ok=True)
        hub.upload_folder(
            repo_id=name, folder_path=folder, allow_patterns=FILES, commit_message=f"A model of gbvnet {__version__}"
        )
    except Exception as error:
        if not _is_hubs_or_networks(error):
            raise
        raise BadModel(name, "a place on the hub that you may write to", _line(error), REMEDY) from None
    return str(address)


def _is_hubs_or_networks(error: Exception) -> bool:
    """Whether an error is the hub's answer or the network's. Under it is requests or httpx, by the hub's version."""
    from huggingface_hub.errors import HFValidationError

    under = type(error).__module__.split(".")[0]
    return isinstance(error, OSError | HFValidationError) or under in ("requests", "httpx", "httpx2", "huggingface_hub")


def _line(error: Exception) -> str:
    """An error's message in one line; the hub's have several."""
    return f"{type(error).__name__}: {' '.join(str(error).split()).rstrip('.')}"
