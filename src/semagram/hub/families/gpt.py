"""GPT-2, GPT-NeoX, GPT-J, OPT and Falcon: decoders whose tensors go by names of their own.

GPT-2 (Radford 2019), GPT-NeoX (arXiv 2204.06745), GPT-J (Wang 2021), OPT (2205.01068), Falcon (2311.16867). Tested
against transformers at random weights.
"""

from __future__ import annotations

from semagram.feedforward import MLP, LayerNorm
from semagram.feedforward.mlp import Activation
from semagram.hub.checkpoint import Checkpoint
from semagram.hub.rotary import rotary
from semagram.hub.settings import Settings
from semagram.hub.tensors import Tensors
from semagram.hub.weights import Weights, halves, unwoven
from semagram.mixers import Attention, NoPositions, Rotary
from semagram.models.embedding import Embedding, LearnedPositions
from semagram.models.head import Head
from semagram.models.residual import Residual
from semagram.models.transformer import Transformer


def gpt2(s: Settings, tensors: Tensors) -> Checkpoint:
    """GPT-2."""
    s.must("scale_attn_weights", True, default=True)
    s.must("scale_attn_by_inverse_layer_idx", False, default=False)
    s.must("add_cross_attention", False, default=False)
    tensors.unprefixed("transformer.")
    width, depth, places = s.whole("n_embd"), s.whole("n_layer"), s.whole("n_positions", "n_ctx")
    w = Weights(tensors)
    v = w.embedding("embedding.weight", "wte.weight", s.begin(s.whole("vocab_size")))
    w.copy("entry.places.tables.0.weight", "wpe.weight")
    for i in range(depth):
        ours, theirs = f"blocks.{i}.", f"h.{i}."
        w.norm(f"{ours}mixer_norm", f"{theirs}ln_1")
        w.norm(f"{ours}feedforward_norm", f"{theirs}ln_2")
        w.linear(f"{ours}mixer.inward", f"{theirs}attn.c_attn", transposed=True)
        w.linear(f"{ours}mixer.outward", f"{theirs}attn.c_proj", transposed=True)
        w.linear(f"{ours}feedforward.up", f"{theirs}mlp.c_fc", transposed=True)
        w.linear(f"{ours}feedforward.down", f"{theirs}mlp.c_proj", transposed=True)
    w.norm("norm", "ln_f")
    config = decoder(
        s,
        w,
        width,
        depth,
        Attention(s.whole("n_head"), positions=NoPositions(), sharpness=None, input_bias=True, output_bias=True),
        s.get("n_inner", 4 * width),
        s.activation("activation_function", "gelu_new"),
        s.get("layer_norm_epsilon", 1e-5),
        embedding=Embedding(LearnedPositions(places), normalise=False),
        tied=True,
    )
    return Checkpoint(config, w.state, v, capacity=places)


