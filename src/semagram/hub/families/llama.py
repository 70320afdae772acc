"""Llama and its relatives: one reading of ``model.layers.N.self_attn`` and ``mlp`` for all that ``llama_kinds`` lists.

Whether a map has a bias is told by the tensors: one that is there and would not be used is refused. Tested against
transformers at random weights.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from semagram.errors import UserError
from semagram.feedforward import MLP, Experts, Feedforward, Gated, LayerNorm
from semagram.hub.checkpoint import Checkpoint, in_turn
from semagram.hub.families.llama_kinds import KINDS, Kind
from semagram.hub.rotary import rotary
from semagram.hub.settings import Settings
from semagram.hub.tensors import Tensors
from semagram.hub.weights import Weights, halves
from semagram.mixers import Attention, Everything, NoPositions, Reach, Rotary, Window
from semagram.models.embedding import Embedding
from semagram.models.head import Head
from semagram.models.transformer import Transformer


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
    widest = max(_turned(mixer, head_width) for mixer in mixers)
    order = halves(head_width, widest) if kind.woven else None
    for i in range(depth):
        ours, theirs = f"blocks.{i}.", f"layers.{i}."
        q, k, v_proj = (f"{theirs}self_attn.{name}_proj" for name in "qkv")
        if kind.fused:
            weights.linear(f"{ours}mixer.inward", f"{theirs}self_attn.qkv_proj")
        else:
            turns = {} if order is None or not _turned(mixers[i], head_width) else {q: order, k: order}
            weights.stacked(f"{ours}mixer.inward", q, k, v_proj, arrange=turns)
        weights.linear(f"{ours}mixer.outward", theirs + kind.names[0])
        if kind.gains:
            for of in ("query", "key"):
                gain = tensors.take(f"{theirs}self_attn.{of[0]}_norm.weight")[None]
                weights.state[f"{ours}mixer.gains.{of}"] = gain + 1.0 if kind.gain_from_one else gain
        if kind.experts is not None:
            _experts(weights, f"{ours}feedforward.", theirs, kind.experts[0])
        elif kind.fused:
            weights.linear(f"{ours}feedforward.inward", theirs + kind.names[1])
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
    feedforward: Feedforward = (Gated if gated else MLP)(activation=act, bias=biased, hidden=hidden)
    if kind.experts is not None:
        feedforward = Experts(*kind.experts, multiple=hidden / width, activation=act)
    norm = replace(kind.norm, bias=norm_bias) if isinstance(kind.norm, LayerNorm) else kind.norm
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
    """Features of a head that are turned."""
    return mixer.positions.turned(head_width) if isinstance(mixer.positions, Rotary) else 0


def _mixer(s: Settings, kind: Kind, tensors: Tensors, index: int) -> Attention:
    """The attention of layer ``index``."""
    heads = s.whole("num_attention_heads")
    head_width = s.get("head_dim") or s.whole("hidden_size") // heads
    listed = s.get("layer_types")
    local = False
    reach: Reach = Everything()
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
    positions: Rotary | NoPositions = rotary(s, fraction=kind.fraction)
    if kind.unturned is not None and kind.unturned(index, local):
        positions = NoPositions()
    if kind.local_rotary:
        name = "sliding_attention" if local else "full_attention"
        old = s.get("rope_parameters") is None and local
        positions = rotary(s, kind=name) if not old else Rotary(base=s.get("rope_local_base_freq", 1e4))
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
        input_bias=any(f"{here}{name}_proj.bias" in tensors for name in ("q", "k", "v", "qkv")),
        output_bias=f"layers.{index}.{kind.names[0]}.bias" in tensors,
        score_cap=kind.score_cap,
        reach=reach,
    )
