"""What is decided of a rule: the objective it climbs, its claims, symmetries, edges and nearest estimator."""
