"""Our models inside transformers: what an exported folder's ``modeling_semagram.py`` gives to ``AutoModelForCausalLM``.

Their position i is about token i + 1, and its input is token i; ours has a slot before the first token, which shows
the reserved id. A text that does not begin with that id (the tokenizer's begin token) is read as if it did, so it costs
what it costs in semagram. Padding on the left is moved to the right, where nothing that counts can see it. There is no
cache: each new token reads the text again. The begin token's logit is the lowest number there is: it is never emitted.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import GenerationMixin, PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutput
from transformers.utils.hub import cached_file

from semagram.config import from_json
from semagram.errors import UserError
from semagram.experiment import Experiment
from semagram.hub.tensors import SINGLE
from semagram.hub.weights import fill
from semagram.layouts import Visibility
from semagram.layouts.geometry import Geometry

PREFIX = "network."


class SemagramConfig(PretrainedConfig):
    """``semagram`` is the experiment as JSON; ``vocab_size`` counts the begin token too."""

    model_type = "semagram"

    def __init__(self, semagram: dict[str, Any] | None = None, vocab_size: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.semagram = semagram
        self.vocab_size = vocab_size
        self.use_cache = False


class SemagramForCausalLM(PreTrainedModel, GenerationMixin):
    """A causal line of ours under their contract."""

    config_class = SemagramConfig
    main_input_name = "input_ids"
    _supports_sdpa = True
    _tied_weights_keys: Any = None
    all_tied_weights_keys: ClassVar[dict[str, str]] = {}

    def __init__(self, config: SemagramConfig) -> None:
        super().__init__(config)
        experiment = from_json(Experiment, config.semagram or {}, "config.json")
        self.begin = config.vocab_size - 1
        self.capacity = experiment.layout.count
        with torch.device("cpu"):  # never on "meta": tables are computed here
            model: Any = experiment.model
            self.network: Any = model.build(self.begin, experiment.layout, Visibility.CAUSAL)

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: Any, *args: Any, **kwargs: Any) -> Any:
        """As theirs, from a folder or the hub; of its options ``config``, ``dtype``, ``device_map`` and those of the
        hub act, and the weights are always loaded whole."""
        from safetensors.torch import load_file

        name = pretrained_model_name_or_path
        hub = {key: kwargs[key] for key in ("revision", "token", "cache_dir", "local_files_only") if key in kwargs}
        config = kwargs.get("config") or SemagramConfig.from_pretrained(name, **hub)
        model = cls(config)
        file = Path(name) / SINGLE if Path(name).is_dir() else cached_file(name, SINGLE, **hub)
        tensors = load_file(str(file))
        fill(model.network, {key.removeprefix(PREFIX): tensor for key, tensor in tensors.items()}, str(name))
        dtype = kwargs.get("dtype", kwargs.get("torch_dtype"))
        if isinstance(dtype, str):
            dtype = None if dtype == "auto" else getattr(torch, dtype)
        device = kwargs.get("device_map")
        device = device.get("") if isinstance(device, dict) else None if device == "auto" else device
        return model.to(device, dtype).eval()  # type: ignore[call-overload]

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        return_dict: bool | None = None,
        **unused: Any,
    ) -> Any:
        """``input_ids (b, n)`` -> logits ``(b, n, v + 1)``, and the mean loss where ``labels (b, n)`` are given."""
        b, n = input_ids.shape
        places = torch.arange(n, device=input_ids.device).expand(b, n)
        left = input_ids.new_zeros(b, 1)
        if attention_mask is not None:
            left = (attention_mask.cumsum(1) == 0).sum(1, keepdim=True)
        rows = input_ids.gather(1, (places + left) % n)
        begun = rows[:, :1] == self.begin
        missing = (~begun).long()
        if bool(missing.any()):
            longer = torch.cat([rows.new_full((b, 1), self.begin), rows, rows.new_full((b, 1), self.begin)], dim=1)
            at = torch.arange(n + 1, device=rows.device).expand(b, n + 1) + begun.long()
            rows = longer.gather(1, at)
        if rows.shape[1] > self.capacity:
            raise UserError(f"this model reads {self.capacity} tokens at most, got {rows.shape[1]}.")
        seen = self.network(rows, Geometry.line(rows.shape[1], Visibility.CAUSAL, like=rows))
        back = (places - left).clamp(min=0) + missing
        logits = seen.gather(1, back[:, :, None].expand(b, n, seen.shape[-1]))
        logits = F.pad(logits, (0, 1), value=torch.finfo(logits.dtype).min)
        loss = None
        if labels is not None:
            loss = F.cross_entropy(logits[:, :-1].flatten(0, 1).float(), labels[:, 1:].flatten(), ignore_index=-100)
        if return_dict is False:
            return (logits,) if loss is None else (loss, logits)
        return CausalLMOutput(loss=loss, logits=logits)  # type: ignore[arg-type]

    def prepare_inputs_for_generation(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, input_ids: Tensor, *unused: Any, attention_mask: Any = None, **also_unused: Any
    ) -> dict[str, Any]:
        """The whole text, each time."""
        return {"input_ids": input_ids, "attention_mask": attention_mask}

    def get_input_embeddings(self) -> torch.nn.Module:
        """The table ``(v + 1, d)``."""
        return self.network.embedding

    def get_output_embeddings(self) -> None:
        """None: the head is the network's own affair."""
        return None
