"""Same weights, same numbers, same gradients as x-transformers, wherever it has the model."""

from typing import Any

import pytest
import torch
from torch import Tensor

from laws.cases import shaken
from models.peer_weights import agree, cross_attention, layers_of, load
from semagram.errors import UserError
from semagram.feedforward import MLP, RMSNorm
from semagram.feedforward.norms import LayerNorm
from semagram.layouts import Sequence, Visibility
from semagram.layouts.geometry import Geometry
from semagram.mixers import Attention, Context, CrossAttention, NoPositions, Segments
from semagram.models import (
    Blocks,
    Classifier,
    Continuous,
    CrossStack,
    Decoder,
    Encoder,
    EncoderDecoder,
    MultiStream,
    Transformer,
    Vision,
)
from semagram.models.continuous import Gaussian, Points
from semagram.models.patches import LearnedPatches
from semagram.models.pooling import AttentionPool

peers = pytest.importorskip("x_transformers")

V, WIDTH, HEADS = 11, 24, 4
HEAD_WIDTH = WIDTH // HEADS
CROSS = CrossAttention(heads=HEADS, sharpness=None)
THEIRS = {"dim": WIDTH, "depth": 2, "heads": HEADS, "attn_dim_head": HEAD_WIDTH, "use_rmsnorm": True}
THEIRS |= {"ff_relu_squared": True, "ff_no_bias": True}
ROTARY = {"rotary_pos_emb": True, "rotary_emb_dim": HEAD_WIDTH}


def blocks(positions: Any = None, **fields: Any) -> Blocks:
    mixer = Attention(heads=HEADS, sharpness=None, **({} if positions is None else {"positions": positions}))
    return Blocks(**{"width": WIDTH, "depth": 2, "mixer": mixer, "norm": RMSNorm(gain=True, epsilon=1e-12), **fields})


def built(config: Any, *sizes: Any) -> Any:
    torch.manual_seed(0)
    return shaken(config.build(*sizes)).eval()


def ids(rows: int, count: int, seed: int = 0, most: int = V) -> Tensor:
    return torch.randint(0, most, (rows, count), generator=torch.Generator().manual_seed(seed))


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


KEEP = torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 1, 0, 0, 0], [0, 1, 0, 1, 1, 0]]).bool()


def wrapper(tokens: int, layers: Any, **more: Any) -> Any:
    return peers.TransformerWrapper(
        num_tokens=tokens, max_seq_len=16, attn_layers=layers, use_abs_pos_emb=False, **more
    ).eval()


def test_encoder_with_a_mask() -> None:
    """X14: what stands in padding moves nothing either."""
    ours = built(Encoder(V, blocks()))
    peer = wrapper(V + 1, peers.Encoder(**THEIRS, **ROTARY), return_only_embed=True)

    def state() -> dict[str, Tensor]:
        table = {"token_emb.emb.weight": ours.embedding_norm(ours.embedding.weight)}
        return table | layers_of(ours.stack, ours.stack.norm, "attn_layers.")

    load(peer, state())
    source = ids(3, 6)
    mine, theirs = ours(source, KEEP).features[KEEP], peer(source, mask=KEEP)[KEEP]
    other = torch.where(KEEP, source, (source + 1) % V)
    assert torch.equal(ours(other, KEEP).features[KEEP], mine)
    agree(ours, peer, mine, theirs, state, {"token_emb.emb.weight"})


