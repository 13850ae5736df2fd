"""Optimisers by name against PyTorch and the formulas; schedules at their corners; the loss against PyTorch."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxcnn.train import cross_entropy, decays, optimiser, schedule

RNG = np.random.default_rng(3)
KERNEL, BIAS = RNG.normal(size=(4, 3)).astype(np.float32), RNG.normal(size=3).astype(np.float32)
GRADS = RNG.normal(size=(5, 4, 3)).astype(np.float32), RNG.normal(size=(5, 3)).astype(np.float32)


def run(chain, steps=5):
    parameters = {"kernel": jnp.asarray(KERNEL), "bias": jnp.asarray(BIAS)}
    state = chain.init(parameters)
    for step in range(steps):
        grads = {"kernel": GRADS[0][step], "bias": GRADS[1][step]}
        updates, state = chain.update(jax.tree.map(jnp.asarray, grads), state, parameters)
        parameters = optax.apply_updates(parameters, updates)
    return parameters


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_optimiser_is_pytorchs_with_bias_undecayed(name):
    torch = pytest.importorskip("torch")
    kernel, bias = (torch.nn.Parameter(torch.tensor(a)) for a in (KERNEL, BIAS))
    groups = [{"params": [kernel], "weight_decay": 0.1}, {"params": [bias], "weight_decay": 0.0}]
    theirs = {
        "sgd": lambda: torch.optim.SGD(groups, lr=0.05, momentum=0.8, nesterov=True),
        "adamw": lambda: torch.optim.AdamW(groups, lr=0.05),
    }[name]()
    for step in range(5):
        kernel.grad, bias.grad = torch.tensor(GRADS[0][step]), torch.tensor(GRADS[1][step])
        theirs.step()
    ours = run(optimiser(name, 0.05, momentum=0.8, weight_decay=0.1))
    np.testing.assert_allclose(ours["kernel"], kernel.detach(), rtol=1e-5, atol=5e-6)
    np.testing.assert_allclose(ours["bias"], bias.detach(), rtol=1e-5, atol=1e-6)


def test_optimiser_lion_is_the_sign_of_the_blend():
    ours = run(optimiser("lion", 0.05, weight_decay=0.1), steps=2)
    kernel, trace = KERNEL, np.zeros_like(KERNEL)
    for g in GRADS[0][:2]:
        kernel = kernel - 0.05 * (np.sign(0.9 * trace + 0.1 * g) + 0.1 * kernel)
        trace = 0.99 * trace + 0.01 * g
    np.testing.assert_allclose(ours["kernel"], kernel, rtol=1e-5, atol=1e-6)


def test_optimiser_muon_moves_a_convolution_kernel_by_a_nearly_orthogonal_matrix():
    kernel = jnp.asarray(RNG.normal(size=(3, 3, 2, 8)), jnp.float32)  # fan-in 18 × 8
    chain = optimiser("muon", 1.0)
    updates, _ = chain.update({"k": kernel}, chain.init({"k": kernel}), {"k": kernel})
    singular = np.linalg.svd(np.asarray(updates["k"]).reshape(18, 8), compute_uv=False)
    assert singular.max() / singular.min() < 2.5
    assert np.linalg.cond(np.asarray(kernel).reshape(18, 8)) > 2.5


@pytest.mark.parametrize(("momentum", "share"), [(0.0, 0.0), (0.5, 0.15)])
def test_optimiser_muon_remembers_the_gradients_before(momentum, share):
    """A kernel of one column moves in the direction of β m + (1 − β) g, each without the bias of its start, as optax has it.

    After e₁, e₂ and β = ½: m = (¼, ½) / ⅞, g = (0, 1) / ¾, so that e₁ has 0.15 of what e₂ has.
    """
    chain, kernel = optimiser("muon", 1.0, momentum=momentum), {"k": jnp.ones((2, 1))}
    state = chain.init(kernel)
    for g in np.eye(2):
        updates, state = chain.update({"k": jnp.asarray(g[:, None], jnp.float32)}, state, kernel)
    first, second = np.asarray(updates["k"]).ravel()
    assert second < -0.5
    np.testing.assert_allclose(first / second, share, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["sgd", "adamw", "lion", "muon"])
def test_optimiser_decays_kernels_and_no_bias(name):
    """Where the gradient is 0 the decay is all that moves: rate 0.5 × 0.1 × the kernel."""
    chain, parameters = (
        optimiser(name, 0.5, weight_decay=0.1, momentum=0.0),
        {"k": jnp.array([[2.0], [4]]), "b": jnp.ones(3)},
    )
    updates, _ = chain.update(jax.tree.map(jnp.zeros_like, parameters), chain.init(parameters), parameters)
    np.testing.assert_allclose(updates["k"], [[-0.1], [-0.2]], rtol=1e-6)
    np.testing.assert_array_equal(updates["b"], np.zeros(3))


def test_optimiser_counts_the_gradients_of_a_schedule_where_they_accumulate():
    rate = lambda step: 1.0 + step
    chain = optimiser("sgd", rate, momentum=0.0, accumulate=3)
    parameters = {"bias": jnp.zeros(1)}
    state, moved = chain.init(parameters), []
    for _ in range(9):
        updates, state = chain.update({"bias": jnp.ones(1)}, state, parameters)
        moved.append(-updates["bias"].item())
    np.testing.assert_allclose(moved, [0, 0, 1, 0, 0, 4, 0, 0, 7])


def test_optimiser_accumulates_the_mean_gradient():
    one = optimiser("sgd", 0.1, momentum=0.0)
    two = optimiser("sgd", 0.1, momentum=0.0, accumulate=2)
    parameters = {"a": jnp.zeros(2)}
    state = two.init(parameters)
    first, state = two.update({"a": jnp.array([1.0, 2.0])}, state, parameters)
    second, _ = two.update({"a": jnp.array([3.0, 6.0])}, state, parameters)
    expected, _ = one.update({"a": jnp.array([2.0, 4.0])}, one.init(parameters), parameters)
    assert not first["a"].any()
    np.testing.assert_allclose(second["a"], expected["a"], rtol=1e-6)


def test_optimiser_clips_the_norm():
    chain = optimiser("sgd", 1.0, momentum=0.0, clip_norm=1.0)
    updates, _ = chain.update({"a": jnp.array([3.0, 4.0])}, chain.init({"a": jnp.zeros(2)}), {"a": jnp.zeros(2)})
    np.testing.assert_allclose(updates["a"], [-0.6, -0.8], rtol=1e-5)


def test_optimiser_rates_may_be_traced():
    def moved(rate):
        chain = optimiser("adamw", schedule("cosine", rate, 10), weight_decay=0.1)
        updates, _ = chain.update({"a": jnp.ones((1, 1))}, chain.init({"a": jnp.ones((1, 1))}), {"a": jnp.ones((1, 1))})
        return updates["a"][0, 0]

    np.testing.assert_allclose(jax.vmap(moved)(jnp.array([0.1, 0.2])), [-0.11, -0.22], rtol=1e-4)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("constant", {0: 0, 5: 0.5, 10: 1, 100: 1}),
        ("cosine", {5: 0.5, 10: 1, 55: 0.55, 100: 0.1}),
        ("linear", {5: 0.5, 10: 1, 55: 0.55, 100: 0.1}),
        ("one_cycle", {0: 0, 33: 1, 100: 0.1}),
        ("step", {10: 1, 49: 1, 51: 0.1, 76: 0.01}),
    ],
)
def test_schedule_corners(name, expected):
    rate = schedule(name, 1.0, 100, warmup=0.1, end=0.1)
    np.testing.assert_allclose([rate(step) for step in expected], list(expected.values()), rtol=1e-5, atol=1e-7)


def test_decays_kernels_alone():
    assert decays({"k": jnp.ones((2, 2)), "b": jnp.ones(2), "s": jnp.ones(())}) == {"k": True, "b": False, "s": False}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: optimiser("admw", 0.1), "optimiser: there is no 'admw'; did you mean 'adamw'?"),
        (lambda: optimiser("sgd", 0.1, momentum=1.0), "momentum=1.0 must be at least 0 and below 1"),
        (lambda: optimiser("sgd", 0.1, clip_norm=0.0), "clip_norm=0.0 must be positive"),
        (lambda: optimiser("adamw", -1.0), "optimiser: learning_rate=-1.0 must be a number that is not negative"),
        (
            lambda: optimiser("adamw", float("nan")),
            "optimiser: learning_rate=nan must be a number that is not negative",
        ),
        (lambda: optimiser("sgd", 0.1, accumulate=0), "optimiser: accumulate=0 must be at least 1"),
        (lambda: schedule("cos", 0.1, 10), "schedule: there is no 'cos'; did you mean"),
        (lambda: schedule("cosine", 0.1, 0), "schedule: steps=0 must be at least 1"),
        (lambda: schedule("cosine", 0.1, 10, warmup=1.0), "warmup=1.0 and end=0.0 are shares"),
        (
            lambda: cross_entropy(jnp.zeros((1, 2)), jnp.zeros(1, int), smoothing=1.0),
            "smoothing=1.0 must be at least 0",
        ),
    ],
)
def test_training_options_out_of_range(call, message):
    with pytest.raises(ValueError, match=message.replace("?", r"\?")):
        call()


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shares", [False, True])
def test_cross_entropy_is_pytorchs(smoothing, weighted, shares):
    torch = pytest.importorskip("torch")
    logits, labels = RNG.normal(size=(6, 4)).astype(np.float32), np.array([0, 3, 1, 1, 2, 0])
    weights = np.array([1.0, 2.0, 0.5, 3.0], np.float32) if weighted else None
    truth = RNG.dirichlet(np.ones(4), 6).astype(np.float32) if shares else labels
    ours = cross_entropy(jnp.asarray(logits), jnp.asarray(truth), smoothing=smoothing, class_weights=weights)
    options = {"label_smoothing": smoothing, "weight": None if weights is None else torch.tensor(weights)}
    per_image = torch.nn.functional.cross_entropy(
        torch.tensor(logits), torch.tensor(truth), reduction="none", **options
    )
    each = np.ones(6) if weights is None else weights[labels] if not shares else truth @ weights
    np.testing.assert_allclose(ours, per_image.numpy().sum() / each.sum(), rtol=1e-5)


def test_cross_entropy_gradient_is_shares():
    logits = jnp.asarray(RNG.normal(size=(2, 3)), jnp.float32)
    gradient = jax.grad(partial(cross_entropy, labels=jnp.array([0, 2])))(logits)
    np.testing.assert_allclose(
        gradient, (jax.nn.softmax(logits) - jnp.eye(3)[jnp.array([0, 2])]) / 2, rtol=1e-5, atol=1e-7
    )


@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        (np.zeros((2, 1), int), ValueError, r"labels \(2, 1\) of logits \(2, 3\); give indices"),
        (np.zeros(3, int), ValueError, r"labels \(3,\) of logits"),
        (np.zeros(2), TypeError, "class indices are float32"),
    ],
)
def test_cross_entropy_refuses_labels(labels, error, message):
    with pytest.raises(error, match=f"cross_entropy: {message}"):
        cross_entropy(jnp.zeros((2, 3)), jnp.asarray(labels))


@pytest.mark.parametrize("label", [-1, 3])
def test_cross_entropy_of_a_class_that_there_is_not_is_nan(label):
    assert np.isnan(cross_entropy(jnp.zeros((2, 3)), jnp.array([0, label])))


def test_momentum_and_clipping_may_differ_between_members():
    kernel = {"kernel": jnp.array([[3.0, 4.0]])}

    def moved(momentum, clip_norm):
        chain = optimiser("sgd", 1.0, momentum=momentum, clip_norm=clip_norm)
        state, total = chain.init(kernel), kernel
        for _ in range(2):
            updates, state = chain.update(kernel, state, kernel)
            total = jax.tree.map(jnp.add, total, updates)
        return total["kernel"]

    together = jax.vmap(moved)(jnp.array([0.0, 0.5]), jnp.array([1.0, 10.0]))
    np.testing.assert_allclose(together, np.stack([moved(0.0, 1.0), moved(0.5, 10.0)]), rtol=1e-6)
    assert not np.allclose(together[0], together[1])


def test_step_schedule_falls_twice_in_runs_of_any_length():
    for steps in (1, 2, 3, 8, 9):
        rate = schedule("step", 1.0, steps)
        expected = [1.0 if s < steps / 2 else 0.1 if s < steps * 3 / 4 else 0.01 for s in range(steps)]
        np.testing.assert_allclose([float(rate(s)) for s in range(steps)], expected, rtol=1e-6)
