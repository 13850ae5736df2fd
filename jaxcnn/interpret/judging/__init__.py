"""Whether an attribution is right: what it promises, measured."""