@pytest.mark.parametrize("shared", [False, True])
def test_encoder_decoder_with_a_mask(shared: bool) -> None:
    decoder = Decoder(blocks(), CROSS, logit_cap=None)
    ours = built(EncoderDecoder(Encoder(V, blocks()), decoder, shared), V)
    with torch.no_grad():  # the peer has one table for both sides and no norm behind it: ours must norm alike
        ours.decoder.embedding_norm.gain.copy_(ours.encoder.embedding_norm.gain)
    peer = peers.XTransformer(
        dim=WIDTH, tie_token_emb=shared,
        **{f"enc_{k}": v for k, v in (THEIRS | ROTARY).items() if k != "dim"}, enc_num_tokens=V + 1, enc_max_seq_len=16,
        **{f"dec_{k}": v for k, v in (THEIRS | ROTARY).items() if k != "dim"}, dec_num_tokens=V + 1, dec_max_seq_len=16,
        dec_cross_attn_dim_head=HEAD_WIDTH, enc_use_abs_pos_emb=False, dec_use_abs_pos_emb=False,
    ).eval()  # fmt: skip

    def state() -> dict[str, Tensor]:
        table = ours.encoder.embedding_norm(ours.encoder.embedding.weight)
        found = {"encoder.token_emb.emb.weight": table}
        if not shared:
            found["decoder.net.token_emb.emb.weight"] = ours.decoder.embedding_norm(ours.decoder.embedding.weight)
        found["decoder.net.to_logits.weight"] = torch.cat([ours.decoder.head.weight, torch.zeros(1, WIDTH)])
        found |= layers_of(ours.encoder.stack, ours.encoder.stack.norm, "encoder.attn_layers.")
        return found | layers_of(ours.decoder.stack, ours.decoder.stack.norm, "decoder.net.attn_layers.")

    load(peer, state())
    source, target = ids(3, 6), ids(3, 5, 1)
    context = peer.encoder(source, mask=KEEP, return_embeddings=True)
    theirs = peer.decoder.net(target, context=context, context_mask=KEEP)[..., :V]
    mine = ours(source, target, KEEP)
    tables = {"encoder.token_emb.emb.weight", "decoder.net.token_emb.emb.weight", "decoder.net.to_logits.weight"}
    head = peer.decoder.net.to_logits.weight
    agree(ours, peer, mine, theirs, state, tables)
    assert torch.allclose(ours.decoder.head.weight, head.grad[:V], atol=1e-5)


def test_decoder_with_a_prefix_and_its_mask() -> None:
    ours = built(Decoder(blocks(), None, logit_cap=None), V)
    peer = wrapper(V + 1, peers.Decoder(**THEIRS, **ROTARY))

    def state() -> dict[str, Tensor]:
        found = {"token_emb.emb.weight": ours.embedding_norm(ours.embedding.weight)}
        found["to_logits.weight"] = torch.cat([ours.head.weight, torch.zeros(1, WIDTH)])
        return found | layers_of(ours.stack, ours.stack.norm, "attn_layers.")

    load(peer, state())
    text, before = ids(3, 4), numbers(3, 6, WIDTH)
    # A padding slot of ours sees itself, so that its softmax is not empty; nobody sees it.
    theirs = peer(text, prepend_embeds=before, prepend_mask=KEEP)[:, 6:, :V]
    mine = ours(text, prefix=Context(before, KEEP))
    agree(ours, peer, mine, theirs, state, {"token_emb.emb.weight", "to_logits.weight"})


def test_encoder_with_an_image_before_its_text() -> None:
    """PaLI: vectors before the source, with padding on both sides."""
    ours = built(Encoder(V, blocks()))
    peer = wrapper(V + 1, peers.Encoder(**THEIRS, **ROTARY))

    def state() -> dict[str, Tensor]:
        found = {"token_emb.emb.weight": ours.embedding_norm(ours.embedding.weight)}
        return found | layers_of(ours.stack, ours.stack.norm, "attn_layers.")

    load(peer, state() | {"to_logits.weight": torch.zeros_like(peer.to_logits.weight)})
    text, image, seen = ids(3, 6), numbers(3, 4, WIDTH), torch.tensor([[True] * 4, [True] * 3 + [False], [True] * 4])
    theirs = peer(text, mask=KEEP, prepend_embeds=image, prepend_mask=seen, return_embeddings=True)
    mine = ours(text, KEEP, prefix=Context(image, seen))
    assert mine.keep is not None and mine.keep.tolist() == torch.cat([seen, KEEP], dim=1).tolist()
    assert torch.allclose(mine.features[mine.keep], theirs[mine.keep], atol=1e-5)
    with pytest.raises(UserError, match="no class token"):
        built(Encoder(V, blocks(), class_token=True))(text, prefix=Context(image))


