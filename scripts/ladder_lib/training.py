"""Training of small classifiers by Adam, deterministic for a seed."""

from __future__ import annotations

import numpy as np

from . import graph as networks

BATCH = 32
RATE = 2e-3
DECAYS = (0.9, 0.999)
WEIGHT_DECAY = 1e-4


def _softmax(logits):
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


class Adam:
    """Adam's moments for each weight of a graph; the rate falls as a half cosine over all steps."""

    def __init__(self, graph, steps):
        self.graph, self.steps, self.step = graph, steps, 0
        self.first = {name: np.zeros_like(value) for name, value in graph.weights.items()}
        self.second = {name: np.zeros_like(value) for name, value in graph.weights.items()}

    def apply(self, gradients):
        """One step."""
        self.step += 1
        rate = RATE * 0.5 * (1 + np.cos(np.pi * self.step / self.steps))
        for name, gradient in gradients.items():
            gradient = gradient + WEIGHT_DECAY * self.graph.weights[name]
            self.first[name] = DECAYS[0] * self.first[name] + (1 - DECAYS[0]) * gradient
            self.second[name] = DECAYS[1] * self.second[name] + (1 - DECAYS[1]) * gradient**2
            first = self.first[name] / (1 - DECAYS[0] ** self.step)
            second = self.second[name] / (1 - DECAYS[1] ** self.step)
            change = rate * first / (np.sqrt(second) + 1e-8)
            self.graph.weights[name] = (self.graph.weights[name] - change).astype(np.float32)


def train(graph, images, labels, epochs):
    """Fits the graph to labels 0 to 9 by cross entropy."""
    optimiser = Adam(graph, epochs * -(-len(images) // BATCH))
    for _ in range(epochs):
        order = graph.generator.permutation(len(images))
        for start in range(0, len(order), BATCH):
            chosen = order[start : start + BATCH]
            values = networks.forward(graph, images[chosen], keep=True)
            gradient = _softmax(values[graph.output])
            gradient[np.arange(len(chosen)), labels[chosen]] -= 1
            optimiser.apply(networks.backward(graph, values, gradient / np.float32(len(chosen))))


def accuracy(graph, images, labels):
    """Share of samples whose largest logit is the label."""
    return float((networks.forward(graph, images).argmax(axis=1) == labels).mean())
