"""Llama's relatives: what each of them does otherwise, as a ``Kind`` made of its ``config.json``.

| family | differs from Llama by |
|---|---|
| mistral, mixtral | a window in every layer; several feedforwards of which a position takes some |
| qwen2, qwen3 | biases of q, k, v; normalised queries and keys; a window in upper layers |
| gemma, gemma2, gemma3_text | norms from one, sqrt(d) embeddings; norms around branches, soft limits, windows in turn |
| granite | four constant factors |
| olmo | layer norms without parameters |
| stablelm | layer norms, partial rotary, branches side by side if wanted |
| starcoder2 | layer norms, a plain MLP, biases, a window |
| phi | layer norms, branches side by side with one norm, partial rotary, a plain MLP |
| cohere, cohere2 | branches side by side with one norm, planes of neighbours, scaled logits; windows in turn |
| phi3 | maps that are fused already |
| smollm3 | layers without positions |
| arcee, nemotron | a plain MLP of squared ReLU; layer norms from one |
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from semagram.feedforward import LayerNorm, Norm, RMSNorm
from semagram.hub.settings import Settings
from semagram.models.residual import Residual
from semagram.models.scales import Fixed

PAIR = {"mixer_norm": "input_layernorm", "feedforward_norm": "post_attention_layernorm"}
SANDWICH = {
    "mixer_norm": "input_layernorm",
    "mixer_way.output_norm": "post_attention_layernorm",
    "feedforward_norm": "pre_feedforward_layernorm",
    "feedforward_way.output_norm": "post_feedforward_layernorm",
}
ONE = {"mixer_norm": "input_layernorm"}


@dataclass(frozen=True)
class Kind:
    """How a relative differs; the default is Llama."""

    norm: Norm
    """Of the branches and at the end; the bias of a layer norm is told by the tensors."""
    norms: dict[str, str] = field(default_factory=lambda: PAIR)
    """Our norms of a block and theirs."""
    residual: Residual = field(default_factory=Residual)
    """Where they stand."""
    names: tuple[str, ...] = ("self_attn.o_proj", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj")
    """The map out of attention, and those of the feedforward: three gated, two plain."""
    activation: tuple[str, str] = ("hidden_act", "silu")
    """The setting that names it, and its default."""
    final: str = "norm"
    """The last norm."""
    tied: bool = False
    """Whether head and embedding are one where config.json does not say."""
    fraction: float = 1.0
    """Share of a head that is turned where config.json does not say."""
    woven: bool = False
    """Rotary planes of neighbours."""
    gains: bool = False
    """Normalised queries and keys with a gain a feature."""
    gain_from_one: bool = False
    """Those gains are kept as differences from 1."""
    scale: float | None = None
    """Of the scores; none: 1 / sqrt(head width)."""
    score_cap: float | None = None
    """Soft limit of the scores."""
    logit_cap: float | None = None
    """Soft limit of the logits."""
    root_width: bool = False
    """Embeddings times sqrt(d)."""
    embedding_factor: float = 1.0
    """Embeddings times this."""
    logit_factor: float = 1.0
    """Logits times this."""
    windowed: Callable[[int], bool] | None = None
    """Which layers have a window where config.json does not list them; none: the family has no windows."""
    fused: bool = False
    """Queries, keys and values are one map already, and gate and up one."""
    unturned: Callable[[int, bool], bool] | None = None
    """Which layers (number, whether with a window) have no rotary positions; none: all have."""
    local_rotary: bool = False
    """Layers with a window have rotary settings of their own."""
    experts: tuple[int, int] | None = None
    """Feedforwards and how many of them a position is sent to; none: one for all."""


def rms(s: Settings) -> RMSNorm:
    """Llama's norm."""
    return RMSNorm(gain=True, epsilon=s.get("rms_norm_eps", 1e-6))


def layer(s: Settings, name: str = "layer_norm_eps") -> LayerNorm:
    """A layer norm."""
    return LayerNorm(s.get(name, 1e-5))


def llama(s: Settings) -> Kind:
    """Llama 1 to 3, SmolLM, Yi and others that call themselves so."""
    return Kind(rms(s))


def mistral(s: Settings) -> Kind:
    """Mistral: arXiv 2310.06825."""
    return Kind(rms(s), windowed=lambda i: True)


def mixtral(s: Settings) -> Kind:
    """Mixtral: arXiv 2401.04088."""
    experts = (s.whole("num_local_experts"), s.whole("num_experts_per_tok"))
    return Kind(rms(s), windowed=lambda i: True, experts=experts)


def qwen2(s: Settings) -> Kind:
    """Qwen 2: arXiv 2407.10671."""
    first = s.get("max_window_layers", 28) if s.get("use_sliding_window") else 1 << 30
    return Kind(rms(s), windowed=lambda i: i >= first)


def qwen3(s: Settings) -> Kind:
    """Qwen 3: arXiv 2505.09388."""
    first = s.get("max_window_layers", 28) if s.get("use_sliding_window") else 1 << 30
    return Kind(rms(s), windowed=lambda i: i >= first, gains=True)


def gemma(s: Settings) -> Kind:
    """Gemma: arXiv 2403.08295."""
    s.must("use_bidirectional_attention", False, None)
    norm = RMSNorm(gain=True, epsilon=s.get("rms_norm_eps", 1e-6), from_one=True)
    name = "hidden_activation" if s.get("hidden_activation") else "hidden_act"
    return Kind(norm, activation=(name, "gelu_pytorch_tanh"), tied=True, root_width=True)


