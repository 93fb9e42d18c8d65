"""PPO's update as one would first write it in MLX: the floor of ``benchmarks.ppo``, and its check.

Plain modules, automatic differentiation, one optimizer a net, one look at the KL per minibatch.

Must not: be made faster: it is what the learner is measured against and must agree with.
"""

from __future__ import annotations

from collections.abc import Sequence

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from mlx import optimizers

from strategies.batch import Batch, IntArray
from strategies.networks import ActorCritic, Architecture
from strategies.packed import PackedForward
from strategies.ppo import normalised
from strategies.ppo_settings import PpoSettings
from strategies.rl_mlx import log_softmax


class PlainLearner:
    """The plain loop over networks that it changes in place."""

    def __init__(self, networks: ActorCritic, features: int, settings: PpoSettings) -> None:
        self.networks = networks
        self._features = features
        self._settings = settings
        betas = [settings.adam_beta1, settings.adam_beta2]
        epsilon = settings.adam_epsilon
        self._actor = optimizers.Adam(settings.actor_rate, betas, epsilon, bias_correction=True)
        self._critic = optimizers.Adam(settings.critic_rate, betas, epsilon, bias_correction=True)

    def update(self, batch: Batch, order: Sequence[IntArray]) -> int:
        """Step on each minibatch until the KL is over the target; return the steps taken."""
        gradient_of = nn.value_and_grad(self.networks, self.loss)
        for steps, part in enumerate(order):
            (_, kl), gradients = gradient_of(
                self.networks,
                mx.array(batch.windows[part]),
                mx.array(batch.actions[part]),
                mx.array(batch.log_probabilities[part]),
                mx.array(batch.values[part]),
                mx.array(normalised(batch.advantages[part])),
                mx.array(batch.returns[part]),
            )
            if kl.item() > self._settings.target_kl:
                return steps
            gradients, _ = optimizers.clip_grad_norm(gradients, self._settings.gradient_norm)
            self._actor.update(self.networks.actor, gradients["actor"])
            self._critic.update(self.networks.critic, gradients["critic"])
            mx.eval(self.networks.parameters(), self._actor.state, self._critic.state)
        return len(order)

    def loss(
        self,
        networks: ActorCritic,
        windows: mx.array,
        actions: mx.array,
        log_probabilities: mx.array,
        values: mx.array,
        advantages: mx.array,
        returns: mx.array,
    ) -> tuple[mx.array, mx.array]:
        """Return the loss of a minibatch and the KL from the policy that acted."""
        settings = self._settings
        clip = settings.clip
        current = windows[:, -self._features :]
        logits = networks.actor(current, windows)
        log_policy = nn.log_softmax(logits, axis=-1)
        chosen = mx.take_along_axis(log_policy, actions[:, None], axis=-1)[:, 0]
        log_ratio = chosen - log_probabilities
        ratio = mx.exp(log_ratio)
        policy_loss = mx.maximum(
            -advantages * ratio, -advantages * mx.clip(ratio, 1 - clip, 1 + clip)
        ).mean()
        value = networks.critic(current, windows)
        kept = values + mx.clip(value - values, -clip, clip)
        value_loss = 0.5 * mx.maximum((value - returns) ** 2, (kept - returns) ** 2).mean()
        entropy = -(mx.exp(log_policy) * log_policy).sum(axis=-1).mean()
        kl = ((ratio - 1) - log_ratio).mean()
        loss = policy_loss - settings.entropy_coefficient * entropy
        return loss + settings.value_coefficient * value_loss, mx.stop_gradient(kl)


def made_up_batch(seed: int, samples: int, windows_width: int, actions: int) -> Batch:
    """Return a batch of random numbers whose log-probabilities nobody acted on."""
    generator = np.random.default_rng(seed)
    values = generator.normal(0.0, 0.3, samples).astype(np.float32)
    advantages = generator.normal(0.0, 1.0, samples).astype(np.float32)
    policy = generator.dirichlet(np.full(actions, 5.0), samples)
    chosen = generator.integers(0, actions, samples)
    return Batch(
        windows=generator.uniform(-1, 1, (samples, windows_width)).astype(np.float32),
        actions=chosen,
        log_probabilities=np.log(policy[np.arange(samples), chosen]).astype(np.float32),
        values=values,
        advantages=advantages,
        returns=values + advantages,
        win_rate=0.5,
    )


def acted_batch(networks: ActorCritic, shape: Architecture, samples: int, seed: int) -> Batch:
    """Return a made-up batch with what the packed forward says, one decision at a time."""
    batch = made_up_batch(seed, samples, shape.window_width, shape.actions)
    packed = PackedForward(shape, networks)
    said = [packed(window[None]) for window in batch.windows]
    acted = [
        log_softmax(forward.logits[0])[action]
        for forward, action in zip(said, batch.actions, strict=True)
    ]
    values = np.array([forward.values[0] for forward in said], dtype=np.float32)
    return batch._replace(
        log_probabilities=np.array(acted, dtype=np.float32),
        values=values,
        returns=values + batch.advantages,
    )
