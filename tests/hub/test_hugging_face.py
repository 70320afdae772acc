"""Families of checkpoints beside transformers: logits within 1e-4, greedy texts token for token, refusals by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from hub.checkpoints import V, greedy, saved, some_ids
from semagram.errors import UserError
from semagram.hub.families import FAMILIES
from semagram.hub.hugging_face import load, load_network, logits
from semagram.layouts import Sequence
from semagram.predictors import RankByRank, predictor_of

pytest.importorskip("transformers")
pytestmark = pytest.mark.filterwarnings("ignore")

TOLERANCE = 1e-4
B: dict[str, Any] = {
    "vocab_size": V,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": None,
}
G: dict[str, Any] = {"vocab_size": V, "n_embd": 32, "n_layer": 2, "n_head": 4, "bos_token_id": 1, "eos_token_id": 2}
G["n_positions"] = 64
M = {name: value for name, value in B.items() if name != "num_key_value_heads"}
OPT = {"vocab_size": V, "hidden_size": 32, "ffn_dim": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
OPT |= {"max_position_embeddings": 64, "word_embed_proj_dim": 32, "pad_token_id": 0, "bos_token_id": 1}


def rope(**given: Any) -> dict[str, Any]:
    return {**B, "rope_parameters": {"rope_theta": 10_000.0, **given}}


LLAMA3 = {"rope_type": "llama3", "factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
GEMMA = {**B, "head_dim": 16, "sliding_window": 5, "query_pre_attn_scalar": 24}
GRANITE = {"embedding_multiplier": 3.0, "logits_scaling": 2.0, "residual_multiplier": 0.3, "attention_multiplier": 0.2}

CAUSAL: dict[str, tuple[str, dict[str, Any]]] = {
    "gpt2": ("GPT2", G),
    "gpt2 with a head of its own": ("GPT2", {**G, "tie_word_embeddings": False, "n_inner": 20}),
    "llama": ("Llama", B),
    "llama tied, with biases": ("Llama", {**B, "tie_word_embeddings": True, "attention_bias": True, "mlp_bias": True}),
    "llama without groups": ("Llama", {**B, "num_key_value_heads": 4, "head_dim": 12}),
    "llama 3": ("Llama", rope(**LLAMA3, original_max_position_embeddings=16)),
    "llama stretched": ("Llama", rope(rope_type="linear", factor=4.0)),
    "llama yarn": ("Llama", rope(rope_type="yarn", factor=4.0, original_max_position_embeddings=16)),
    "mistral": ("Mistral", {**B, "sliding_window": 5}),
    "mistral without a window": ("Mistral", {**B, "sliding_window": None}),
    "gemma": ("Gemma", {**B, "head_dim": 16}),
    "gemma2": ("Gemma2", {**GEMMA, "num_hidden_layers": 3}),
    "gemma2 without caps": ("Gemma2", {**GEMMA, "attn_logit_softcapping": None, "final_logit_softcapping": None}),
    "gemma3": ("Gemma3Text", {**GEMMA, "num_hidden_layers": 7}),
    "gpt_neox": ("GPTNeoX", M),
    "gpt_neox one after the other": (
        "GPTNeoX",
        {**M, "use_parallel_residual": False, "attention_bias": False, "tie_word_embeddings": True},
    ),
    "qwen2": ("Qwen2", B),
    "qwen2 with windows above": (
        "Qwen2",
        {**B, "use_sliding_window": True, "sliding_window": 4, "max_window_layers": 1},
    ),
    "qwen3": ("Qwen3", {**B, "head_dim": 16}),
    "phi": ("Phi", {**B, "num_key_value_heads": 4}),
    "stablelm": ("StableLm", B),
    "stablelm side by side": ("StableLm", {**B, "use_parallel_residual": True, "use_qkv_bias": True}),
    "gptj": ("GPTJ", {**G, "rotary_dim": 4}),
    "opt": ("OPT", OPT),
    "falcon": ("Falcon", M),
    "falcon new": ("Falcon", {**M, "new_decoder_architecture": True, "num_kv_heads": 2}),
    "falcon old": ("Falcon", {**M, "multi_query": False, "parallel_attn": False, "bias": True}),
    "bloom": ("Bloom", {"vocab_size": V, "hidden_size": 32, "n_layer": 2, "n_head": 4, "bos_token_id": 1}),
    "olmo": ("Olmo", B),
    "granite": ("Granite", {**B, **GRANITE, "tie_word_embeddings": True}),
    "starcoder2": ("Starcoder2", {**B, "sliding_window": 6}),
    "cohere": ("Cohere", {**B, "pad_token_id": 0}),
    "phi3": ("Phi3", {**B, "pad_token_id": 0, "sliding_window": 6}),
    "smollm3": ("SmolLM3", {**B, "num_hidden_layers": 4}),
    "arcee": ("Arcee", B),
    "nemotron": ("Nemotron", {**B, "head_dim": 8}),
    "cohere2": ("Cohere2", {**B, "num_hidden_layers": 4, "sliding_window": 5, "pad_token_id": 0}),
    "mpt": ("Mpt", {"vocab_size": V, "d_model": 32, "n_heads": 4, "n_layers": 2, "max_seq_len": 64}),
    "gpt_bigcode": ("GPTBigCode", G),
    "mixtral": ("Mixtral", {**B, "num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": 7}),
}
CLASSES = {"GPT2": "GPT2LMHeadModel", "Gemma3Text": "Gemma3ForCausalLM"}


@pytest.mark.parametrize("name", CAUSAL)
def test_a_causal_family(name: str, tmp_path: Path) -> None:
    kind, settings = CAUSAL[name]
    peer = saved(tmp_path, kind, CLASSES.get(kind, f"{kind}ForCausalLM"), **settings)
    loaded, ids = load_network(tmp_path), some_ids()
    with torch.no_grad():
        theirs = peer(ids).logits
        told = {"max_new_tokens": 22, "do_sample": False, "eos_token_id": None, "pad_token_id": 0}
        text = peer.generate(ids[:, :6], attention_mask=torch.ones(2, 6, dtype=torch.long), **told)
    assert float((logits(loaded, ids) - theirs).abs().max()) <= TOLERANCE
    assert torch.equal(greedy(loaded, ids[:, :6], 22), text)


def test_the_slot_before_a_text_shows_their_begin_token(tmp_path: Path) -> None:
    peer = saved(tmp_path, "Llama", "LlamaForCausalLM", **B)
    loaded, ids = load_network(tmp_path), some_ids()
    predictor = predictor_of(loaded.network, Sequence(loaded.capacity), RankByRank())  # type: ignore[arg-type]
    mine = predictor.open(predictor.canvas(ids.shape[1]), 2).read(ids)
    begun = torch.cat([torch.ones(2, 1, dtype=torch.long), ids[:, :-1]], dim=1)
    with torch.no_grad():
        assert float((mine - peer(begun).logits.log_softmax(-1)).abs().max()) <= TOLERANCE


def test_padding_of_a_causal_family(tmp_path: Path) -> None:
    peer = saved(tmp_path, "Gemma2", "Gemma2ForCausalLM", **GEMMA)
    ids, keep = some_ids(), torch.ones(2, 23, dtype=torch.bool)
    keep[0, 9:] = False
    with torch.no_grad():
        theirs = peer(ids, attention_mask=keep.long()).logits
    mine = logits(load_network(tmp_path), ids, keep)
    assert float((mine - theirs)[keep].abs().max()) <= TOLERANCE


BERT = {"vocab_size": V, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
BERT["max_position_embeddings"] = 40
DISTIL = {"vocab_size": V, "dim": 32, "hidden_dim": 48, "n_layers": 2, "n_heads": 4, "max_position_embeddings": 40}


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("Bert", BERT),
        ("Bert", {**BERT, "tie_word_embeddings": False, "type_vocab_size": 3}),
        ("Roberta", {**BERT, "type_vocab_size": 1, "pad_token_id": 1}),
        ("DistilBert", DISTIL),
    ],
)
def test_a_masked_family_with_padding(kind: str, settings: dict[str, Any], tmp_path: Path) -> None:
    peer = saved(tmp_path, kind, f"{kind}ForMaskedLM", **settings)
    ids, keep = some_ids(), torch.ones(2, 23, dtype=torch.bool)
    keep[0, 12:] = False
    ids = ids.masked_fill(~keep, settings.get("pad_token_id", 0))
    with torch.no_grad():
        theirs = peer(ids, attention_mask=keep.long()).logits
    assert float((logits(load_network(tmp_path), ids, keep) - theirs)[keep].abs().max()) <= TOLERANCE


T5 = {"vocab_size": V, "d_model": 32, "d_kv": 6, "d_ff": 48, "num_layers": 2, "num_decoder_layers": 2, "num_heads": 4}
T5 |= {"decoder_start_token_id": 0, "relative_attention_num_buckets": 8, "relative_attention_max_distance": 12}


@pytest.mark.parametrize(
    "more",
    [{}, {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}, {"feed_forward_proj": "gated-silu"}],
    ids=["relu", "1.1", "gated silu"],
)
def test_t5(more: dict[str, Any], tmp_path: Path) -> None:
    peer = saved(tmp_path, "T5", "T5ForConditionalGeneration", **{**T5, **more})
    loaded, source = load_network(tmp_path), some_ids()
    network: Any = loaded.network
    keep = torch.ones(2, 23, dtype=torch.bool)
    keep[0, 15:] = False
    inputs = torch.cat([torch.zeros(2, 1, dtype=torch.long), some_ids(2, 12)], dim=1)
    shown = inputs.clone()
    shown[:, 0] = V  # the reserved id stands for the token that decoding starts with
    with torch.no_grad():
        theirs = peer(input_ids=source, attention_mask=keep.long(), decoder_input_ids=inputs).logits
        mine = network(source, shown, keep)
        told = {"max_new_tokens": 22, "do_sample": False, "eos_token_id": None}
        text = peer.generate(input_ids=source, attention_mask=keep.long(), **told)[:, 1:]
    assert float((mine - theirs).abs().max()) <= TOLERANCE
    predictor = predictor_of(network.given(source, keep), Sequence(22), RankByRank())
    state = predictor.open(predictor.canvas(22), 2)
    written = []
    for _ in range(22):
        written.append(state.log_probs().argmax(-1))
        state.write(written[-1])
    assert torch.equal(torch.cat(written, dim=1), text)


@pytest.mark.parametrize("more", [{}, {"image_size": (8, 12), "qkv_bias": False, "num_channels": 1}])
def test_vit(more: dict[str, Any], tmp_path: Path) -> None:
    settings = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    settings |= {"image_size": 12, "patch_size": 4, "num_labels": 5, **more}
    peer = saved(tmp_path, "ViT", "ViTForImageClassification", **settings)
    height, width = settings["image_size"] if "image_size" in more else (12, 12)  # type: ignore[misc]
    image = torch.randn(2, settings.get("num_channels", 3), height, width, generator=torch.Generator().manual_seed(1))  # type: ignore[call-overload]
    with torch.no_grad():
        assert float((peer(image).logits - load_network(tmp_path).network(image)).abs().max()) <= TOLERANCE


def test_a_checkpoint_in_several_files(tmp_path: Path) -> None:
    peer = saved(tmp_path, "Llama", "LlamaForCausalLM", **B)
    whole = load_network(tmp_path).network.state_dict()
    (tmp_path / "model.safetensors").unlink()
    peer.save_pretrained(tmp_path, max_shard_size="20KB")
    assert (tmp_path / "model.safetensors.index.json").is_file() and not (tmp_path / "model.safetensors").exists()
    parts = load_network(tmp_path).network.state_dict()
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_old_rotary_settings_are_read_too(tmp_path: Path) -> None:
    saved(tmp_path, "Llama", "LlamaForCausalLM", **rope(**LLAMA3, original_max_position_embeddings=16))
    new = load_network(tmp_path).config
    change(tmp_path, rope_parameters=None, rope_theta=10_000.0)
    change(tmp_path, rope_scaling={**LLAMA3, "original_max_position_embeddings": 16})
    assert load_network(tmp_path).config == new


def change(folder: Path, **settings: Any) -> None:
    """Other settings in a saved config.json."""
    values = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**values, **settings}))


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"model_type": "lama"}, "lama model; families .* Did you mean .llama"),
        ({"hidden_act": "softplus"}, "hidden_act='softplus' is not supported"),
        ({"rope_parameters": {"rope_type": "dynamic", "factor": 2.0}}, "rope_type='dynamic' .*keys"),
        ({"rope_parameters": {"rope_type": "longrope", "factor": 2.0}}, "rope_type='longrope' is not supported"),
        ({"rope_parameters": {"rope_type": "yarn", "factor": 2.0, "mscale": 1.0}}, "yarn's mscale=1.0"),
        ({"num_hidden_layers": 1}, "tensors that its config.json does not ask for: layers.1"),
        ({"num_hidden_layers": 3}, "no tensor layers.2"),
        ({"intermediate_size": 40}, "instead of"),
        ({"num_hidden_layers": None}, "needs num_hidden_layers, a whole number above 0"),
        ({"layer_types": ["sliding_attention", "full_attention"]}, "layer_types"),
        ({"model_type": "stablelm", "qk_layernorm": True}, "qk_layernorm=True is not supported"),
    ],
)
def test_what_is_not_supported_is_named(changed: dict[str, Any], told: str, tmp_path: Path) -> None:
    saved(tmp_path, "Llama", "LlamaForCausalLM", **B)
    change(tmp_path, **changed)
    with pytest.raises(UserError, match=told):
        load_network(tmp_path)


def test_what_is_no_checkpoint_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no config"):
        load_network(tmp_path)
    with pytest.raises(UserError, match="is not a folder, and no name"):
        load_network("some/where/else")
    saved(tmp_path, "Llama", "LlamaForCausalLM", **B)
    with pytest.raises(UserError, match="no tokenizer"):
        load(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"no tensors")
    with pytest.raises(UserError, match="damaged"):
        load_network(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(UserError, match="other formats"):
        load_network(tmp_path)


def test_every_family_is_tested() -> None:
    """Relatives that share a reading have a row above; some are others by another name."""
    asked = {name.split()[0] for name in CAUSAL} - {"gemma3"} | {"gemma3_text"}
    assert set(FAMILIES) == asked | {"bert", "roberta", "camembert", "xlm-roberta", "distilbert", "t5", "mt5", "vit"}
