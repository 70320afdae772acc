"""Llama and its relatives: one reading of ``model.layers.N.self_attn`` and ``mlp``, and a ``Kind`` for each.

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
| cohere | branches side by side with one norm, planes of neighbours, scaled logits |

Whether a map has a bias is told by the tensors: one that is there and would not be used is refused. Tested against
transformers at random weights.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch

from semagram.errors import UserError
from semagram.feedforward import MLP, Experts, Gated, LayerNorm, Norm, RMSNorm
from semagram.hub.checkpoint import Checkpoint, in_turn
from semagram.hub.rotary import rotary
from semagram.hub.settings import Settings
from semagram.hub.tensors import Tensors
from semagram.hub.weights import Weights, halves
from semagram.mixers import Attention, Everything, Window
from semagram.models.embedding import Embedding
from semagram.models.head import Head
from semagram.models.residual import Residual
from semagram.models.scales import Fixed
from semagram.models.transformer import Transformer

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
    "cohere": cohere,
    "gemma": gemma,
    "gemma2": gemma2,
    "gemma3_text": gemma3,
    "granite": granite,
    "llama": llama,
    "mistral": mistral,
    "mixtral": mixtral,
    "olmo": olmo,
    "phi": phi,
    "qwen2": qwen2,
    "qwen3": qwen3,
    "stablelm": stablelm,
    "starcoder2": starcoder2,
}
"""Llama's relatives by ``model_type``."""


def read(s: Settings, tensors: Tensors) -> Checkpoint:
    """The checkpoint of any of them."""
    kind = KINDS[s.family](s)
    tensors.unprefixed("model.")
    width, depth = s.whole("hidden_size"), s.whole("num_hidden_layers")
    mixers = [_mixer(s, kind, tensors, i) for i in range(depth)]
    own, layers = in_turn(mixers)
    head_width = own.head_width or width // own.heads
    tied = bool(s.get("tie_word_embeddings", kind.tied))
    weights = Weights(tensors)
    begin = s.begin(s.whole("vocab_size"))
    v = weights.embedding("embedding.weight", "embed_tokens.weight", begin)
    weights.state["embedding.weight"] *= kind.embedding_factor
    first = "layers.0."
    biased = f"{first}{kind.names[-1]}.bias" in tensors  # an MLP's
    norm_bias = isinstance(kind.norm, LayerNorm) and f"{first}{kind.norms['mixer_norm']}.bias" in tensors
    order = halves(head_width, _turned(own, head_width)) if kind.woven else None
    for i in range(depth):
        ours, theirs = f"blocks.{i}.", f"layers.{i}."
        q, k, v_proj = (f"{theirs}self_attn.{name}_proj" for name in "qkv")
        weights.stacked(f"{ours}mixer.inward", q, k, v_proj, arrange={} if order is None else {q: order, k: order})
        weights.linear(f"{ours}mixer.outward", theirs + kind.names[0])
        if kind.gains:
            for of in ("query", "key"):
                gain = tensors.take(f"{theirs}self_attn.{of[0]}_norm.weight")[None]
                weights.state[f"{ours}mixer.gains.{of}"] = gain + 1.0 if kind.gain_from_one else gain
        if kind.experts is not None:
            _experts(weights, f"{ours}feedforward.", theirs, kind.experts[0])
        elif len(kind.names) == 4:
            weights.stacked(f"{ours}feedforward.inward", theirs + kind.names[1], theirs + kind.names[2])
        else:
            weights.linear(f"{ours}feedforward.up", theirs + kind.names[1])
        if kind.experts is None:
            weights.linear(f"{ours}feedforward.down", theirs + kind.names[-1])
        for our_norm, their_norm in kind.norms.items():
            _norm(weights, ours + our_norm, theirs + their_norm, width, s.family == "olmo")
    _norm(weights, "norm", kind.final, width, s.family == "olmo")
    head_bias = False
    if not tied:
        weights.copy("head.weight", "lm_head.weight")
    else:
        tensors.leave("lm_head.weight")
    if "lm_head.bias" in tensors:
        head_bias = True
        weights.copy("head_bias", "lm_head.bias")
    hidden, act = s.whole("intermediate_size"), s.activation(*kind.activation)
    gated = len(kind.names) == 4
    logit_factor = kind.logit_factor / (kind.embedding_factor if tied else 1.0)
    feedforward = (Gated if gated else MLP)(activation=act, bias=biased, hidden=hidden)
    if kind.experts is not None:
        feedforward = Experts(*kind.experts, multiple=hidden / width, activation=act)
    norm = LayerNorm(kind.norm.epsilon, bias=norm_bias) if isinstance(kind.norm, LayerNorm) else kind.norm
    config = Transformer(
        width=width,
        depth=depth,
        mixer=own,
        feedforward=feedforward,
        norm=norm,
        shift=None,
        tied=tied,
        logit_cap=kind.logit_cap,
        residual=kind.residual,
        layers=layers,
        embedding=Embedding(normalise=False, root_width=kind.root_width),
        head=Head(bias=head_bias, scale=logit_factor),
    )
    return Checkpoint(config, weights.state, v, capacity=s.get("max_position_embeddings", 2048))


