"""NumPy float64 oracles, written as the formulas; nothing here knows the package under test."""
