"""Attention as well-known models use it, beside their own modules: same weights, outputs and gradients, to 1e-5."""

from __future__ import annotations

import importlib
from typing import Any

import pytest
import torch
from torch import Tensor

from laws.stepping import close, gap
from semagram.layouts import Sequence, Visibility
from semagram.layouts.geometry import Geometry
from semagram.mixers import Attention, BucketedBias, LearnedSink, NoPositions, Rotary, Window
from semagram.mixers.attention_parts.bucketed_bias import bucket_of

transformers = pytest.importorskip("transformers")

WIDTH, HEADS, SHARED, HEAD_WIDTH, LENGTH, BASE = 20, 4, 2, 6, 11, 50.0
CAUSAL, FULL = Visibility.CAUSAL, Visibility.FULL


def ours(config: Attention) -> Any:
    torch.manual_seed(0)
    mixer = config.build(WIDTH)
    with torch.no_grad():
        for parameter in mixer.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return mixer


def geometry(visibility: Visibility = CAUSAL) -> Geometry:
    return Geometry.of(Sequence(LENGTH).positions(), visibility)


def told(name: str, **more: Any) -> Any:
    """The configuration of a model of that name, at our sizes."""
    sizes = {
        "hidden_size": WIDTH, "num_attention_heads": HEADS, "num_key_value_heads": SHARED, "head_dim": HEAD_WIDTH,
        "num_hidden_layers": 2, "max_position_embeddings": LENGTH, "attn_implementation": "eager",
        "rope_parameters": {"rope_type": "default", "rope_theta": BASE},
    }  # fmt: skip
    return getattr(transformers, f"{name}Config")(**{**sizes, **more})


def module(name: str, part: str, *arguments: Any) -> Any:
    """``transformers.models.<name>.modeling_<name>.<part>``."""
    return getattr(importlib.import_module(f"transformers.models.{name}.modeling_{name}"), part)(*arguments)


def hidden(window: int | None = None) -> Tensor:
    """Its mask: 0 or -inf, ``(1, 1, n, n)``."""
    back = torch.arange(LENGTH)[:, None] - torch.arange(LENGTH)
    may = (back >= 0) & (back < (window or LENGTH))
    return torch.zeros(LENGTH, LENGTH).masked_fill_(~may, float("-inf"))[None, None]


def compare(
    mixer: Any, theirs: Any, pairs: list[tuple[Any, Tensor]], call: Any, visibility: Visibility = CAUSAL
) -> None:
    """``pairs``: how a tensor of ours is read from our module, and the parameter of theirs that is the same."""
    theirs.eval()
    with torch.no_grad():
        for read, parameter in pairs:
            parameter.copy_(read(lambda p: p))
    x = torch.randn(2, LENGTH, WIDTH, generator=torch.Generator().manual_seed(1))
    mine, other = mixer(x, geometry(visibility)), call(x)
    assert close(mine, other, 1e-5), gap(mine, other)
    for out in (mine, other):
        out.square().mean().backward()
    for i, (read, parameter) in enumerate(pairs):
        gradient = read(lambda p: p.grad)
        assert close(gradient, parameter.grad, 1e-5), f"parameter {i}: {gap(gradient, parameter.grad)}"


def projections(mixer: Any, theirs: Any, bias: bool = False) -> list[tuple[Any, Tensor]]:
    """q_proj, k_proj, v_proj and o_proj, as most models name them."""
    sizes = [mixer.sizes[0], mixer.sizes[1], mixer.sizes[1]]
    pairs: list[tuple[Any, Tensor]] = []
    for i, name in enumerate(("q_proj", "k_proj", "v_proj")):
        part = getattr(theirs, name)
        pairs.append((lambda of, i=i: of(mixer.inward.weight).split(sizes)[i], part.weight))
        if bias:
            pairs.append((lambda of, i=i: of(mixer.inward.bias).split(sizes)[i], part.bias))
    pairs.append((lambda of: of(mixer.outward.weight), theirs.o_proj.weight))
    if bias:
        pairs.append((lambda of: of(mixer.outward.bias), theirs.o_proj.bias))
    return pairs


def with_tables(theirs: Any, config: Any, name: str, rotary: str, window: int | None = None) -> Any:
    """How these modules are called."""
    tables = module(name, rotary, config)(torch.zeros(1, LENGTH, WIDTH), torch.arange(LENGTH)[None])
    return lambda x: theirs(hidden_states=x, position_embeddings=tables, attention_mask=hidden(window))[0]


PLAIN: dict[str, Any] = {
    "heads": HEADS, "head_width": HEAD_WIDTH, "key_value_heads": SHARED, "positions": Rotary(BASE), "sharpness": None
}  # fmt: skip


def test_gemma_2() -> None:
    """Soft cap, a scale of its own, a window."""
    config = told("Gemma2", query_pre_attn_scalar=3, attn_logit_softcapping=0.8, sliding_window=4)
    theirs = module("gemma2", "Gemma2Attention", config, 0)
    mixer = ours(Attention(**PLAIN, scale=3**-0.5, score_cap=0.8, reach=Window(4)))
    compare(
        mixer, theirs, projections(mixer, theirs), with_tables(theirs, config, "gemma2", "Gemma2RotaryEmbedding", 4)
    )


