"""The one loop of reinforcement learning, blind to the algorithm: sample, score, update, repeat.

Legend: P prompt, G completion of the same prompt, B = P x G completion, T token of the completion.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from whet.algorithms import ALGORITHMS, Algorithm
from whet.core.files import write_json_lines
from whet.core.recipe import RlSettings, TemplateSettings
from whet.core.records import Prompt, Rollout, Score
from whet.core.runlog import MetricsLog, Progress
from whet.core.seeds import seed_for
from whet.data.manifest import open_for_training
from whet.models.decoder import Decoder
from whet.models.load import load_model, save_model
from whet.rewards.combine import RewardSum
from whet.rollout.engine import Sampler
from whet.rollout.sampling import SamplingSettings
from whet.tokens.batches import FlatBatch, TokenGroup, flat_batch, micro_batches
from whet.tokens.template import Template
from whet.train.checkpoint import Checkpoints
from whet.train.examples import usable_prompts, write_dropped
from whet.train.guards import DeadSignalGuard, NonFiniteGuard, require_finite_weights
from whet.train.schedule import learning_rate_at
from whet.train.supervised import require_examples
from whet.train.update import UpdateStats, make_optimizer, update

__all__ = ["train_policy"]
