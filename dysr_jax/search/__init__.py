"""The search: population evaluator, latency model, NSGA-II, Pareto front, selection, the loop."""