def test_mistral() -> None:
    config = told("Mistral", sliding_window=5)
    theirs = module("mistral", "MistralAttention", config, 0)
    mixer = ours(Attention(**PLAIN, reach=Window(5)))
    pairs = projections(mixer, theirs)
    compare(mixer, theirs, pairs, with_tables(theirs, config, "mistral", "MistralRotaryEmbedding", 5))


def test_qwen_3() -> None:
    """Normalised queries and keys with a gain a feature."""
    config = told("Qwen3", rms_norm_eps=1e-6)
    theirs = module("qwen3", "Qwen3Attention", config, 0)
    mixer = ours(Attention(**{**PLAIN, "sharpness": HEAD_WIDTH**0.5}, gains="features"))
    pairs = projections(mixer, theirs)
    pairs += [
        (lambda of: of(mixer.gains.query)[0], theirs.q_norm.weight),
        (lambda of: of(mixer.gains.key)[0], theirs.k_norm.weight),
    ]
    compare(mixer, theirs, pairs, with_tables(theirs, config, "qwen3", "Qwen3RotaryEmbedding"))


def test_gpt_oss() -> None:
    """A learned sink a head, biases everywhere."""
    config = told("GptOss", attention_bias=True, sliding_window=LENGTH)
    theirs = module("gpt_oss", "GptOssAttention", config, 1)
    mixer = ours(Attention(**PLAIN, sink=LearnedSink(), input_bias=True, output_bias=True))
    pairs = [*projections(mixer, theirs, True), (lambda of: of(mixer.open.sink.scores), theirs.sinks)]
    compare(mixer, theirs, pairs, with_tables(theirs, config, "gpt_oss", "GptOssRotaryEmbedding"))


def test_gpt_neox() -> None:
    """A fraction of each head is turned; its stacked weight goes head by head, ours by kind."""
    width = HEADS * 8
    config = transformers.GPTNeoXConfig(
        hidden_size=width, num_attention_heads=HEADS, num_hidden_layers=1, attn_implementation="eager",
        max_position_embeddings=LENGTH, attention_bias=True,
        rope_parameters={"rope_type": "default", "rope_theta": BASE, "partial_rotary_factor": 0.5},
    )  # fmt: skip
    theirs = module("gpt_neox", "GPTNeoXAttention", config, 0).eval()
    torch.manual_seed(0)
    settings: dict[str, Any] = {"sharpness": None, "input_bias": True, "output_bias": True}
    mixer: Any = Attention(HEADS, positions=Rotary(BASE, fraction=0.5), **settings).build(width)
    torch.nn.init.normal_(mixer.inward.bias)

    def by_head(p: Tensor) -> Tensor:
        return p.unflatten(0, (3, HEADS, 8)).transpose(0, 1).flatten(0, 2)

    with torch.no_grad():
        theirs.query_key_value.weight.copy_(by_head(mixer.inward.weight))
        theirs.query_key_value.bias.copy_(by_head(mixer.inward.bias))
        theirs.dense.weight.copy_(mixer.outward.weight)
        theirs.dense.bias.copy_(mixer.outward.bias)
    x = torch.randn(2, LENGTH, width)
    tables = module("gpt_neox", "GPTNeoXRotaryEmbedding", config)(x, torch.arange(LENGTH)[None])
    other = theirs(x, hidden(), position_embeddings=tables)[0]
    mine = mixer(x, geometry())
    assert close(mine, other, 1e-5), gap(mine, other)


@pytest.mark.parametrize("visibility", [CAUSAL, FULL])
def test_t5(visibility: Visibility) -> None:
    """No scale, a learned bias by buckets of distance."""
    decoder = visibility is CAUSAL
    config = transformers.T5Config(
        d_model=WIDTH, d_kv=HEAD_WIDTH, num_heads=HEADS, relative_attention_num_buckets=8, dropout_rate=0.0,
        relative_attention_max_distance=9, is_decoder=decoder,
    )  # fmt: skip
    theirs = module("t5", "T5Attention", config, True)
    bias = BucketedBias(8, 9)
    mixer = ours(Attention(HEADS, HEAD_WIDTH, positions=NoPositions(), sharpness=None, scale=1.0, bias=bias))
    sizes = [HEADS * HEAD_WIDTH] * 3
    pairs: list[tuple[Any, Tensor]] = [
        (lambda of, i=i: of(mixer.inward.weight).split(sizes)[i], getattr(theirs, name).weight)
        for i, name in enumerate("qkv")
    ]
    pairs.append((lambda of: of(mixer.outward.weight), theirs.o.weight))
    pairs.append((lambda of: of(mixer.open.bias.table).t(), theirs.relative_attention_bias.weight))
    mask = hidden() if decoder else torch.zeros(1, 1, LENGTH, LENGTH)
    compare(mixer, theirs, pairs, lambda x: theirs(x, mask=mask)[0], visibility)


@pytest.mark.parametrize("one_way", [True, False])
def test_buckets_are_t5s_at_every_distance(one_way: bool) -> None:
    from transformers.models.t5.modeling_t5 import T5Attention

    distance = torch.arange(-300, 301)
    found = T5Attention._relative_position_bucket(-distance, not one_way, 32, 128)
    assert torch.equal(bucket_of(distance, 32, 128, one_way), found)