def test_cross_attention_only() -> None:
    ours = built(CrossStack(WIDTH, 2, CROSS, MLP(), RMSNorm(gain=True, epsilon=1e-12)), 7)
    peer = peers.CrossAttender(**THEIRS, cross_attn_dim_context=7, cross_attn_dim_head=HEAD_WIDTH).eval()
    load(peer, layers_of(ours.blocks, ours.norm))
    x, source = numbers(3, 5, WIDTH), numbers(3, 6, 7, seed=1)
    theirs = peer(x, context=source, context_mask=KEEP)
    agree(ours, peer, ours(x, Context(source, KEEP)), theirs, lambda: layers_of(ours.blocks, ours.norm))


def test_attention_pooling() -> None:
    ours = built(AttentionPool(3, CROSS), WIDTH)
    from x_transformers.x_transformers import AttentionPool as Theirs

    peer = Theirs(WIDTH, num_pooled_tokens=3, heads=HEADS, dim_head=HEAD_WIDTH).eval()

    def state() -> dict[str, Tensor]:
        inner = {f"pooler.{name}.weight": weight for name, weight in cross_attention(ours.cross).items()}
        return {"queries": ours.queries} | inner

    load(peer, state())
    source = numbers(3, 6, WIDTH)
    agree(ours, peer, ours(Context(source, KEEP)), peer(source, mask=KEEP), state)


@pytest.mark.parametrize("registers", [0, 2])
def test_vision_classifier(registers: int) -> None:
    plain = blocks(NoPositions(), norm=LayerNorm())
    vision = Vision((8, 8), (4, 4), 3, plain, positions=LearnedPatches(), patch_norm=True, registers=registers)
    ours = built(Classifier(vision, 5))
    layers = peers.Encoder(**{k: v for k, v in THEIRS.items() if k != "use_rmsnorm"})
    peer = peers.ViTransformerWrapper(
        image_size=8, patch_size=4, num_classes=5, attn_layers=layers, num_register_tokens=registers
    ).eval()

    def state() -> dict[str, Tensor]:
        eyes = ours.encoder
        found = {
            "pos_embedding": eyes.positions.embedding.weight[None],
            "patch_to_embedding.0.gamma": eyes.patch_norm.gain,
            "patch_to_embedding.1.weight": eyes.embedding.weight,
            "patch_to_embedding.1.bias": eyes.embedding.bias,
            "patch_to_embedding.2.gamma": eyes.embedding_norm.gain,
            "mlp_head.weight": ours.head.weight,
            "mlp_head.bias": ours.head.bias,
        }
        if registers:
            found["register_tokens"] = eyes.registers
        layers = layers_of(eyes.stack, eyes.stack.norm, "attn_layers.", turned=False, offset=0.0)
        return {name.replace("final_norm.g", "final_norm.gamma"): w for name, w in (found | layers).items()}

    # Some of its norms keep their gain less 1.
    less_one = {f"{n}.gamma" for n, m in peer.named_modules() if getattr(m, "unit_offset", False)}
    load(peer, {name: weight - float(name in less_one) for name, weight in state().items()})
    image = numbers(2, 3, 8, 8)
    agree(ours, peer, ours(image), peer(image), state)


