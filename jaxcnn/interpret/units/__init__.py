"""What a unit wants: optimised inputs, dataset examples, effective receptive fields."""
