"""Models on the Hugging Face hub: downloaded by name, uploaded from a folder. Three files, and no others.

This is not huggingface-hub's PyTorchModelHubMixin: where a repository has no safetensors file it downloads
pytorch_model.bin, which is a pickle; it leaves missing tensors at random values; and its config.json has neither our
format number, nor the hash that binds config and tensors, nor how the input was prepared. Here the library only
transfers files, and a downloaded folder is checked like any other (checkpoint.py).
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
    """Return whether this is user/name of the hub and not a path: neither that folder nor a folder `user` exists."""
    path = Path(name)
    return bool(NAME.fullmatch(path.as_posix())) and not path.exists() and not path.parent.exists()


def find_model(name: str | Path, revision: str | None = None) -> Path:
    """Return the folder of a model: the given one, or for user/name of the hub its copy in the hub's local cache.

    revision : branch, tag or commit on the hub; default: the newest
    Files in the cache are not downloaded again, and are used when there is no network. Raises BadModel if the hub has
    no such model, or cannot be reached.
    """
    if not is_hub_name(name):
        return Path(name)
    from huggingface_hub import snapshot_download

    repo = Path(name).as_posix()
    log.info("%s is not a local folder: looking for it on the Hugging Face hub", repo)
    try:
        folder = snapshot_download(
            repo, revision=revision, allow_patterns=FILES, library_name="gbvnet", library_version=__version__
        )
    except Exception as error:
        if not _is_of_hub_or_network(error):
            raise
        raise BadModel(repo, "a local folder, or a model on the hub", _line(error), REMEDY) from None
    return Path(folder)


def upload_model(folder: str | Path, name: str, *, private: bool = True) -> str:
    """Upload the three files of a model folder to user/name on the hub, created if absent. Return its address.

    The folder must have been checked: see `hub_model.push_model`.
    private : whether the repository must be private; otherwise one that is created here is public, and an existing one
        keeps its visibility
    Raises BadModel for a name of another form, for an existing repository that is public if it must be private, and if
    the hub refuses or cannot be reached.
    """
    if not NAME.fullmatch(name):
        raise BadModel(name, "a name on the hub as user/name", repr(name))
    from huggingface_hub import HfApi

    hub = HfApi(library_name="gbvnet", library_version=__version__)
    try:
        address = hub.create_repo(name, private=private, exist_ok=True)
        if private and not hub.repo_info(name).private:
            raise BadModel(name, "a private repository", "one that is public", "Give --public, or another name.")
        hub.upload_folder(
            repo_id=name, folder_path=folder, allow_patterns=FILES, commit_message=f"A model of gbvnet {__version__}"
        )
    except BadModel:
        raise
    except Exception as error:
        if not _is_of_hub_or_network(error):
            raise
        raise BadModel(name, "a repository on the hub that you may write to", _line(error), REMEDY) from None
    return str(address)


def _is_of_hub_or_network(error: Exception) -> bool:
    """Whether the hub or the network raised an error: through requests or httpx, depending on the hub's version."""
    from huggingface_hub.errors import HFValidationError

    library = type(error).__module__.split(".")[0]
    return isinstance(error, OSError | HFValidationError) or library in (
        "requests",
        "httpx",
        "httpx2",
        "huggingface_hub",
    )


def _line(error: Exception) -> str:
    """An error's message in one line; those of the hub have several."""
    return f"{type(error).__name__}: {' '.join(str(error).split()).rstrip('.')}"
