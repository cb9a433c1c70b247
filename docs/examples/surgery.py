"""Surgery on a trained network: pruning, the formula it computes, and what each neuron is for."""

from dataclasses import replace

from bimt_core import (
    MLP,
    Change,
    Surgery,
    formula_text,
    initialise,
    load_task,
    prune_curve,
    score_neuron_ablations,
    smallest_network,
    start,
    train,
)

moons = load_task("two_moons")
population = initialise(MLP((2, 8, 8, 2)), seeds=range(4))
shared = replace(moons.shared, steps=1500, cost_phases=((0.0, 0.1), (0.5, 1.0)))
per_network = replace(moons.per_network, cost_weight=0.01, learning_rate=0.01)  # a high cost leaves few weights
(end,) = train(start(population), moons, [per_network] * 4, shared, snapshot_at=[1500])

small = [smallest_network(end.population, moons, network) for network in range(4)]
results = [prune_curve(one, moons, [0.0])[0] for one in small]
best = min(range(4), key=lambda network: (-round(results[network].val_score, 1), results[network].parameters))

print(f"Network {best} at rising thresholds")
for row in prune_curve(end.population.select([best]), moons)[::3]:
    print(f"  {row.threshold:8.2g}: {row.parameters:3} parameters, accuracy {row.test_score:.3f}")

print(f"\nWith {results[best].parameters} parameters it has accuracy {results[best].test_score:.3f}:\n")
print(formula_text(small[best], moons))

print("\nAccuracy without")
scores = score_neuron_ablations(small[best], moons, 0)
for (neurons, place), score in scores.items():
    if score < results[best].test_score:
        print(f"  place {place} of {neurons:8}: {score:.3f}")

surgery = Surgery(small[best]).intervene([Change("bias2", (0,), to=5.0)])
print(f"\nWith another bias: {prune_curve(surgery.population, moons, [0.0])[0].test_score:.3f}")
surgery = surgery.revert()
print(f"Reverted: {prune_curve(surgery.population, moons, [0.0])[0].test_score:.3f}")
