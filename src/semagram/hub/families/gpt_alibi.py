"""BLOOM, MPT and GPT-BigCode: decoders with ALiBi, or with one key head for all.

BLOOM (arXiv 2211.05100), MPT (MosaicML 2023), GPT-BigCode (SantaCoder, 2301.03988). Tested against transformers at
random weights.
"""

from __future__ import annotations

from semagram.errors import UserError
from semagram.hub.checkpoint import Checkpoint
from semagram.hub.families.gpt import decoder
from semagram.hub.settings import Settings
from semagram.hub.tensors import Tensors
from semagram.hub.weights import Weights, unwoven
from semagram.mixers import ALiBi, Attention, NoPositions
from semagram.models.embedding import Embedding, LearnedPositions


def bloom(s: Settings, tensors: Tensors) -> Checkpoint:
    """BLOOM: ALiBi and a norm after the embedding."""
    s.must("apply_residual_connection_post_layernorm", False, default=False)
    tensors.unprefixed("transformer.")
    width, depth = s.whole("hidden_size", "n_embed"), s.whole("n_layer", "num_hidden_layers")
    heads = s.whole("n_head", "num_attention_heads")
    w = Weights(tensors)
    v = w.embedding("embedding.weight", "word_embeddings.weight", s.begin(s.whole("vocab_size")))
    w.norm("embedding_norm", "word_embeddings_layernorm")
    order = unwoven(heads, heads, width // heads)
    for i in range(depth):
        ours, theirs = f"blocks.{i}.", f"h.{i}."
        w.norm(f"{ours}mixer_norm", f"{theirs}input_layernorm")
        w.norm(f"{ours}feedforward_norm", f"{theirs}post_attention_layernorm")
        w.linear(f"{ours}mixer.inward", f"{theirs}self_attention.query_key_value", arrange=order)
        w.linear(f"{ours}mixer.outward", f"{theirs}self_attention.dense")
        w.linear(f"{ours}feedforward.up", f"{theirs}mlp.dense_h_to_4h")
        w.linear(f"{ours}feedforward.down", f"{theirs}mlp.dense_4h_to_h")
    w.norm("norm", "ln_f")
    config = decoder(
        s,
        w,
        width,
        depth,
        Attention(
            heads,
            positions=NoPositions(),
            bias=ALiBi(),
            sharpness=None,
            input_bias=True,
            output_bias=True,
        ),
        4 * width,
        "gelu_tanh",
        s.get("layer_norm_epsilon", 1e-5),
        embedding=Embedding(),
        tied=True,
    )
    return Checkpoint(config, w.state, v, capacity=s.get("seq_length", 2048))


def mpt(s: Settings, tensors: Tensors) -> Checkpoint:
    """MPT: ALiBi and no biases."""
    attention = Settings({"model_type": "mpt", **s.get("attn_config", {})})
    attention.must("alibi", True, default=True)
    attention.must("alibi_bias_max", 8, default=8)
    attention.must("clip_qkv", None)
    attention.must("qk_ln", False, default=False)
    attention.must("softmax_scale", None)
    s.must("logit_scale", None)
    tensors.unprefixed("transformer.")
    width, depth, heads = s.whole("d_model"), s.whole("n_layers"), s.whole("n_heads")
    if heads & (heads - 1):
        raise UserError(f"an mpt model with n_heads={heads} is not supported; it may be a power of 2.")
    w = Weights(tensors)
    v = w.embedding("embedding.weight", "wte.weight", s.begin(s.whole("vocab_size")))
    for i in range(depth):
        ours, theirs = f"blocks.{i}.", f"blocks.{i}."
        w.norm(f"{ours}mixer_norm", f"{theirs}norm_1")
        w.norm(f"{ours}feedforward_norm", f"{theirs}norm_2")
        w.linear(f"{ours}mixer.inward", f"{theirs}attn.Wqkv")
        w.linear(f"{ours}mixer.outward", f"{theirs}attn.out_proj")
        w.linear(f"{ours}feedforward.up", f"{theirs}ffn.up_proj")
        w.linear(f"{ours}feedforward.down", f"{theirs}ffn.down_proj")
    w.norm("norm", "norm_f")
    mixer = Attention(heads, positions=NoPositions(), bias=ALiBi(), sharpness=None)
    hidden = int(s.get("expansion_ratio", 4) * width)
    config = decoder(s, w, width, depth, mixer, hidden, "gelu", s.get("layer_norm_epsilon", 1e-5), tied=True)
    return Checkpoint(config, w.state, v, capacity=s.get("max_seq_len", 2048))


def gpt_bigcode(s: Settings, tensors: Tensors) -> Checkpoint:
    """GPT-BigCode with one key head: GPT-2 otherwise."""
    s.must("multi_query", True, default=True)
    s.must("scale_attn_weights", True, default=True)
    tensors.unprefixed("transformer.")
    width, depth, places = s.whole("n_embd"), s.whole("n_layer"), s.whole("n_positions")
    w = Weights(tensors)
    v = w.embedding("embedding.weight", "wte.weight", s.begin(s.whole("vocab_size")))
    w.copy("entry.places.tables.0.weight", "wpe.weight")
    for i in range(depth):
        ours, theirs = f"blocks.{i}.", f"h.{i}."
        w.norm(f"{ours}mixer_norm", f"{theirs}ln_1")
        w.norm(f"{ours}feedforward_norm", f"{theirs}ln_2")
        w.linear(f"{ours}mixer.inward", f"{theirs}attn.c_attn")
        w.linear(f"{ours}mixer.outward", f"{theirs}attn.c_proj")
        w.linear(f"{ours}feedforward.up", f"{theirs}mlp.c_fc")
        w.linear(f"{ours}feedforward.down", f"{theirs}mlp.c_proj")
    w.norm("norm", "ln_f")
    mixer = Attention(
        s.whole("n_head"),
        key_value_heads=1,
        positions=NoPositions(),
        sharpness=None,
        input_bias=True,
        output_bias=True,
    )
    config = decoder(
        s,
        w,
        width,
        depth,
        mixer,
        s.get("n_inner", 4 * width),
        s.activation("activation_function", "gelu_pytorch_tanh"),
        s.get("layer_norm_epsilon", 1e-5),
        embedding=Embedding(LearnedPositions(places), normalise=False),
        tied=True,
    )
    return Checkpoint(config, w.state, v, capacity=places)
