"""BERT, RoBERTa and DistilBERT as masked language models: FULL visibility, the reserved id is their mask.

BERT (arXiv 1810.04805), RoBERTa (1907.11692), DistilBERT (1910.01108). A checkpoint without a masked language head is
refused: there is nothing to ask it. Tested against transformers at random weights, with padding.
"""

from __future__ import annotations

from dataclasses import dataclass

from semagram.feedforward import MLP, LayerNorm
from semagram.hub.checkpoint import Checkpoint
from semagram.hub.settings import Settings
from semagram.hub.tensors import Tensors
from semagram.hub.weights import Weights
from semagram.layouts.visibility import Visibility
from semagram.mixers import Attention, NoPositions
from semagram.models.embedding import Embedding, LearnedPositions
from semagram.models.head import Head
from semagram.models.residual import Residual
from semagram.models.transformer import Transformer


@dataclass(frozen=True)
class Names:
    """What a relative calls its tensors."""

    layer: str = "encoder.layer."
    """Before a layer's number."""
    attention: tuple[str, ...] = ("attention.self.query", "attention.self.key", "attention.self.value")
    """Queries, keys, values."""
    rest: tuple[str, ...] = (
        "attention.output.dense",
        "attention.output.LayerNorm",
        "intermediate.dense",
        "output.dense",
        "output.LayerNorm",
    )
    """Out of attention, the norm behind it, up, down, the norm behind them."""
    head: tuple[str, str] = ("cls.predictions.transform.dense", "cls.predictions.transform.LayerNorm")
    """The head's transform and norm."""
    out: tuple[str, str] = ("cls.predictions.decoder", "cls.predictions.bias")
    """The head's matrix (a copy of the embedding when tied) and its bias."""


def bert(s: Settings, tensors: Tensors) -> Checkpoint:
    """BERT."""
    tensors.unprefixed("bert.")
    tensors.leave(r"cls\.seq_relationship\..*")
    return _read(s, tensors, Names(), s.whole("hidden_size"), s.whole("num_hidden_layers"), 0)


def roberta(s: Settings, tensors: Tensors) -> Checkpoint:
    """RoBERTa: its positions begin behind the padding's row."""
    tensors.unprefixed("roberta.")
    names = Names(head=("lm_head.dense", "lm_head.layer_norm"), out=("lm_head.decoder", "lm_head.bias"))
    first = s.get("pad_token_id", 1) + 1
    return _read(s, tensors, names, s.whole("hidden_size"), s.whole("num_hidden_layers"), first)


def distilbert(s: Settings, tensors: Tensors) -> Checkpoint:
    """DistilBERT."""
    s.must("sinusoidal_pos_embds", False, default=False)
    tensors.unprefixed("distilbert.")
    names = Names(
        "transformer.layer.",
        ("attention.q_lin", "attention.k_lin", "attention.v_lin"),
        ("attention.out_lin", "sa_layer_norm", "ffn.lin1", "ffn.lin2", "output_layer_norm"),
        ("vocab_transform", "vocab_layer_norm"),
        ("vocab_projector", "vocab_projector.bias"),
    )
    return _read(s, tensors, names, s.whole("dim"), s.whole("n_layers"), 0)


def _read(s: Settings, tensors: Tensors, names: Names, width: int, depth: int, first: int) -> Checkpoint:
    """Any of them; positions begin at row ``first`` of their table."""
    s.must("is_decoder", False, default=False)
    s.must("position_embedding_type", "absolute", default="absolute")
    tensors.leave(r"pooler\..*")
    name = "activation" if s.family == "distilbert" else "hidden_act"
    s.must(name, "gelu", default="gelu")
    w = Weights(tensors)
    mask = s.get("mask_token_id", s.get("pad_token_id", 0))
    v = w.embedding("embedding.weight", "embeddings.word_embeddings.weight", mask)
    w.state["entry.places.tables.0.weight"] = tensors.take("embeddings.position_embeddings.weight")[first:].contiguous()
    places = len(w.state["entry.places.tables.0.weight"])
    categories: tuple[int, ...] = ()
    if "embeddings.token_type_embeddings.weight" in tensors:
        w.copy("entry.categories.0.weight", "embeddings.token_type_embeddings.weight")
        categories = (len(w.state["entry.categories.0.weight"]),)
    w.norm("embedding_norm", "embeddings.LayerNorm")
    for i in range(depth):
        ours, theirs = f"blocks.{i}.", f"{names.layer}{i}."
        w.stacked(f"{ours}mixer.inward", *(theirs + part for part in names.attention))
        outward, mixer_norm, up, down, feedforward_norm = (theirs + part for part in names.rest)
        w.linear(f"{ours}mixer.outward", outward)
        w.norm(f"{ours}mixer_way.after_norm", mixer_norm)
        w.linear(f"{ours}feedforward.up", up)
        w.linear(f"{ours}feedforward.down", down)
        w.norm(f"{ours}feedforward_way.after_norm", feedforward_norm)
    w.linear("transform.linear", names.head[0])
    w.norm("transform.norm", names.head[1])
    tied = bool(s.get("tie_word_embeddings", True))
    # A head of its own also has a bias of its own; the other one is then read by nobody.
    own = f"{names.out[0]}.bias"
    w.copy("head_bias", own if not tied and own in tensors else names.out[1])
    tensors.leave(names.out[1])
    if not tied:
        w.copy("head.weight", f"{names.out[0]}.weight")
    tensors.leave(rf"{names.out[0]}\.(weight|bias)")
    config = Transformer(
        width=width,
        depth=depth,
        mixer=Attention(
            s.whole("num_attention_heads", "n_heads"),
            positions=NoPositions(),
            sharpness=None,
            input_bias=True,
            output_bias=True,
        ),
        feedforward=MLP(activation="gelu", bias=True, hidden=s.whole("intermediate_size", "hidden_dim")),
        norm=LayerNorm(s.get("layer_norm_eps", 1e-12), bias=True),
        shift=None,
        tied=tied,
        logit_cap=None,
        residual=Residual(norms="after"),
        embedding=Embedding(LearnedPositions(places), categories=categories),
        head=Head(bias=True, transform=True),
    )
    return Checkpoint(config, w.state, v, Visibility.FULL, places)
