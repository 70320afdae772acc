"""The parts that attention is put together from: what is added to scores, how they become weights, how far one sees."""