def gemma2(s: Settings) -> Kind:
    """Gemma 2: arXiv 2408.00118."""
    base = gemma(s)
    return Kind(
        base.norm,
        norms=SANDWICH,
        residual=Residual(norms="sandwich"),
        activation=("hidden_activation", "gelu_pytorch_tanh"),
        tied=True,
        root_width=True,
        scale=s.get("query_pre_attn_scalar", 256) ** -0.5,
        score_cap=s.get("attn_logit_softcapping"),
        logit_cap=s.get("final_logit_softcapping"),
        windowed=lambda i: i % 2 == 0,
    )


def gemma3(s: Settings) -> Kind:
    """Gemma 3, its texts: arXiv 2503.19786."""
    cycle = s.get("sliding_window_pattern", s.get("_sliding_window_pattern", 6))
    s.must("attn_logit_softcapping", None)
    return Kind(
        gemma(s).norm,
        norms=SANDWICH,
        residual=Residual(norms="sandwich"),
        activation=("hidden_activation", "gelu_pytorch_tanh"),
        tied=True,
        root_width=True,
        gains=True,
        gain_from_one=True,
        scale=s.get("query_pre_attn_scalar", 256) ** -0.5,
        logit_cap=s.get("final_logit_softcapping"),
        windowed=lambda i: (i + 1) % cycle != 0,
        local_rotary=True,
    )


def granite(s: Settings) -> Kind:
    """Granite 3: IBM, 2024."""
    share = s.get("residual_multiplier", 1.0)
    return Kind(
        rms(s),
        residual=Residual(scale=None if share == 1.0 else Fixed(share)),
        scale=s.get("attention_multiplier", 1.0),
        embedding_factor=s.get("embedding_multiplier", 1.0),
        logit_factor=1.0 / s.get("logits_scaling", 1.0),
    )


def olmo(s: Settings) -> Kind:
    """OLMo: arXiv 2402.00838."""
    s.must("clip_qkv", None)
    return Kind(LayerNorm(1e-5))


def stablelm(s: Settings) -> Kind:
    """StableLM: arXiv 2402.17834."""
    s.must("qk_layernorm", False, default=False)
    side = bool(s.get("use_parallel_residual"))
    residual = Residual(parallel="shared_norm") if side else Residual()
    return Kind(layer(s), norms=ONE if side else PAIR, residual=residual, fraction=0.25)


def starcoder2(s: Settings) -> Kind:
    """StarCoder 2: arXiv 2402.19173."""
    names = ("self_attn.o_proj", "mlp.c_fc", "mlp.c_proj")
    act = ("hidden_act", "gelu_pytorch_tanh")
    return Kind(layer(s, "norm_epsilon"), names=names, activation=act, tied=True, windowed=lambda i: True)


def phi(s: Settings) -> Kind:
    """Phi 1 and 2: arXiv 2306.11644."""
    s.must("qk_layernorm", False, default=False)
    return Kind(
        layer(s),
        norms=ONE,
        residual=Residual(parallel="shared_norm"),
        names=("self_attn.dense", "mlp.fc1", "mlp.fc2"),
        activation=("hidden_act", "gelu_new"),
        final="final_layernorm",
        fraction=0.5,
    )


def phi3(s: Settings) -> Kind:
    """Phi 3: arXiv 2404.14219."""
    names = ("self_attn.o_proj", "mlp.gate_up_proj", "mlp.gate_up_proj", "mlp.down_proj")
    return Kind(rms(s), names=names, fused=True, windowed=lambda i: True)


def smollm3(s: Settings) -> Kind:
    """SmolLM 3: Hugging Face, 2025; every fourth layer has no positions."""
    every = s.get("no_rope_layer_interval", 4)
    listed = s.get("no_rope_layers") or []
    with_window = bool(s.get("use_sliding_window"))
    return Kind(
        rms(s),
        tied=True,
        unturned=lambda i, _: not listed[i] if i < len(listed) else (i + 1) % every == 0,
        windowed=lambda i: with_window,
    )


def arcee(s: Settings) -> Kind:
    """Arcee: Llama with a plain MLP of squared ReLU."""
    return Kind(rms(s), names=("self_attn.o_proj", "mlp.up_proj", "mlp.down_proj"), activation=("hidden_act", "relu2"))


def nemotron(s: Settings) -> Kind:
    """Nemotron 4: arXiv 2402.16819; layer norms from one."""
    return Kind(
        LayerNorm(s.get("norm_eps", 1e-5), from_one=True),
        names=("self_attn.o_proj", "mlp.up_proj", "mlp.down_proj"),
        activation=("hidden_act", "relu2"),
        fraction=0.5,
    )


def cohere2(s: Settings) -> Kind:
    """Command R7B: windows in turn, positions in those layers alone."""
    cycle = s.get("sliding_window_pattern", s.get("_sliding_window_pattern", 4))
    return replace(cohere(s), windowed=lambda i: (i + 1) % cycle != 0, unturned=lambda _, local: not local)


def cohere(s: Settings) -> Kind:
    """Command R: Cohere, 2024."""
    s.must("use_qk_norm", False, default=False)
    return Kind(
        layer(s),
        norms=ONE,
        residual=Residual(parallel="shared_norm"),
        tied=True,
        woven=True,
        logit_factor=s.get("logit_scale", 0.0625),
    )


KINDS: dict[str, Callable[[Settings], Kind]] = {
    "arcee": arcee,
    "cohere": cohere,
    "cohere2": cohere2,
    "gemma": gemma,
    "gemma2": gemma2,
    "gemma3_text": gemma3,
    "granite": granite,
    "llama": llama,
    "mistral": mistral,
    "mixtral": mixtral,
    "nemotron": nemotron,
    "olmo": olmo,
    "phi": phi,
    "phi3": phi3,
    "qwen2": qwen2,
    "qwen3": qwen3,
    "smollm3": smollm3,
    "stablelm": stablelm,
    "starcoder2": starcoder2,
}
"""Llama's relatives by ``model_type``."""