def _norm(weights: Weights, ours: str, theirs: str, width: int, bare: bool) -> None:
    """A norm; a bare one has no parameters, and ours then a gain of 1."""
    if bare:
        weights.state[f"{ours}.gain"] = torch.ones(width)
    else:
        weights.norm(ours, theirs)


def _experts(weights: Weights, ours: str, theirs: str, count: int) -> None:
    """All experts of a layer, row upon row: each its gate and what it multiplies, then the ways out."""
    take = weights.tensors.take
    at = f"{theirs}block_sparse_moe." if f"{theirs}block_sparse_moe.gate.weight" in weights.tensors else f"{theirs}mlp."
    weights.copy(f"{ours}router.weight", f"{at}gate.weight")
    if f"{at}experts.gate_up_proj" in weights.tensors:
        weights.state[f"{ours}up.weight"] = take(f"{at}experts.gate_up_proj").flatten(0, 1)
        weights.state[f"{ours}down.weight"] = take(f"{at}experts.down_proj").flatten(0, 1)
        return
    names = [f"{at}experts.{expert}." for expert in range(count)]
    ups = [take(f"{name}{part}.weight") for name in names for part in ("w1", "w3")]
    weights.state[f"{ours}up.weight"] = torch.cat(ups)
    weights.state[f"{ours}down.weight"] = torch.cat([take(f"{name}w2.weight") for name in names])


def _turned(mixer: Attention, head_width: int) -> int:
    return mixer.positions.turned(head_width)  # type: ignore[union-attr]


def _mixer(s: Settings, kind: Kind, tensors: Tensors, index: int) -> Attention:
    """The attention of layer ``index``."""
    heads = s.whole("num_attention_heads")
    head_width = s.get("head_dim") or s.whole("hidden_size") // heads
    listed = s.get("layer_types")
    local, reach = False, Everything()
    if kind.windowed is not None:
        kinds = listed or []
        if listed and set(listed) - {"sliding_attention", "full_attention"}:
            raise UserError(f"a {s.family} model with layer_types {sorted(set(listed))} is not supported.")
        local = kinds[index] == "sliding_attention" if index < len(kinds) else kind.windowed(index)
        size = s.get("sliding_window")
        if local and size is not None:
            reach = Window(size)
    elif listed and set(listed) != {"full_attention"}:
        raise UserError(f"a {s.family} model with layer_types {sorted(set(listed))} is not supported.")
    positions = rotary(s, fraction=kind.fraction)
    if kind.local_rotary:
        name = "sliding_attention" if local else "full_attention"
        old = s.get("rope_parameters") is None and local
        positions = rotary(s, kind=name) if not old else type(positions)(base=s.get("rope_local_base_freq", 1e4))
    scale = kind.scale or head_width**-0.5
    if kind.gains and s.get("rms_norm_eps", 1e-6) != 1e-6:
        raise UserError(
            f"a {s.family} model with rms_norm_eps={s.get('rms_norm_eps')} is not supported; it may be 1e-6."
        )
    here = f"layers.{index}.self_attn."
    return Attention(
        heads=heads,
        head_width=head_width,
        key_value_heads=s.get("num_key_value_heads"),
        positions=positions,
        sharpness=scale * head_width if kind.gains else None,
        gains="features" if kind.gains else "none",
        scale=None if kind.gains or kind.scale is None else kind.scale,
        input_bias=any(f"{here}{name}_proj.bias" in tensors for name in "qkv"),
        output_bias=f"layers.{index}.{kind.names[0]}.bias" in tensors,
        score_cap=kind.score_cap,
        reach=reach,
    )
