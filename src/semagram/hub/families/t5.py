"""T5 and its relatives (T5 1.1, FLAN-T5, mT5) as encoder-decoders (arXiv 1910.10683).

Their biases by distance are the first layer's, shared by all: each of ours gets a copy. Scores are not scaled: in
cross-attention, whose scale is fixed, the queries' map is multiplied instead. The reserved id shows the row that
decoding starts with. Tested against transformers at random weights, with padding in the source.
"""

from __future__ import annotations

from dataclasses import replace

from semagram.errors import UserError
from semagram.feedforward import MLP, Gated, RMSNorm
from semagram.hub.checkpoint import Checkpoint
from semagram.hub.settings import ACTIVATIONS, Settings
from semagram.hub.tensors import Tensors
from semagram.hub.weights import Weights
from semagram.mixers import Attention, BucketedBias, CrossAttention, NoPositions
from semagram.models.decoder import Decoder
from semagram.models.encoder import Encoder
from semagram.models.encoder_decoder import EncoderDecoder
from semagram.models.stack import Blocks


def t5(s: Settings, tensors: Tensors) -> Checkpoint:
    """Any of them; a bare encoder is refused by what it lacks."""
    width, heads, head_width = s.whole("d_model"), s.whole("num_heads"), s.whole("d_kv")
    form = s.get("feed_forward_proj", "relu")
    gated, name = form.startswith("gated-"), form.removeprefix("gated-")
    name = "gelu_new" if form == "gated-gelu" else name
    if name not in ACTIVATIONS:
        raise UserError(f"a {s.family} model with feed_forward_proj={form!r} is not supported.")
    buckets, farthest = s.get("relative_attention_num_buckets", 32), s.get("relative_attention_max_distance", 128)
    blocks = Blocks(
        width,
        s.whole("num_layers"),
        Attention(
            heads,
            head_width=head_width,
            positions=NoPositions(),
            sharpness=None,
            scale=1.0,
            bias=BucketedBias(buckets, farthest),
        ),
        (Gated if gated else MLP)(activation=ACTIVATIONS[name], hidden=s.whole("d_ff")),
        RMSNorm(gain=True, epsilon=s.get("layer_norm_epsilon", 1e-6)),
    )
    w = Weights(tensors)
    start = s.get("decoder_start_token_id", s.get("pad_token_id", 0))
    table = "shared.weight" if "shared.weight" in tensors else "encoder.embed_tokens.weight"
    v = w.embedding("encoder.embedding.weight", table, start)
    tensors.leave("(encoder|decoder).embed_tokens.weight")
    depths = {"encoder": blocks.depth, "decoder": s.get("num_decoder_layers", blocks.depth)}
    for side, depth in depths.items():
        bias = tensors.take(f"{side}.block.0.layer.0.SelfAttention.relative_attention_bias.weight")
        for i in range(depth):
            ours, theirs = f"{side}.stack.{i}.", f"{side}.block.{i}.layer."
            w.stacked(f"{ours}mixer.inward", *(f"{theirs}0.SelfAttention.{name}" for name in "qkv"))
            w.linear(f"{ours}mixer.outward", f"{theirs}0.SelfAttention.o")
            w.norm(f"{ours}mixer_norm", f"{theirs}0.layer_norm")
            w.state[f"{ours}mixer.open.bias.table"] = bias.t().contiguous()
            if side == "decoder":
                look = f"{theirs}1.EncDecAttention."
                w.state[f"{ours}cross.queries.weight"] = tensors.take(f"{look}q.weight") * head_width**0.5
                w.stacked(f"{ours}cross.keys_values", f"{look}k", f"{look}v")
                w.linear(f"{ours}cross.outward", f"{look}o")
                w.norm(f"{ours}cross_norm", f"{theirs}1.layer_norm")
                # Older files hold a bias that nothing reads.
                tensors.leave(f"{look}relative_attention_bias.weight")
            last = f"{theirs}{2 if side == 'decoder' else 1}."
            w.norm(f"{ours}feedforward_norm", f"{last}layer_norm")
            inward = ("wi_0", "wi_1") if gated else ("wi",)
            ours_in = f"{ours}feedforward.{'inward' if gated else 'up'}"
            w.stacked(ours_in, *(f"{last}DenseReluDense.{name}" for name in inward))
            w.linear(f"{ours}feedforward.down", f"{last}DenseReluDense.wo")
        w.norm(f"{side}.stack.norm", f"{side}.final_layer_norm")
    # In 5.x all word embeddings are tied, and T5 1.1, whose are not, says so by a head of its own.
    tied = bool(s.get("tie_word_embeddings", True)) or "lm_head.weight" not in tensors
    if s.get("scale_decoder_outputs", tied):
        w.state["decoder.stack.norm.gain"] = w.state["decoder.stack.norm.gain"] * width**-0.5
    if tied:
        tensors.leave("lm_head.weight")
    else:
        w.copy("decoder.head.weight", "lm_head.weight")
    config = EncoderDecoder(
        Encoder(v, blocks, normalise=False),
        Decoder(
            replace(blocks, depth=depths["decoder"]),
            CrossAttention(heads, head_width=head_width, sharpness=None),
            normalise=False,
            tied=tied,
            logit_cap=None,
        ),
        shared=True,
    )
    return Checkpoint(config, w.state, v)
