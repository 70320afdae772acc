"""What a ``config.json`` says, asked setting by setting: what is not supported is refused by name.

A setting that is absent has the default that its family's own code gives it, since older files hold only what differs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from semagram.errors import UserError
from semagram.feedforward.mlp import Activation

ACTIVATIONS: dict[str, Activation] = {
    "gelu": "gelu",
    "gelu_python": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "quick_gelu": "quick_gelu",
    "relu": "relu",
    "relu2": "relu_squared",
    "sigmoid": "sigmoid",
    "silu": "silu",
    "swish": "silu",
    "tanh": "tanh",
    "linear": "identity",
}
"""Hugging Face's names of activations, and ours."""


class Settings:
    """The settings of one checkpoint."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = dict(values)
        self.family = str(values.get("model_type"))

    def get(self, name: str, default: Any = None) -> Any:
        """The value; the default where it is absent or null."""
        value = self.values.get(name)
        return default if value is None else value

    def whole(self, *names: str) -> int:
        """A number above 0 under the first of ``names`` that is there; raises ``UserError`` when there is none."""
        for name in names:
            value = self.values.get(name)
            if isinstance(value, int) and value > 0:
                return value
        raise UserError(f"config.json of a {self.family} model needs {names[0]}, a whole number above 0.")

    def must(self, name: str, *allowed: Any, default: Any = None) -> None:
        """Raise ``UserError`` unless the value is one of ``allowed``."""
        value = self.get(name, default)
        if value not in allowed:
            told = ", ".join(map(repr, allowed))
            raise UserError(f"a {self.family} model with {name}={value!r} is not supported; {name} may be {told}.")

    def activation(self, name: str, default: str) -> Activation:
        """Our name of an activation."""
        value = self.get(name, default)
        if value not in ACTIVATIONS:
            told = ", ".join(ACTIVATIONS)
            raise UserError(f"a {self.family} model with {name}={value!r} is not supported; {name} may be {told}.")
        return ACTIVATIONS[value]

    def begin(self, vocabulary_size: int) -> int:
        """The id that is shown before the first token: begin of text, else end of text, padding or 0."""
        for name in ("bos_token_id", "eos_token_id", "pad_token_id"):
            value = self.values.get(name)
            value = value[0] if isinstance(value, list) and value else value
            if isinstance(value, int) and 0 <= value < vocabulary_size:
                return value
        return 0