def gpt_neox(s: Settings, tensors: Tensors) -> Checkpoint:
    """GPT-NeoX and Pythia."""
    tensors.unprefixed("gpt_neox.")
    width, depth, heads = s.whole("hidden_size"), s.whole("num_hidden_layers"), s.whole("num_attention_heads")
    w = Weights(tensors)
    v = w.embedding("embedding.weight", "embed_in.weight", s.begin(s.whole("vocab_size")))
    order = unwoven(heads, heads, width // heads)
    for i in range(depth):
        ours, theirs = f"blocks.{i}.", f"layers.{i}."
        w.norm(f"{ours}mixer_norm", f"{theirs}input_layernorm")
        w.norm(f"{ours}feedforward_norm", f"{theirs}post_attention_layernorm")
        w.linear(f"{ours}mixer.inward", f"{theirs}attention.query_key_value", arrange=order)
        w.linear(f"{ours}mixer.outward", f"{theirs}attention.dense")
        w.linear(f"{ours}feedforward.up", f"{theirs}mlp.dense_h_to_4h")
        w.linear(f"{ours}feedforward.down", f"{theirs}mlp.dense_4h_to_h")
    w.norm("norm", "final_layer_norm")
    bias = bool(s.get("attention_bias", True))
    config = decoder(
        s,
        w,
        width,
        depth,
        Attention(heads, positions=rotary(s, fraction=0.25), sharpness=None, input_bias=bias, output_bias=bias),
        s.whole("intermediate_size"),
        s.activation("hidden_act", "gelu"),
        s.get("layer_norm_eps", 1e-5),
        residual=Residual(parallel="own_norms") if s.get("use_parallel_residual", True) else Residual(),
        head="embed_out",
    )
    return Checkpoint(config, w.state, v, capacity=s.get("max_position_embeddings", 2048))


def gptj(s: Settings, tensors: Tensors) -> Checkpoint:
    """GPT-J."""
    tensors.unprefixed("transformer.")
    width, depth, heads = s.whole("n_embd"), s.whole("n_layer"), s.whole("n_head")
    turned = s.get("rotary_dim", width // heads)
    w = Weights(tensors)
    v = w.embedding("embedding.weight", "wte.weight", s.begin(s.whole("vocab_size")))
    order = halves(width // heads, turned)
    for i in range(depth):
        ours, theirs = f"blocks.{i}.", f"h.{i}."
        w.norm(f"{ours}mixer_norm", f"{theirs}ln_1")
        q, k, values = (f"{theirs}attn.{name}_proj" for name in "qkv")
        w.stacked(f"{ours}mixer.inward", q, k, values, arrange={q: order, k: order})
        w.linear(f"{ours}mixer.outward", f"{theirs}attn.out_proj")
        w.linear(f"{ours}feedforward.up", f"{theirs}mlp.fc_in")
        w.linear(f"{ours}feedforward.down", f"{theirs}mlp.fc_out")
    w.norm("norm", "ln_f")
    config = decoder(
        s,
        w,
        width,
        depth,
        Attention(heads, positions=Rotary(fraction=turned * heads / width), sharpness=None),
        s.get("n_inner", 4 * width),
        s.activation("activation_function", "gelu_new"),
        s.get("layer_norm_epsilon", 1e-5),
        residual=Residual(parallel="shared_norm"),
    )
    return Checkpoint(config, w.state, v, capacity=s.get("n_positions", 2048))


def opt(s: Settings, tensors: Tensors) -> Checkpoint:
    """OPT, the sizes with norms before their branches."""
    s.must("do_layer_norm_before", True, default=True)
    s.must("_remove_final_layer_norm", False, default=False)
    s.must("layer_norm_elementwise_affine", True, default=True)
    tensors.unprefixed("model.", "decoder.")
    width, depth, places = s.whole("hidden_size"), s.whole("num_hidden_layers"), s.whole("max_position_embeddings")
    s.must("word_embed_proj_dim", width, default=width)
    w = Weights(tensors)
    v = w.embedding("embedding.weight", "embed_tokens.weight", s.begin(s.whole("vocab_size")))
    # The first two rows are never looked up: positions begin at 2.
    w.state["entry.places.tables.0.weight"] = tensors.take("embed_positions.weight")[2:].contiguous()
    for i in range(depth):
        ours, theirs = f"blocks.{i}.", f"layers.{i}."
        w.norm(f"{ours}mixer_norm", f"{theirs}self_attn_layer_norm")
        w.norm(f"{ours}feedforward_norm", f"{theirs}final_layer_norm")
        w.stacked(f"{ours}mixer.inward", *(f"{theirs}self_attn.{name}_proj" for name in "qkv"))
        w.linear(f"{ours}mixer.outward", f"{theirs}self_attn.out_proj")
        w.linear(f"{ours}feedforward.up", f"{theirs}fc1")
        w.linear(f"{ours}feedforward.down", f"{theirs}fc2")
    w.norm("norm", "final_layer_norm")
    bias = bool(s.get("enable_bias", True))
    config = decoder(
        s,
        w,
        width,
        depth,
        Attention(
            s.whole("num_attention_heads"),
            positions=NoPositions(),
            sharpness=None,
            input_bias=bias,
            output_bias=bias,
        ),
        s.whole("ffn_dim"),
        s.activation("activation_function", "relu"),
        1e-5,
        embedding=Embedding(LearnedPositions(places), normalise=False),
        tied=True,
    )
    return Checkpoint(config, w.state, v, capacity=places)


def falcon(s: Settings, tensors: Tensors) -> Checkpoint:
    """Falcon with rotary positions, of both architectures."""
    s.must("alibi", False, default=False)
    tensors.unprefixed("transformer.")
    width, depth = s.whole("hidden_size"), s.whole("num_hidden_layers", "n_layer")
    heads = s.whole("num_attention_heads", "n_head")
    new = bool(s.get("new_decoder_architecture", False))
    shared = s.get("num_kv_heads", heads) if new else 1 if s.get("multi_query", True) else heads
    side = new or bool(s.get("parallel_attn", True))
    own = new and s.get("num_ln_in_parallel_attn", 2) == 2
    norms = {"mixer_norm": "ln_attn", "feedforward_norm": "ln_mlp"} if own else {"mixer_norm": "input_layernorm"}
    if not side:
        norms["feedforward_norm"] = "post_attention_layernorm"
    w = Weights(tensors)
    v = w.embedding("embedding.weight", "word_embeddings.weight", s.begin(s.whole("vocab_size")))
    order = unwoven(heads, shared, width // heads)
    for i in range(depth):
        ours, theirs = f"blocks.{i}.", f"h.{i}."
        for our_norm, their_norm in norms.items():
            w.norm(ours + our_norm, theirs + their_norm)
        w.linear(f"{ours}mixer.inward", f"{theirs}self_attention.query_key_value", arrange=order)
        w.linear(f"{ours}mixer.outward", f"{theirs}self_attention.dense")
        w.linear(f"{ours}feedforward.up", f"{theirs}mlp.dense_h_to_4h")
        w.linear(f"{ours}feedforward.down", f"{theirs}mlp.dense_4h_to_h")
    w.norm("norm", "ln_f")
    bias = bool(s.get("bias", False))
    config = decoder(
        s,
        w,
        width,
        depth,
        Attention(
            heads,
            key_value_heads=shared,
            positions=rotary(s),
            sharpness=None,
            input_bias=bias,
            output_bias=bias,
        ),
        s.get("ffn_hidden_size", 4 * width),
        s.activation("activation", "gelu"),
        s.get("layer_norm_epsilon", 1e-5),
        residual=Residual(parallel="own_norms" if own else "shared_norm" if side else "no"),
        tied=True,
    )
    return Checkpoint(config, w.state, v, capacity=s.get("max_position_embeddings", 2048))


def decoder(
    s: Settings,
    w: Weights,
    width: int,
    depth: int,
    mixer: Attention,
    hidden: int,
    activation: Activation,
    epsilon: float,
    *,
    residual: Residual | None = None,
    embedding: Embedding | None = None,
    head: str = "lm_head",
    tied: bool = False,
) -> Transformer:
    """What all of them share, head included; ``tied`` where config.json does not say."""
    tied = bool(s.get("tie_word_embeddings", tied))
    if tied:
        w.tensors.leave(f"{head}.weight")
    else:
        w.copy("head.weight", f"{head}.weight")
    if biased := f"{head}.bias" in w.tensors:
        w.copy("head_bias", f"{head}.bias")
    return Transformer(
        width=width,
        depth=depth,
        mixer=mixer,
        feedforward=MLP(activation=activation, bias="blocks.0.feedforward.up.bias" in w.state, hidden=hidden),
        norm=LayerNorm(epsilon, bias="norm.bias" in w.state),
        shift=None,
        tied=tied,
        logit_cap=None,
        residual=residual or Residual(),
        embedding=embedding or Embedding(normalise=False),
        head=Head(bias=biased),
    )
