"""The families of checkpoints that are read: each one function from settings and tensors to a ``Checkpoint``."""

from collections.abc import Callable

from semagram.hub.checkpoint import Checkpoint
from semagram.hub.families import bert, gpt, gpt_alibi, llama, t5, vit
from semagram.hub.families.llama_kinds import KINDS
from semagram.hub.settings import Settings
from semagram.hub.tensors import Tensors

Family = Callable[[Settings, Tensors], Checkpoint]

FAMILIES: dict[str, Family] = {
    "bert": bert.bert,
    "bloom": gpt_alibi.bloom,
    "camembert": bert.roberta,
    "distilbert": bert.distilbert,
    "falcon": gpt.falcon,
    "gpt2": gpt.gpt2,
    "gpt_bigcode": gpt_alibi.gpt_bigcode,
    "gpt_neox": gpt.gpt_neox,
    "gptj": gpt.gptj,
    "mpt": gpt_alibi.mpt,
    "opt": gpt.opt,
    "roberta": bert.roberta,
    "t5": t5.t5,
    "mt5": t5.t5,
    "vit": vit.vit,
    "xlm-roberta": bert.roberta,
    **dict.fromkeys(KINDS, llama.read),
}
"""By the ``model_type`` of ``config.json``."""
