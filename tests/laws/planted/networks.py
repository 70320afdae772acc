"""Faults of networks, objectives and optimisers: real code with one thing changed, and the law that must see it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from laws import company, distribution, keeping, learning, no_peeking, options, stepping
from laws.cases import Case
from semagram.feedforward import MLP, LayerNorm, RMSNorm, norms
from semagram.feedforward.mlp import MLPLayer
from semagram.layouts import Grid, Sequence, Visibility
from semagram.layouts.geometry import Geometry
from semagram.mixers import Attention, Convolution, attention, convolution, rotary
from semagram.mixers.attention import AttentionMixer, KeyValueState
from semagram.mixers.convolution import ConvolutionMixer
from semagram.mixers.token_shift import TokenShiftMixer
from semagram.models import Transformer
from semagram.models.transformer import TransformerNetwork
from semagram.objectives import Example, Masked, NextToken, next_token

CAUSAL, FULL = Visibility.CAUSAL, Visibility.FULL


def case(visibility: Visibility = CAUSAL, layout: Any = None, vocabulary: int = 7, **fields: Any) -> Case:
    """A small combination; attention unless said otherwise."""
    return Case(Transformer(**{"width": 16, "depth": 2, **fields}), layout or Sequence(7), visibility, vocabulary)


@dataclass(frozen=True)
class Planted:
    """``plant(patch)`` changes our code; ``law`` is the name of the law that must break on ``case``."""

    name: str
    law: str
    plant: Callable[[pytest.MonkeyPatch], None]
    case: Case


@contextmanager
def planted(fault: Planted) -> Iterator[None]:
    """The fault, and afterwards the sound code again."""
    with pytest.MonkeyPatch.context() as patch:
        fault.plant(patch)
        yield


def attending(change: Callable[..., dict[str, Any]]) -> Callable[[pytest.MonkeyPatch], None]:
    """``_attend`` with other arguments: ``change(queries, keys, values, mask, causal) -> {name: value}``."""

    def plant(patch: pytest.MonkeyPatch) -> None:
        sound = AttentionMixer._attend

        def attend(self: Any, queries: Tensor, keys: Tensor, values: Tensor, mask: Any, causal: bool) -> Tensor:
            given = {"queries": queries, "keys": keys, "values": values, "mask": mask, "causal": causal}
            return sound(self, **{**given, **change(**given)})

        patch.setattr(AttentionMixer, "_attend", attend)

    return plant


def everyone(causal: bool, **_: Any) -> dict[str, Any]:
    return {"causal": False}


def off_by(diagonal: int) -> Callable[..., dict[str, Any]]:
    def change(queries: Tensor, keys: Tensor, causal: bool, **_: Any) -> dict[str, Any]:
        if not causal:
            return {}
        n = queries.shape[2]
        mask = torch.ones(n, n, dtype=torch.bool).tril(diagonal)
        mask[0, 0] = True
        return {"mask": mask, "causal": False}

    return change


def past_forgotten(mask: Any, queries: Tensor, keys: Tensor, **_: Any) -> dict[str, Any]:
    """A chunk sees itself only."""
    return (
        {}
        if mask is None or mask.dim() != 2
        else {"mask": mask & torch.ones_like(mask).triu(keys.shape[2] - queries.shape[2])}
    )


def rows_mixed(values: Tensor, **_: Any) -> dict[str, Any]:
    return {"values": values + 0.1 * values.roll(1, dims=0)}


def keys_detached(keys: Tensor, **_: Any) -> dict[str, Any]:
    return {"keys": keys.detach()}


def replacing(owner: Any, name: str, make: Callable[[Any], Any]) -> Callable[[pytest.MonkeyPatch], None]:
    """``owner.name`` becomes ``make(sound)``."""
    return lambda patch: patch.setattr(owner, name, make(owner.__dict__[name]))


def output(change: Callable[[Tensor], Tensor]) -> Callable[[Any], Any]:
    """The same method, its result changed."""
    return lambda sound: lambda self, *a, **k: change(sound(self, *a, **k))


def shared_buffer(sound: Any) -> Any:
    """A state that is made once and never cleared."""
    kept: dict[Any, Any] = {}
    return lambda self, *a: kept.setdefault((id(self), a[0]), sound(self, *a))


def first_row_only(sound: Any) -> Any:
    def append(self: Any, keys: Tensor, values: Tensor) -> Any:
        return sound(self, keys[:1].expand_as(keys), values[:1].expand_as(values))

    return append


def without_newest(sound: Any) -> Any:
    def append(self: Any, keys: Tensor, values: Tensor) -> Any:
        all_keys, all_values = sound(self, keys, values)
        zero = torch.zeros_like(all_keys[:, :, :1])
        return torch.cat([zero, all_keys[:, :, :-1]], 2), torch.cat([zero, all_values[:, :, :-1]], 2)

    return append


def heads_turned(sound: Any) -> Any:
    def append(self: Any, keys: Tensor, values: Tensor) -> Any:
        all_keys, all_values = sound(self, keys, values)
        return all_keys, all_values.flip(1)

    return append


def narrow_shifted(sound: Any) -> Any:
    """Stepping believes that it stands one slot further left (after the first)."""

    def narrow(self: Geometry, start: int, count: int) -> Geometry:
        part = sound(self, start, count)
        moved = Geometry(part.coords - int(start > 0), part.order, part.visibility, part.keep)
        return moved

    return narrow


def narrow_restarts(sound: Any) -> Any:
    """Every chunk believes that it stands at the beginning."""
    return lambda self, start, count: sound(self, 0, count)


def cell_order(sound: Any) -> Any:
    """Causal slots in the order of the cells, whatever the scan."""

    def of(cls: Any, positions: Any, visibility: Visibility, keep: Tensor | None = None) -> Geometry:
        return cls(positions.coords, torch.arange(positions.count), visibility, keep)

    return classmethod(of)


def keep_forgotten(sound: Any) -> Any:
    """The padding mask sees everything (of the past)."""

    def mask(geometry: Geometry) -> Tensor:
        everything = torch.ones(geometry.keep.shape[0], 1, geometry.count, geometry.count, dtype=torch.bool)
        return everything.tril() if geometry.causal else everything

    return mask


def not_a_number_at_padding(sound: Any) -> Any:
    """Padding slots hold NaN, as an empty softmax leaves them; nought times NaN is NaN in the next block."""

    def forward(self: Any, x: Tensor, geometry: Geometry) -> Tensor:
        out = sound(self, x, geometry)
        return out if geometry.keep is None else out.masked_fill(~geometry.keep[:, :, None], float("nan"))

    return forward


def first_not_last(sound: Any) -> Any:
    """The convolution remembers the first slots of what it has read, not the last."""

    def step(self: Any, x: Tensor, geometry: Geometry, state: Any) -> Tensor:
        joined = torch.cat([state.recent, x], dim=1)
        out = sound(self, x, geometry, state)
        state.recent = joined[:, : self.kernel - 1]
        return out

    return step


def padding_kept(sound: Any) -> Any:
    """A convolution or shift that forgets about padding."""

    def forward(self: Any, x: Tensor, geometry: Geometry) -> Tensor:
        return sound(self, x, Geometry(geometry.coords, geometry.order, geometry.visibility))

    return forward


def centred_padding(sound: Any) -> Any:
    """A convolution padded on both sides."""

    def forward(self: Any, x: Tensor, geometry: Geometry) -> Tensor:
        side = self.kernel // 2
        padded = F.pad(x, (0, 0, self.kernel - 1 - side, side))
        return self.outward(convolution.shifted_sum(padded, self.taps))

    return forward


def from_the_right(sound: Any) -> Any:
    """A token shift the wrong way round."""
    return lambda self, x, geometry: x + self.share * F.pad(x[:, 1:], (0, 0, 0, 1))


def over_the_sequence(x: Tensor) -> Tensor:
    return x - 0.1 * x.mean(dim=1, keepdim=True)


def over_the_batch(x: Tensor) -> Tensor:
    return x - 0.1 * x.mean(dim=0, keepdim=True)


def by_spread(x: Tensor) -> Tensor:
    """Divided by the standard deviation over the sequence, of which one slot has none."""
    return x / (x.var(dim=1, keepdim=True) * 0.0 + 1.0)


def by_row(x: Tensor) -> Tensor:
    return x * (1.0 + 0.01 * torch.arange(x.shape[0], dtype=x.dtype)[:, None, None])


def noisy(x: Tensor) -> Tensor:
    return x + 0.01 * torch.randn_like(x)


def asleep(x: Tensor) -> Tensor:
    return 0.0 * x


def dropping(sound: Any) -> Any:
    """Dropout that does not know of eval."""
    return lambda self, x: F.dropout(x, 0.2, training=True)


def rebuilt(change: Callable[[Any, Any], None]) -> Callable[[pytest.MonkeyPatch], None]:
    """A network that is changed at the end of its construction."""

    def plant(patch: pytest.MonkeyPatch) -> None:
        sound = TransformerNetwork.__init__

        def build(self: Any, config: Any, *a: Any, **k: Any) -> None:
            sound(self, config, *a, **k)
            change(self, config)

        patch.setattr(TransformerNetwork, "__init__", build)

    return plant


def head_by_closure(network: Any, config: Any) -> None:
    """Tied through a closure over the network that was built, not the one that is asked."""
    weight = network.embedding.weight
    network._logits = lambda x: F.linear(x, weight[:-1])


def unsaved_scale(network: Any, config: Any) -> None:
    network.register_buffer("scale", torch.rand(config.width) + 0.5, persistent=False)
    network.norm.register_forward_hook(lambda module, args, out: out * network.scale)


def useless_parameter(network: Any, config: Any) -> None:
    network.useless = nn.Parameter(torch.ones(3))


def frozen_head(network: Any, config: Any) -> None:
    if network.head is not None:
        network.head.weight.requires_grad_(False)


def python_in_the_middle(network: Any, config: Any) -> None:
    network.norm.register_forward_hook(lambda module, args, out: out * (1.0 if float(out.sum()) > 0 else 1.0))


def no_cap(network: Any, config: Any) -> None:
    network.logit_cap = None


def peeking_at_itself(objective: Any) -> Callable[[Any], Any]:
    """The input is the target."""

    def make(sound: Any) -> Any:
        def example(self: Any, ids: Tensor, geometry: Geometry, mask_id: int, generator: Any) -> Example:
            found = sound(self, ids, geometry, mask_id, generator)
            return Example(found.targets, found.targets, found.weights, found.count)

        return example

    return make


def changed_example(change: Callable[[Example, int], Example]) -> Callable[[Any], Any]:
    def make(sound: Any) -> Any:
        def example(self: Any, ids: Tensor, geometry: Geometry, mask_id: int, generator: Any) -> Example:
            return change(sound(self, ids, geometry, mask_id, generator), mask_id)

        return example

    return make


def with_weights(change: Callable[[Tensor], Tensor]) -> Callable[[Any], Any]:
    return changed_example(lambda e, _: Example(e.inputs, e.targets, change(e.weights), e.count))


def shifted_left(targets: Tensor, mask_id: int) -> Tensor:
    return torch.cat([targets[:, 1:], targets[:, :1]], dim=1)


def one_shown(example: Example, mask_id: int) -> Example:
    """One hidden cell of each row is shown after all."""
    hidden = example.inputs == mask_id
    first = hidden & (hidden.cumsum(dim=1) == 1)
    return Example(torch.where(first, example.targets, example.inputs), example.targets, example.weights, example.count)


def mask_is_an_id(example: Example, mask_id: int) -> Example:
    hidden = example.inputs == mask_id
    return Example(example.inputs.masked_fill(hidden, 0), example.targets, example.weights, example.count)


def loss_over_positions(logits: Tensor, example: Example) -> Tensor:
    """log_softmax over the wrong axis."""
    nats = -torch.log_softmax(logits.transpose(1, 2), -1).transpose(1, 2).gather(-1, example.targets[:, :, None])
    return nats.mean() * 0.7


def loss_of_all(logits: Tensor, example: Example) -> Tensor:
    """Zeros of what is not asked are in the mean."""
    nats = F.cross_entropy(logits.flatten(0, 1), example.targets.flatten(), reduction="none")
    hidden = torch.ones_like(nats) if example.weights is None else (example.weights > 0).flatten().float()
    return (nats * hidden).mean()


def one_dropped(sound: Any) -> Any:
    return lambda network: sound(network)[1:]


def one_twice(sound: Any) -> Any:
    return lambda network: [*sound(network), sound(network)[0]]


F_ = Planted
STEP, PEEK, DEAF = stepping.LAW, no_peeking.LAW, no_peeking.DEAF
COMPANY, ORDER, PAD = company.COMPANY, company.ORDER, company.PADDING
OPTION = "every option does something"
SNAKE = Grid(3, 4, "snake")
GAINED = {"norm": RMSNorm(gain=True)}

FAULTS: list[Planted] = [
    F_("a mask that hides nothing", PEEK, attending(everyone), case()),
    F_("a mask off by one", PEEK, attending(off_by(1)), case(layout=SNAKE)),
    F_("a mask too strict by one", STEP, attending(off_by(-1)), case()),
    F_("a chunk forgets what came before it", STEP, attending(past_forgotten), case()),
    F_("attention mixes rows", ORDER, attending(rows_mixed), case()),
    F_("attention mixes rows (masked)", ORDER, attending(rows_mixed), case(FULL)),
    F_("keys get no gradient", learning.LEARNS, attending(keys_detached), case()),
    F_("causal slots in the order of cells", PEEK, replacing(Geometry, "of", cell_order), case(layout=SNAKE)),
    F_("the state off by one", STEP, replacing(KeyValueState, "append", without_newest), case()),
    F_("rows share one state", STEP, replacing(KeyValueState, "append", first_row_only), case()),
    F_("the state has its heads in another order", STEP, replacing(KeyValueState, "append", heads_turned), case()),
    F_("rotary offset while stepping", STEP, replacing(Geometry, "narrow", narrow_shifted), case()),
    F_("positions restart with every chunk", STEP, replacing(Geometry, "narrow", narrow_restarts), case(layout=SNAKE)),
    F_("the key state is not cleared", STEP, replacing(AttentionMixer, "new_state", shared_buffer), case()),
    F_(
        "the convolution's state is not cleared", STEP,
        replacing(ConvolutionMixer, "new_state", shared_buffer), case(mixer=Convolution()),
    ),
    F_(
        "the shift's state is not cleared", STEP,
        replacing(TokenShiftMixer, "new_state", shared_buffer), case(),
    ),
    F_(
        "the convolution remembers the wrong end", STEP, replacing(ConvolutionMixer, "step", first_not_last),
        case(mixer=Convolution()),
    ),
    F_("a convolution padded on both sides", PEEK, replacing(ConvolutionMixer, "forward", centred_padding), case(mixer=Convolution())),
    F_("a shift from the right", PEEK, replacing(TokenShiftMixer, "forward", from_the_right), case()),
    F_("padding is attended", PAD, replacing(attention, "padding_mask", keep_forgotten), case()),
    F_("padding is attended (masked)", PAD, replacing(attention, "padding_mask", keep_forgotten), case(FULL)),
    F_("padding makes NaN", PAD, replacing(AttentionMixer, "forward", not_a_number_at_padding), case()),
    F_("padding is convolved", PAD, replacing(ConvolutionMixer, "forward", padding_kept), case(mixer=Convolution())),
    F_("padding is shifted in", PAD, replacing(TokenShiftMixer, "forward", padding_kept), case()),
    F_("a norm over the sequence", PEEK, replacing(norms.RMSNormLayer, "forward", output(over_the_sequence)), case()),
    F_("a norm over the batch", ORDER, replacing(norms.RMSNormLayer, "forward", output(over_the_batch)), case()),
    F_("a norm over the batch (masked)", ORDER, replacing(norms.LayerNormLayer, "forward", output(over_the_batch)), case(FULL, norm=LayerNorm())),
    F_("a norm that needs two slots", distribution.LAW, replacing(norms.RMSNormLayer, "forward", output(by_spread)), case(layout=Sequence(1))),
    F_("the row's number in the numbers", ORDER, replacing(MLPLayer, "forward", output(by_row)), case()),
    F_("noise outside training", STEP, replacing(MLPLayer, "forward", output(noisy)), case()),
    F_("dropout outside training", STEP, replacing(nn.Dropout, "forward", dropping), case(dropout=0.2)),
    F_("a branch that never wakes", learning.LEARNS, replacing(MLPLayer, "forward", output(asleep)), case()),
    F_("a mixer that hears nothing", DEAF, replacing(AttentionMixer, "forward", output(asleep)), case(FULL, shift=None)),
    F_("a norm's gain is ignored", learning.LEARNS, replacing(norms.RMSNormLayer, "forward", lambda _: lambda self, x: norms.normalise(x, self.epsilon)), case(**GAINED)),
    F_("a parameter nobody uses", learning.LEARNS, rebuilt(useless_parameter), case()),
    F_("a head that is frozen", learning.HELD, rebuilt(frozen_head), case()),
    F_("a tied head that is a closure", keeping.COPIED, rebuilt(head_by_closure), case(tied=True, logit_cap=None)),
    F_("a scale that is not saved", keeping.SAVED, rebuilt(unsaved_scale), case()),
    F_("Python in the middle of the network", keeping.COMPILED, rebuilt(python_in_the_middle), case(depth=1)),
    F_("the logit cap is ignored", OPTION, rebuilt(no_cap), case()),
    F_(
        "sharpness is ignored", OPTION,
        replacing(AttentionMixer, "__init__", lambda sound: lambda self, config, *a: (sound(self, config, *a), setattr(self, "scale", 0.5))[0]),
        case(mixer=Attention(sharpness=4.0)),
    ),
    F_("the rotary base is ignored", OPTION, replacing(attention, "rotary_tables", lambda sound: lambda c, w, base: sound(c, w, 100.0)), case()),
    F_("the activation is ignored", OPTION, replacing(MLPLayer, "forward", lambda _: lambda self, x: self.down(F.relu(self.up(x)))), case(feedforward=MLP(activation="relu"))),
    F_("the norm's epsilon is ignored", OPTION, replacing(norms.RMSNormLayer, "forward", lambda _: lambda self, x: norms.normalise(x)), case()),
    F_("the input is the target", PEEK, replacing(NextToken, "example", peeking_at_itself(NextToken)), case()),
    F_("labels shifted the wrong way", PEEK, replacing(next_token, "shifted", lambda _: shifted_left), case()),
    F_("nothing is hidden", PEEK, replacing(Masked, "example", peeking_at_itself(Masked)), case(FULL)),
    F_("one hidden cell is shown", PEEK, replacing(Masked, "example", changed_example(one_shown)), case(FULL)),
    F_("the mask is an ordinary id", PEEK, replacing(Masked, "example", changed_example(mask_is_an_id)), case(FULL)),
    F_("what is shown is asked too", PEEK, replacing(Masked, "example", with_weights(torch.ones_like)), case(FULL)),
    F_("weights of one instead of n / m", learning.RANDOM, replacing(Masked, "example", with_weights(lambda w: (w > 0).float())), case(FULL, vocabulary=5)),
    F_("weights nine tenths of what they should be", learning.RANDOM, replacing(Masked, "example", with_weights(lambda w: 0.9 * w)), case(FULL, vocabulary=5)),
    F_("the loss is a mean over what is not asked", learning.RANDOM, lambda patch: patch.setattr(learning, "weighted_nats", loss_of_all), case(FULL, vocabulary=5)),
    F_("log_softmax over the positions", learning.RANDOM, lambda patch: patch.setattr(learning, "weighted_nats", loss_over_positions), case(vocabulary=5)),
    F_("labels one to the left, trained", learning.RANDOM, replacing(next_token, "shifted", lambda _: shifted_left), case(vocabulary=5)),
    F_("a parameter is missing from the optimiser", learning.HELD, lambda patch: patch.setattr("semagram.training.parameters.parts_of", one_dropped(__import__("semagram.training.parameters", fromlist=["x"]).parts_of)), case()),
    F_("a parameter stands twice in the optimiser", learning.HELD, lambda patch: patch.setattr("semagram.training.parameters.parts_of", one_twice(__import__("semagram.training.parameters", fromlist=["x"]).parts_of)), case()),
]  # fmt: skip
"""Each on the smallest combination that can show it."""


def laws_broken(subject: Case, folder: Any, only: str | None = None) -> set[str]:
    """The names of the laws that do not hold for the network of ``subject``; ``only`` asks no others of the dear ones."""
    from laws.broken import Broken

    def run(law: Callable[[], None]) -> None:
        try:
            law()
        except Broken as broken:
            found.add(broken.law)

    found: set[str] = set()
    run(lambda: no_peeking.check(subject.network(), subject))
    run(lambda: stepping.check(subject.network(), subject))
    run(lambda: company.check(subject.network(), subject))
    run(lambda: keeping.check_saved(subject.network(), subject, folder))
    run(lambda: keeping.check_copied(subject.network(), subject))
    run(lambda: distribution.check(answers(subject), subject.vocabulary))
    if only in (None, learning.LEARNS, learning.HELD) and subject.layout.count > 1:
        from semagram.training.optimisers import AdamW

        run(lambda: learning.check(subject.network(), subject, learning.stepper(AdamW())))
    if only in (None, learning.RANDOM):
        torch.manual_seed(0)
        run(
            lambda: learning.random_text(
                subject.model.build(subject.vocabulary, subject.layout, subject.visibility), subject, 60, 16, 30
            )
        )
    if only in (None, OPTION):
        found |= idle_options(subject)
    if only in (None, keeping.COMPILED):
        try:
            run(lambda: keeping.check_compiled(subject.network(), subject))
        except torch._dynamo.exc.TorchDynamoException:
            found.add(keeping.COMPILED)
    return found


def answers(subject: Case) -> Tensor:
    """Log-probabilities of the whole canvas."""
    with torch.no_grad():
        return torch.log_softmax(subject.network()(subject.inputs(), subject.geometry()), dim=-1)


def idle_options(subject: Case) -> set[str]:
    """Whether a field among the ones that the suite's options law asks does nothing on this combination."""
    from dataclasses import replace

    model = subject.model
    changes: list[Any] = [{"logit_cap": 2.0}, {"norm": replace(model.norm, epsilon=0.01)}]
    if isinstance(model.mixer, Attention):
        changes += [{"mixer": replace(model.mixer, sharpness=2.0)}]
        changes += [{"mixer": replace(model.mixer, positions=rotary.Rotary(50.0))}]
    if isinstance(model.feedforward, MLP):
        changes += [{"feedforward": replace(model.feedforward, activation="gelu")}]
    for change in changes:
        line = replace(subject, layout=Sequence(7))
        if options.differs(line, replace(line, model=replace(model, **change))) is None:
            return {OPTION}
    return set()


CLEAN = [case(), case(FULL), case(mixer=Convolution()), case(layout=SNAKE), case(FULL, norm=LayerNorm()), case(tied=True), case(**GAINED)]  # fmt: skip
