"""GBV-Net with the three methods that users of the Hugging Face hub know, and a folder sent after it was checked."""

import tempfile
from pathlib import Path
from typing import Self

from ...config import GBVNetConfig
from ..model import GBVNet
from .checkpoint import load_model, save_model
from .hub import find_model, send_model


class SharedGBVNet(GBVNet):
    """A GBV-Net that knows what is known of it.

    about : how its input was prepared and what its output means; see `save_model`
    """

    def __init__(self, config: GBVNetConfig, about: dict | None = None):
        super().__init__(config)
        self.about = about or {}

    @classmethod
    def from_pretrained(cls, name: str | Path, *, revision: str | None = None) -> Self:
        """A model folder, or user/name of the hub, in evaluation mode. Raises BadModel as `load_model` does."""
        model, about = load_model(find_model(name, revision))
        made = cls(model.config, about)
        made.load_state_dict(model.state_dict())
        return made.eval()

    def save_pretrained(self, folder: str | Path) -> None:
        """Write the model folder; one that is there already is replaced as a whole."""
        save_model(folder, self, self.about)

    def push_to_hub(self, name: str, *, private: bool = True) -> str:
        """Send it to user/name on the hub, made if it is not there; gives its address."""
        with tempfile.TemporaryDirectory() as folder:
            self.save_pretrained(Path(folder) / "model")
            return send_model(Path(folder) / "model", name, private=private)


def push_model(folder: str | Path, name: str, *, private: bool = True) -> str:
    """Check a model folder as if it were to be used, and send it to user/name on the hub; gives its address."""
    load_model(Path(folder).absolute())  # a folder here: a name of the hub is no absolute path
    return send_model(folder, name, private=private)