@pytest.mark.parametrize("answer", [Points(), Gaussian()])
def test_continuous(answer: Any) -> None:
    ours = built(Continuous(3, 4, blocks(), answer))
    gaussian = isinstance(answer, Gaussian)
    peer = peers.ContinuousTransformerWrapper(
        dim_in=3, dim_out=4, max_seq_len=16, attn_layers=peers.Decoder(**THEIRS, **ROTARY), use_abs_pos_emb=False,
        probabilistic=gaussian,
    ).eval()  # fmt: skip
    # The peer has no norm behind its first map and no biases.
    ours.embedding_norm = torch.nn.Identity()
    with torch.no_grad():
        ours.embedding.bias.zero_()
        ours.head.bias.zero_()

    def state() -> dict[str, Tensor]:
        # It interleaves mean and log-variance number by number; ours are one after the other.
        parts = 2 if gaussian else 1
        out = ours.head.weight.unflatten(0, (parts, 4)).transpose(0, 1).flatten(0, 1)
        found = {"project_in.weight": ours.embedding.weight, "project_out.weight": out}
        return found | layers_of(ours.stack, ours.stack.norm, "attn_layers.")

    load(peer, state())
    vectors = numbers(3, 6, 3)
    keep = torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 0, 0], [1, 1, 0, 0, 0, 0]]).bool()
    said, theirs = ours(vectors, keep), peer(vectors, mask=keep)
    if gaussian:
        assert said.log_variance is not None
        mine = torch.stack([said.mean, said.log_variance.exp()])
        agree(ours, peer, mine[:, keep], theirs[:, keep], state)
    else:
        agree(ours, peer, said.mean[keep], theirs[keep], state)


def test_memories_of_segments() -> None:
    """X15: three segments, each with the hiddens of the last, equal one pass of ours."""
    mixer = Segments(Attention(heads=HEADS, sharpness=None), segment=4, memory=4)
    config = Transformer(
        width=WIDTH, depth=2, logit_cap=None, shift=None, mixer=mixer, norm=RMSNorm(gain=True, epsilon=1e-12)
    )
    ours = built(config, V, Sequence(12), Visibility.CAUSAL)
    peer = peers.TransformerWrapper(
        num_tokens=V + 1, max_seq_len=4, max_mem_len=4, attn_layers=peers.Decoder(**THEIRS, **ROTARY),
        use_abs_pos_emb=False,
    ).eval()  # fmt: skip

    def state() -> dict[str, Tensor]:
        found = {"token_emb.emb.weight": ours.embedding_norm(ours.embedding.weight)}
        found["to_logits.weight"] = torch.cat([ours.head.weight, torch.zeros(1, WIDTH)])
        return found | layers_of(ours.blocks, ours.norm, "attn_layers.")

    load(peer, state())
    text, memories, parts = ids(3, 12), None, []
    for segment in text.split(4, dim=1):
        logits, memories = peer(segment, mems=memories, return_mems=True)
        parts.append(logits[..., :V])
    mine = ours(text, Geometry.line(12, Visibility.CAUSAL))
    # Gains before attention: ours are not led by what the memory says (no gradient flows into it), theirs are.
    gains = {"attn_layers.layers.0.0.0.g", "attn_layers.layers.2.0.0.g"}
    agree(ours, peer, mine, torch.cat(parts, dim=1), state, {"token_emb.emb.weight", "to_logits.weight"} | gains)


def test_several_streams() -> None:
    sizes = {"letter": 7, "tag": 3}
    ours = built(MultiStream(tuple(sizes.items()), blocks()))
    ours.embedding_norm = torch.nn.Identity()
    peer = peers.MultiInputTransformerWrapper(
        num_tokens={n: v + 1 for n, v in sizes.items()}, max_seq_len=16, attn_layers=peers.Decoder(**THEIRS, **ROTARY),
        use_abs_pos_emb=False,
    ).eval()  # fmt: skip

    def state() -> dict[str, Tensor]:
        found = {f"embeds.{n}_embed.weight": ours.embedding[n].weight for n in sizes}
        for n in sizes:
            found[f"to_logits.{n}.weight"] = torch.cat([ours.head[n].weight, torch.zeros(1, WIDTH)])
        return found | layers_of(ours.stack, ours.stack.norm, "attn_layers.")

    load(peer, state())
    text = {n: ids(3, 6, seed, v) for seed, (n, v) in enumerate(sizes.items())}
    mine, theirs = ours(text), peer(text)
    mine, theirs = (torch.cat([said[n][..., :v] for n, v in sizes.items()], dim=2) for said in (mine, theirs))
    agree(ours, peer, mine, theirs, state, {"to_logits.letter.weight", "to_logits.tag.weight"})
