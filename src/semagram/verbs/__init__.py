"""The verbs that work on every predictor: generate, score, compress, audit."""
