"""GBV-Net with the three methods that users of the Hugging Face hub know, and the upload of a checked folder."""

import tempfile
from pathlib import Path
from typing import Self

from ...config import GBVNetConfig
from ..model import GBVNet
from .checkpoint import load_model, save_model
from .hub import find_model, upload_model


class HubGBVNet(GBVNet):
    """A GBV-Net together with its description, which can be downloaded from the hub and uploaded to it.

    about : how its input was prepared and what its output means; see `checkpoint.save_model`
    """

    def __init__(self, config: GBVNetConfig, about: dict | None = None):
        super().__init__(config)
        self.about = about or {}

    @classmethod
    def from_pretrained(cls, name: str | Path, *, revision: str | None = None) -> Self:
        """Return the model of a folder, or of user/name on the hub, in evaluation mode.

        revision : branch, tag or commit on the hub; default: the newest
        Raises BadModel as `checkpoint.load_model` does.
        """
        model, about = load_model(find_model(name, revision))
        own = cls(model.config, about)
        own.load_state_dict(model.state_dict())
        return own.eval()

    def save_pretrained(self, folder: str | Path) -> None:
        """Write the model folder; an older model in it is replaced as a whole. Raises BadModel."""
        save_model(folder, self, self.about)

    def push_to_hub(self, name: str, *, private: bool = True) -> str:
        """Upload the model to user/name on the hub, created if absent. Return its address. Raises BadModel."""
        with tempfile.TemporaryDirectory() as folder:
            self.save_pretrained(Path(folder) / "model")
            return upload_model(Path(folder) / "model", name, private=private)


def push_model(folder: str | Path, name: str, *, private: bool = True) -> str:
    """Upload a model folder to user/name on the hub, if it loads. Return its address. Raises BadModel."""
    load_model(Path(folder).absolute())  # a local folder: a name of the hub is never an absolute path
    return upload_model(folder, name, private=private)
