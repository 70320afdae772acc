"""What a run begins with: the network in its guises, and the step that trains it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from semagram.experiment import Experiment
from semagram.layouts.geometry import Geometry
from semagram.models.tagged import network_of
from semagram.training.batches import Batches
from semagram.training.guises import Guises
from semagram.training.prior import Prior
from semagram.training.progress import Watcher
from semagram.training.start import begin_from
from semagram.training.step import TrainingStep
from semagram.training.tags import TagSheet
from semagram.training.tokenised import TokenisedText

if TYPE_CHECKING:
    from lightning_fabric import Fabric


def made(
    experiment: Experiment,
    text: TokenisedText,
    fabric: Fabric,
    watch: Watcher,
    prior: Prior | None,
    sheet: TagSheet | None,
) -> tuple[Guises, TrainingStep]:
    """Build it all from the experiment's seed. ``UserError`` where ``training.start`` does not fit."""
    settings, layout = experiment.training, experiment.layout
    batches = Batches(text.train, layout.count, settings.batch, experiment.seed)
    torch.manual_seed(experiment.seed)
    v, visibility = text.tokenizer.vocabulary_size, experiment.objective.visibility
    network = network_of(experiment.model, v, layout, visibility)
    if settings.start is not None:
        begin_from(settings.start, network, text.tokenizer, watch.notice)
    geometry = Geometry.of(layout.positions(), visibility).to(fabric.device)
    guises = Guises(network, settings, fabric)
    step = TrainingStep(
        fabric=fabric,
        network=guises.faster,
        objective=experiment.objective,
        geometry=geometry,
        half_geometry=geometry.narrow(0, layout.count // 2) if settings.halved else None,
        batches=batches,
        stepper=settings.optimiser.build(network),
        mask_id=v,
        seed=experiment.seed,
        accumulate=settings.accumulate,
        clip=settings.clip,
        generator=torch.Generator(),
        beside_text=sheet if prior is None else prior.cross_fitted,
    )
    return guises, step
